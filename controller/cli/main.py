"""The `ownernode` command: every command, and the one place where errors become sentences."""

import sys

import typer

from controller.cli import (
    apply,
    demo,
    doctor,
    explain,
    history,
    orders,
    plan,
    record,
    run,
    schema,
    simulate,
    snapshot,
    status,
)
from controller.cli import validate as validation
from controller.cli.tables import clean
from controller.errors import OwnernodeError

commands = typer.Typer(
    name="ownernode",
    help="Keeps Hyper-V VMs of a failover cluster on the owner nodes that YAML declares.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
commands.command()(demo.demo)
commands.command()(run.run)
commands.command()(validation.validate)
commands.command()(plan.plan)
commands.command()(apply.apply)
commands.command()(snapshot.snapshot)
commands.command()(doctor.doctor)
commands.command()(record.record)
commands.command()(status.status)
commands.command()(explain.explain)
commands.command()(history.history)
commands.command()(orders.pause)
commands.command()(orders.resume)
commands.command()(orders.stop)
commands.command()(orders.approve)
commands.command()(schema.crd)
commands.command(name="schema")(schema.schema)
commands.command()(simulate.simulate)


@commands.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Show the version and stop."),
) -> None:
    if version:
        from controller import __version__

        print(f"ownernode {__version__}")
        raise typer.Exit


def app() -> None:
    """Run the command line; a fault of the input or of the surroundings is one sentence, exit 1."""
    try:
        commands()
    except OwnernodeError as error:
        print("\n".join(map(clean, f"ownernode: {error}".split("\n"))), file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has seen enough (`ownernode status | head`).
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        # A path that can't be read or written: where it matters more, it was said before.
        print(
            f"ownernode: {error.filename or 'input or output'}: {error.strerror}", file=sys.stderr
        )
        sys.exit(1)
