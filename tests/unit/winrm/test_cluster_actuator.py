"""Commands: to whom they go, what they carry, and what is known afterwards."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from controller.adapters.winrm.actuator import ClusterActuator, command_for, read_outcome
from controller.errors import (
    Busy,
    LogonRefused,
    OutcomeUnknown,
    OwnernodeError,
    ProtocolBroken,
    RemoteFailed,
    Unreachable,
)
from controller.model.checks import CheckName, CheckResult, CheckVerdict
from controller.model.control import Fence
from controller.model.desired import DiskTemplate, VMTemplate
from controller.model.plan import Action, ActionKind, ActionReason
from controller.model.report import OutcomeResult
from controller.model.setting import Change, Setting
from tests.support.virtual_time import run_virtual

INTENT = "11111111-1111-4111-8111-111111111111"
FENCE = Fence(epoch=7, holder="33333333-3333-4333-8333-333333333333")
VM = "22222222-2222-4222-8222-222222222222"
SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "protocol.schema.json").read_text())
TEMPLATE = VMTemplate(
    generation=1,
    memory_startup_bytes=1024**3,
    processors=2,
    location="C:\\ClusterStorage\\Volume1",
    disks=(
        DiskTemplate(path="C:\\ClusterStorage\\Volume1\\N\\a.vhdx", create_bytes=10 * 1024**3),
        DiskTemplate(path="C:\\ClusterStorage\\Volume1\\b.vhdx", create_bytes=None),
    ),
    vlan=20,
)


def planned(kind: ActionKind, source: str | None, target: str) -> Action:
    return Action(
        id="a1",
        kind=kind,
        key="name:n",
        vm="N",
        vm_id=None if kind is ActionKind.CREATE else VM,
        source=source,
        target=target,
        reason=ActionReason.ABSENT,
        wave=0,
        template=TEMPLATE if kind is ActionKind.CREATE else None,
    )


def setting(name: Setting, *after: str) -> Action:
    """A write on HV01."""
    change = Change(setting=name, before=(), after=after)
    return replace(planned(ActionKind.CONFIGURE, "HV01", "HV01"), change=change)


@pytest.mark.parametrize(
    ("action", "node", "operation"),
    [
        *((setting(s, "HV01", "HV02"), "HV01", "setRole") for s in [*Setting][:4]),
        (setting(Setting.PROCESSOR_COMPATIBILITY, "on"), "HV01", "setProcessor"),
        (planned(ActionKind.MOVE, "HV01", "HV02"), "HV01", "moveRole"),
        (planned(ActionKind.START, "HV01", "HV01"), "HV01", "startRole"),
        (planned(ActionKind.START, None, "HV02"), "HV02", "startRole"),
        (planned(ActionKind.REGISTER, "HV01", "HV01"), "HV01", "registerVm"),
        (planned(ActionKind.CREATE, None, "HV02"), "HV02", "createVm"),
    ],
)
def test_command_goes_to_the_node_concerned_in_the_documented_shape(
    action: Action, node: str, operation: str
) -> None:
    """No second hop: a VM is moved and started by its owner, created on its target."""
    found_node, found_operation, arguments = command_for(action, INTENT, FENCE)
    assert (found_node, found_operation) == (node, operation)
    shape = {**SCHEMA["$defs"][f"{operation}.arguments"], "$defs": SCHEMA["$defs"]}
    jsonschema.validate(arguments, shape)


def test_a_registration_names_the_checks_that_its_spec_accepts() -> None:
    """The node would refuse what its own look finds, if it were not told."""
    found = [
        CheckResult(name=CheckName.CONFIGURATION, verdict=CheckVerdict.PASSES, found=""),
        CheckResult(name=CheckName.DISKS, verdict=CheckVerdict.WARNS, found="E:\\data.vhdx"),
        CheckResult(name=CheckName.CHECKPOINTS, verdict=CheckVerdict.CANNOT_TELL, found="unread"),
    ]
    action = replace(planned(ActionKind.REGISTER, "HV01", "HV01"), checks=tuple(found))
    _, operation, arguments = command_for(action, INTENT, FENCE)
    assert arguments["accepts"] == ["disks", "checkpoints"]
    shape = {**SCHEMA["$defs"][f"{operation}.arguments"], "$defs": SCHEMA["$defs"]}
    jsonschema.validate(arguments, shape)


class Failing:
    """A way to the nodes on which every call fails alike."""

    def __init__(self, error: OwnernodeError) -> None:
        self._error = error

    async def call(
        self, node: str, operation: str, arguments: Mapping[str, Any], *, timeout_seconds: float
    ) -> Mapping[str, Any]:
        raise self._error

    async def close(self) -> None:
        return


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (Unreachable("x"), OutcomeResult.NOT_SENT),
        (LogonRefused("x"), OutcomeResult.NOT_SENT),
        (Busy("x"), OutcomeResult.NOT_SENT),
        (RemoteFailed("x", kind="BadCall"), OutcomeResult.NOT_SENT),
        (RemoteFailed("x", kind="ClusterObjectNotFound,Move"), OutcomeResult.UNKNOWN),
        (OutcomeUnknown("x"), OutcomeResult.UNKNOWN),
        (ProtocolBroken("x"), OutcomeResult.UNKNOWN),
    ],
)
def test_only_what_certainly_did_not_leave_is_not_sent(
    error: OwnernodeError, result: OutcomeResult
) -> None:
    """An error after the command may have been executed ends nothing: observation decides."""
    move = planned(ActionKind.MOVE, "HV01", "HV02")
    outcome = run_virtual(ClusterActuator(Failing(error)).submit(move, INTENT, FENCE))
    assert (outcome.result, outcome.detail) == (result, "x")
    assert (outcome.intent_id, outcome.action) == (INTENT, move)


@pytest.mark.parametrize(
    ("data", "result", "found"),
    [
        ({"outcome": "submitted"}, OutcomeResult.SUBMITTED, None),
        (
            {"outcome": "refused", "condition": "owner", "found": "HV03"},
            OutcomeResult.REFUSED,
            "HV03",
        ),
        ({"outcome": "refused", "condition": "owner", "found": None}, OutcomeResult.REFUSED, None),
        ({"outcome": "refused", "condition": 3, "found": None}, OutcomeResult.UNKNOWN, None),
        ({"outcome": "done"}, OutcomeResult.UNKNOWN, None),
        ({}, OutcomeResult.UNKNOWN, None),
    ],
)
def test_reply_that_is_not_as_documented_settles_nothing(
    data: Mapping[str, Any], result: OutcomeResult, found: str | None
) -> None:
    """Only the two documented answers are believed."""
    outcome = read_outcome(planned(ActionKind.MOVE, "HV01", "HV02"), INTENT, data)
    assert (outcome.result, outcome.found) == (result, found)


class Answering(Failing):
    """A way to the nodes on which every call is answered alike."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.asked: list[tuple[str, str, Mapping[str, Any]]] = []

    async def call(
        self, node: str, operation: str, arguments: Mapping[str, Any], *, timeout_seconds: float
    ) -> Mapping[str, Any]:
        self.asked.append((node, operation, arguments))
        return self.data


def test_a_claim_is_one_call_in_the_documented_shape() -> None:
    """The epoch and the name under which it is claimed, and nothing else."""
    nodes = Answering({"outcome": "submitted"})
    assert run_virtual(ClusterActuator(nodes).claim(FENCE, "HV02")) is None
    ((node, operation, arguments),) = nodes.asked
    assert (node, operation) == ("HV02", "claimEpoch")
    shape = {**SCHEMA["$defs"]["claimEpoch.arguments"], "$defs": SCHEMA["$defs"]}
    jsonschema.validate(arguments, shape)


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (
            Answering({"outcome": "refused", "condition": "epochOlder", "found": "epoch 9"}),
            "epoch 9",
        ),
        (Answering({}), "HV02 answered {}"),
        (Failing(Unreachable("no answer")), "no answer"),
        (Failing(OutcomeUnknown("time is up")), "time is up"),
    ],
)
def test_a_claim_that_failed_says_why(nodes: Failing, said: str) -> None:
    """Text for people only: who holds the cluster, the next look says."""
    assert said in str(run_virtual(ClusterActuator(nodes).claim(FENCE, "HV02")))
