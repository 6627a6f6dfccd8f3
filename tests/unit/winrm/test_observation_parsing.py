"""Replies of nodes that are broken or taken over."""

import copy
import json
from random import Random
from typing import Any

import pytest
from node_replies import equipment, listed, reply, role, view, vm

from controller.adapters.winrm.fields import Repeats
from controller.adapters.winrm.parsing import parse_observation
from controller.errors import ProtocolBroken

JOB = {
    "intent": "11111111-1111-4111-8111-111111111111",
    "operation": "createVm",
    "state": "Failed",
    "step": "disks",
    "vmId": None,
    "error": "x" * 1000,
}
STRANGE: tuple[Any, ...] = (
    None, True, -1, 2**70, 1.5, float("nan"), "", "x", "\x1b[2J", "x" * 5000, [], [None], {},
    {"id": 1}, [[]], ["\x1b[2J"], "00000000-0000-0000-0000-00000000000G",
)  # fmt: skip


def whole() -> dict[str, Any]:
    """A reply with something in every place."""
    moving = role("SQL", "HV01", migration={"state": 2, "progress": 3, "failureReason": None})
    iso = vm(
        "SQL",
        equipment=equipment("SQL", media=[{"path": "C:\\a.iso", "type": 1}]),
        mark="1:created",
    )
    return reply("HV01", vms=[iso], roles=[moving], lists=listed(moving), jobs=[dict(JOB)])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key, item in inner:
            found += places(item, (*path, key)) if isinstance(item, dict | list) else [(*path, key)]
    return found


PLACES = places(whole())
WHOLE = json.dumps(whole())


def damaged(random: Random) -> dict[str, Any]:
    """A reply with one to three values replaced or missing."""
    document: dict[str, Any] = json.loads(WHOLE)
    for _ in range(random.randint(1, 3)):
        *way, last = random.choice(PLACES)
        holder: Any = document
        try:
            for key in way:
                holder = holder[key]
            if random.random() < 0.2:
                del holder[last]
            else:
                holder[last] = copy.deepcopy(random.choice(STRANGE))
        except (KeyError, IndexError, TypeError):
            continue
    return document


def accept_or_refuse(document: dict[str, Any]) -> bool:
    """Parse; anything but a reply or ProtocolBroken comes out as an error."""
    try:
        parsed = parse_observation(document)
    except ProtocolBroken:
        return False
    assert "\\x1b" not in repr(parsed)
    return True


UNREAD = frozenset(
    {
        "generation", "uptimeSeconds", "manufacturer", "time",
        "failureReason",
    }
)  # fmt: skip
FIELDS = [path for path in places(whole()) if isinstance(path[-1], str) and path[-1] not in UNREAD]


@pytest.mark.parametrize("path", FIELDS, ids=lambda path: ".".join(map(str, path)))
def test_every_field_that_is_read_is_needed(path: tuple[Any, ...]) -> None:
    """A reply without one of them is no reply: absent is never taken for empty."""
    document = whole()
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    assert not accept_or_refuse(document)


def test_damaged_replies_are_refused_or_harmless() -> None:
    """Five thousand damaged replies: no crash and no raw control character."""
    random = Random(7)
    verdicts = [accept_or_refuse(damaged(random)) for _ in range(5_000)]
    assert verdicts.count(False) > 2_000


@pytest.mark.campaign
def test_campaign_of_damaged_replies() -> None:
    """A million damaged replies."""
    random = Random(11)
    refused = sum(not accept_or_refuse(damaged(random)) for _ in range(1_000_000))
    assert 400_000 < refused < 1_000_000


def test_job_error_is_cut_to_what_may_be_shown() -> None:
    """What a node says is display text, and short."""
    (job,) = parse_observation(whole()).jobs
    assert len(job.error or "") == 256
    assert (job.node, job.kind, job.step) == ("HV01", "createVm", "disks")


def test_control_characters_in_names_are_replaced() -> None:
    """A VM name can neither move a terminal's cursor nor end a log line."""
    parsed = parse_observation(reply("HV01", vms=[{**vm("x"), "name": "A\x1b[2J\nB\ud800"}]))
    assert parsed.vms[0].name == "A\ufffd[2J\ufffdB\ufffd"


@pytest.mark.parametrize(
    "name", ["HV\x01", "HV01.evil.example", "a@b", "HV01:80", "X" * 16, "", "HÜ01", "-", "HV01\n"]
)
def test_a_node_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    """Nodes are connected to, and logged on to, by the names that other nodes report."""
    with pytest.raises(ProtocolBroken, match="nodes"):
        parse_observation(reply("HV01", nodes=[view("HV01"), view(name)]))
    with pytest.raises(ProtocolBroken, match="node"):
        parse_observation(reply(name))


@pytest.mark.parametrize("twice", ["vms", "roles", "nodes"])
def test_what_a_node_lists_twice_is_refused(twice: str) -> None:
    """One VM on one node twice would look like one that is between two nodes."""
    lists = {"vms": [vm("SQL")] * 2, "roles": [role("SQL", "HV01")] * 2, "nodes": [view("a")] * 2}
    with pytest.raises(ProtocolBroken, match=f"{twice} lists one of them twice"):
        parse_observation(reply("HV01", **{twice: lists[twice]}))


def test_what_was_read_before_hides_no_difference() -> None:
    """A second node's lists are read anew where they differ, in a value as in a flaw."""
    repeats = Repeats()
    lists = listed(role("SQL", "HV01"), role("WEB", "HV02"))
    first = parse_observation(reply("HV01", lists=lists), repeats)
    again = parse_observation(reply("HV02", lists=copy.deepcopy(lists)), repeats)
    assert first.lists == again.lists
    for role_changes in ({"owner": "HV02"}, {"state": 4}, {"status": 4}, {"name": "sql"}):
        other = copy.deepcopy(lists)
        other["roles"][0] |= role_changes
        told = parse_observation(reply("HV02", lists=other), repeats)
        assert told == parse_observation(reply("HV02", lists=other))
        assert first.lists != told.lists
    flawed = copy.deepcopy(lists)
    flawed["roles"][1]["id"] = "none"
    for _ in range(2):
        with pytest.raises(ProtocolBroken, match=r"lists\.roles"):
            parse_observation(reply("HV02", lists=flawed), repeats)


def test_too_many_nodes_or_vms_are_refused() -> None:
    """More than a cluster can hold is not counted out but refused."""
    with pytest.raises(ProtocolBroken, match="nodes"):
        parse_observation(reply("HV01", nodes=[view("HV01")] * 20_001))
