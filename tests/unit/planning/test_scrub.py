"""A recording may be shown to strangers: nothing in it says whose cluster it is."""

from typing import Any

import pytest

from controller.planning.scrub import Scrubber

SECRET = "Acme Turbines"


def strings(value: Any) -> list[str]:
    """Every text in it, keys left out."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(
    "field",
    ["name", "domain", "user", "holder", "stop", "vmPath", "path", "message", "node", "owner",
     "preferredOwners", "mark", "switch", "somethingOfTomorrow"],
)  # fmt: skip
def test_text_that_is_not_known_to_be_harmless_goes(field: str) -> None:
    """Also that of a field which this release does not know."""
    for text in (SECRET, f"C:\\{SECRET}\\disk.vhdx", f"{SECRET} 7c2a-0001"):
        scrubbed = Scrubber().data({field: text, "list": [{field: [text]}]})
        assert not [found for found in strings(scrubbed) if "Acme" in found or "Turb" in found]


def test_what_belonged_together_still_does() -> None:
    """A role and its VM, a switch and its adapter, a file and its folder; ids too."""
    vm = "7C2A0001-0000-4000-8000-00000000ABCD"
    scrubbed = Scrubber().data(
        {
            "vms": [{"name": "SQL01", "id": vm.lower(), "adapters": [{"switch": "Blue"}]}],
            "roles": [{"name": "sql01", "vmId": vm.lower(), "owner": "hv01"}],
            "nodes": [{"name": "HV01"}],
            "switches": [{"name": "blue"}],
            "path": "C:\\ClusterStorage\\Volume1\\sql01\\SQL01.avhdx",
            "mark": f"{vm.lower()}:created",
        }
    )
    (machine,), (role,) = scrubbed["vms"], scrubbed["roles"]
    assert machine["name"].lower() == role["name"]
    assert machine["id"] == role["vmId"]
    assert scrubbed["mark"] == f"{machine['id']}:created"
    assert role["owner"] == scrubbed["nodes"][0]["name"].lower()
    assert scrubbed["switches"][0]["name"] == machine["adapters"][0]["switch"]
    name = role["name"]
    assert scrubbed["path"] == f"C:\\ClusterStorage\\Volume1\\{name}\\{name.upper()}.avhdx"


def test_numbers_and_what_windows_says_stay() -> None:
    """Else there would be nothing to learn from it."""
    plain = {"state": 2, "locked": None, "powershell": "5.1.20348.1", "build": "20348"}
    modules = {"modules": [{"name": "Hyper-V", "version": "2.0.0.0"}]}
    assert Scrubber().data({**plain, **modules}) == {**plain, **modules}
