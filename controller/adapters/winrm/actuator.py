"""Gives single commands to the node concerned, each with the state that it was planned from."""

from collections.abc import Mapping
from typing import Any, assert_never

from controller.adapters.winrm.calling import NodeCaller
from controller.errors import (
    Busy,
    LogonRefused,
    OwnernodeError,
    RemoteFailed,
    Unreachable,
)
from controller.model.checks import CheckVerdict
from controller.model.control import Fence
from controller.model.desired import VMTemplate
from controller.model.failures import code_of
from controller.model.plan import Action, ActionKind
from controller.model.report import Outcome, OutcomeResult
from controller.model.setting import Setting

SUBMIT_SECONDS = 20.0
"""For conditions and cmdlet; the effect is never awaited."""
_TEXT_CHARACTERS_MAX = 256


class ClusterActuator:
    """The hands on one cluster (`ports.Actuator`)."""

    def __init__(self, caller: NodeCaller) -> None:
        self._caller = caller

    async def claim(self, fence: Fence, node: str) -> str | None:
        """Have the node write the claim into the cluster database."""
        arguments = {"epoch": fence.epoch, "holder": fence.holder}
        try:
            data = await self._caller.call(
                node, "claimEpoch", arguments, timeout_seconds=SUBMIT_SECONDS
            )
        except OwnernodeError as error:
            return str(error)
        if data.get("outcome") == "submitted":
            return None
        return f"{node} answered {str(data)[:_TEXT_CHARACTERS_MAX]}"

    async def submit(self, action: Action, intent_id: str, fence: Fence) -> Outcome:
        """Have the node check the conditions and act; an outcome in every case."""
        node, operation, arguments = command_for(action, intent_id, fence)
        try:
            data = await self._caller.call(
                node, operation, arguments, timeout_seconds=SUBMIT_SECONDS
            )
        except OwnernodeError as error:
            return Outcome(
                intent_id=intent_id,
                action=action,
                result=_result(error),
                detail=str(error),
                code=code_of(error.hresult) if isinstance(error, RemoteFailed) else None,
            )
        return read_outcome(action, intent_id, data)


def command_for(action: Action, intent_id: str, fence: Fence) -> tuple[str, str, Mapping[str, Any]]:
    """The node to ask, the operation and its arguments.

    Every cmdlet runs on the node concerned: a second hop would need delegated credentials.
    """
    given: dict[str, Any] = {"intent": intent_id, "epoch": fence.epoch, "holder": fence.holder}
    match action.kind:
        case ActionKind.MOVE:
            assert action.source is not None, "a move is planned from an owner"
            given |= {"vmId": action.vm_id, "source": action.source, "target": action.target}
            return action.source, "moveRole", given
        case ActionKind.START:
            node = action.source or action.target
            return node, "startRole", given | {"vmId": action.vm_id, "node": node}
        case ActionKind.CONFIGURE:
            return action.target, *_setting(action, given)
        case ActionKind.REGISTER:
            node = action.source or action.target
            given |= {"vmId": action.vm_id, "node": node}
            if accepts := _accepts(action):
                given["accepts"] = accepts
            return node, "registerVm", given
        case ActionKind.CREATE:
            assert action.template is not None, "a creation is planned from a template"
            given |= {"node": action.target, "name": action.vm}
            given |= {"template": template_arguments(action.template)}
            return action.target, "createVm", given
        case ActionKind.SUSPEND_NODE:
            return action.target, "suspendNode", given | {"node": action.target}
        case ActionKind.RESUME_NODE:
            return action.target, "resumeNode", given | {"node": action.target}
        case ActionKind.CONFIGURE_NODE:
            change = action.change
            assert change is not None, "a setting is written by a change"
            given |= {"node": action.target, "before": list(change.before)}
            return action.target, "setFolders", given | {"folder": change.after[0]}
        case _:
            assert_never(action.kind)


def _accepts(action: Action) -> list[str]:
    """Checks that did not pass when it was planned, and that its spec lets go all the same."""
    return [
        check.name
        for check in action.checks
        if check.verdict is not CheckVerdict.PASSES and not check.holds
    ]


def _setting(action: Action, given: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The operation that writes a setting, and its arguments."""
    change = action.change
    assert change is not None, "a setting is written by a change"
    told = {**given, "vmId": action.vm_id, "node": action.target}
    if change.setting is Setting.PROCESSOR_COMPATIBILITY:
        return "setProcessor", told
    told |= {"before": list(change.before), "after": list(change.after)}
    return "setRole", told | {"setting": change.setting.value}


def template_arguments(template: VMTemplate) -> Mapping[str, Any]:
    """A template as docs/protocol.md spells it."""
    return {
        "generation": template.generation,
        "memoryStartupBytes": template.memory_startup_bytes,
        "memoryMinimumBytes": template.memory_minimum_bytes,
        "memoryMaximumBytes": template.memory_maximum_bytes,
        "processors": template.processors,
        "processorCompatibility": template.processor_compatibility,
        "location": template.location,
        "disks": [
            {"path": d.path, "createBytes": d.create_bytes, "controller": d.controller}
            for d in template.disks
        ],
        "secureBootTemplate": template.secure_boot_template,
        "switch": template.switch,
        "vlan": template.vlan,
        "iso": template.iso,
        "physicalDrive": template.physical_drive,
        "networkBoot": template.boots_from_network,
        "stopAction": template.automatic_stop,
    }


def read_outcome(action: Action, intent_id: str, data: Mapping[str, Any]) -> Outcome:
    """What the reply says was done; a reply that says neither leaves it unknown."""
    match data:
        case {"outcome": "submitted"}:
            return Outcome(intent_id=intent_id, action=action, result=OutcomeResult.SUBMITTED)
        case {"outcome": "refused", "condition": str(condition), "found": str() | None as found}:
            return Outcome(
                intent_id=intent_id,
                action=action,
                result=OutcomeResult.REFUSED,
                condition=condition[:_TEXT_CHARACTERS_MAX],
                found=found[:_TEXT_CHARACTERS_MAX] if found is not None else None,
            )
        case _:
            return Outcome(
                intent_id=intent_id,
                action=action,
                result=OutcomeResult.UNKNOWN,
                detail=f"the node's reply is not as documented: {str(data)[:_TEXT_CHARACTERS_MAX]}",
            )


def _result(error: OwnernodeError) -> OutcomeResult:
    if isinstance(error, Unreachable | LogonRefused | Busy):
        return OutcomeResult.NOT_SENT
    if isinstance(error, RemoteFailed) and error.kind == "BadCall":
        return OutcomeResult.NOT_SENT  # the agent could not even read it
    return OutcomeResult.UNKNOWN
