"""`status`: what a running controller last saw, decided and did."""

from controller.cli.client import URL_DEFAULT, UrlOption, ask
from controller.cli.tables import Output, OutputOption, say, show


def status(url: UrlOption = URL_DEFAULT, output: OutputOption = Output.TABLE) -> None:
    """Show where every declared VM of a running controller stands."""
    import json

    from controller.cli.views import order_tables, report_summary, report_tables
    from controller.errors import ProtocolBroken
    from controller.model.json_documents import read_report

    data = ask(url, "status")
    if not isinstance(data, dict) or not isinstance(data.get("clusters"), list):
        raise ProtocolBroken(f"{url} does not answer as a controller does")
    reports = [read_report(json.dumps(document), url) for document in data["clusters"]]
    if not reports:
        say("the controller has not seen any cluster yet")
    tables = [table for report in reports for table in report_tables(report)]
    tables += order_tables(data)
    if reports or output in (Output.JSON, Output.YAML):
        show(tables, data, output)
    for report in reports:
        say(report_summary(report))
