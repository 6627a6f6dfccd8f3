"""The sentences that a scenario's steps are written in, and what each of them does.

A step reads `<who> <what>`; names are the world's. The table is the whole vocabulary.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from controller.model.control import Demand, Verb
from controller.simulator.config import NodePart, add_node
from controller.simulator.inventory import File
from controller.simulator.states import Stage, VmOperationalStatus
from controller.simulator.storage import create_file
from tests.support.in_process import Disturbance

if TYPE_CHECKING:
    from tests.scenarios.play import Play

Deed = Callable[["Play", re.Match[str]], None]

_COMMANDS = {
    "move": ("moveRole", "Move"),
    "registration": ("registerVm", "Register"),
    "creation": ("createVm", "Create"),
    "start": ("startRole", "Start"),
    "setting": ("setRole", "Configure"),
    "suspension": ("suspendNode", "SuspendNode"),
    "resumption": ("resumeNode", "ResumeNode"),
    "folders": ("setFolders", "ConfigureNode"),
}
"""Word -> (operation of docs/protocol.md, kind of action)."""
_WORK = {
    "backup": VmOperationalStatus.BackingUpVirtualMachine,
    "merge": VmOperationalStatus.MergingDisks,
    "checkpoint": VmOperationalStatus.CreatingSnapshot,
    "storage migration": VmOperationalStatus.StorageMigrationPhaseOne,
}


def perform(play: "Play", sentence: str) -> None:
    """Do what the sentence says; AssertionError when nobody knows what it means."""
    for pattern, deed in _TABLE:
        match = re.fullmatch(pattern, sentence)
        if match is not None:
            deed(play, match)
            return
    raise AssertionError(f"no step reads {sentence!r}")


def _moves(play: "Play", m: re.Match[str]) -> None:
    play.site.world.move_live(m["vm"], m["node"])


def _moves_offline(play: "Play", m: re.Match[str]) -> None:
    play.site.world.move_offline(m["vm"], m["node"])


def _shuts_down(play: "Play", m: re.Match[str]) -> None:
    play.witness.disturb(m["vm"])
    play.site.world.stop_vm(m["vm"])


def _saves(play: "Play", m: re.Match[str]) -> None:
    play.witness.disturb(m["vm"])
    play.site.world.save_vm(m["vm"])


def _starts(play: "Play", m: re.Match[str]) -> None:
    play.site.world.start_vm(m["vm"])


def _renames(play: "Play", m: re.Match[str]) -> None:
    play.site.world.rename_vm(m["vm"], m["name"])


def _deletes(play: "Play", m: re.Match[str]) -> None:
    play.site.world.delete_vm(m["vm"])


def _adds(play: "Play", m: re.Match[str]) -> None:
    play.site.world.add_vm(m["vm"], m["node"], memory_bytes=2 * 1024**3)


def _ejects(play: "Play", m: re.Match[str]) -> None:
    play.site.world.eject_media(m["vm"])


def _inserts(play: "Play", m: re.Match[str]) -> None:
    play.site.world.insert_iso(m["vm"], m["path"])


def _moves_disk(play: "Play", m: re.Match[str]) -> None:
    play.site.world.move_disk(m["vm"], m["path"])


def _locks(play: "Play", m: re.Match[str]) -> None:
    play.site.world.lock_role(m["vm"])


def _unlocks(play: "Play", m: re.Match[str]) -> None:
    play.site.world.unlock_role(m["vm"])


def _work_begins(play: "Play", m: re.Match[str]) -> None:
    if m["work"] == "backup":
        play.site.world.begin_backup(m["vm"])
    else:
        play.site.world.begin_work(m["vm"], _WORK[m["work"]])


def _work_ends(play: "Play", m: re.Match[str]) -> None:
    if m["work"] == "backup":
        play.site.world.end_backup(m["vm"])
    else:
        play.site.world.end_work(m["vm"])


def _breaks(play: "Play", m: re.Match[str]) -> None:
    play.site.world.break_next_migration(m["vm"], stage=Stage.TRANSFER)


def _limits_owners(play: "Play", m: re.Match[str]) -> None:
    play.site.world.set_possible_owners(m["vm"], m["nodes"].split(", "))


def _allows_failback(play: "Play", m: re.Match[str]) -> None:
    role = play.site.world.role(m["vm"])
    play.site.world.set_preferred_owners(m["vm"], role.preferred, failback=True)


def _names_folder(play: "Play", m: re.Match[str]) -> None:
    play.site.world.node(m["node"]).vm_path = m["path"]


def _makes_folder(play: "Play", m: re.Match[str]) -> None:
    world = play.site.world
    node = next(iter(world.cluster.nodes.values()))
    create_file(world.cluster, node, File(path=m["path"], is_folder=True))


def _pauses(play: "Play", m: re.Match[str]) -> None:
    play.site.world.pause_node(m["node"], drain_roles=False)


def _drains(play: "Play", m: re.Match[str]) -> None:
    play.site.world.pause_node(m["node"], drain_roles=True)


def _resumes(play: "Play", m: re.Match[str]) -> None:
    play.site.world.resume_node(m["node"])


def _dies(play: "Play", m: re.Match[str]) -> None:
    play.site.world.crash_node(m["node"])


def _boots(play: "Play", m: re.Match[str]) -> None:
    play.site.world.boot_node(m["node"])


def _joins(play: "Play", m: re.Match[str]) -> None:
    world = play.site.world
    add_node(world, len(world.cluster.nodes) + 1, NodePart(name=m["node"]))
    if m["version"] is not None:
        play.site.powershell[m["node"].lower()] = m["version"]


def _updates_powershell(play: "Play", m: re.Match[str]) -> None:
    del play.site.powershell[m["node"].lower()]


def _cut_off(play: "Play", m: re.Match[str]) -> None:
    play.site.world.cut_off(m["node"])


def _goes_dark(play: "Play", m: re.Match[str]) -> None:
    play.site.wire.dark.add(m["node"].lower())


def _answers_again(play: "Play", m: re.Match[str]) -> None:
    play.site.wire.dark.discard(m["node"].lower())


def _loses_request(play: "Play", m: re.Match[str]) -> None:
    play.site.wire.befall(_COMMANDS[m["command"]][0], Disturbance(request_lost=True))


def _loses_reply(play: "Play", m: re.Match[str]) -> None:
    play.site.wire.befall(_COMMANDS[m["command"]][0], Disturbance(reply_lost=True))


def _delays(play: "Play", m: re.Match[str]) -> None:
    late = Disturbance(delay_seconds=float(m["seconds"]))
    play.site.wire.befall(_COMMANDS[m["command"]][0], late)


def _balancer_on(play: "Play", m: re.Match[str]) -> None:
    play.site.world.cluster.balancer_mode = 2


def _balancer_off(play: "Play", m: re.Match[str]) -> None:
    play.site.world.cluster.balancer_mode = 0


def _leaves_scvmm(play: "Play", m: re.Match[str]) -> None:
    play.site.world.node(m["node"]).services = ()


def _killed(play: "Play", m: re.Match[str]) -> None:
    play.site.kill()


def _killed_before(play: "Play", m: re.Match[str]) -> None:
    play.dies_at = f"actuator.submit {_COMMANDS[m['command']][1]}"


def _killed_after(play: "Play", m: re.Match[str]) -> None:
    play.dies_at = f"actuator.submit {_COMMANDS[m['command']][1]} done"


def _starts_again(play: "Play", m: re.Match[str]) -> None:
    play.start()


def _journal_lost(play: "Play", m: re.Match[str]) -> None:
    play.site.lose_journal()


def _approves(play: "Play", m: re.Match[str]) -> None:
    assert play.report is not None
    holds = [*play.report.cluster_holds, *(vm.hold for vm in play.report.vms if vm.hold)]
    (digest,) = {hold.evidence["digest"] for hold in holds if "digest" in hold.evidence}
    _give(play, Demand(verb=Verb.APPROVE, owner="operator", reason="meant so", digest=digest))


def _pauses_orders(play: "Play", m: re.Match[str]) -> None:
    seconds = int(m["seconds"]) if m["seconds"] else None
    demand = Demand(verb=Verb.PAUSE, owner="operator", reason=m["reason"], name=m["name"])
    _give(play, replace(demand, seconds=seconds))


def _stops_all(play: "Play", m: re.Match[str]) -> None:
    _give(play, Demand(verb=Verb.STOP, owner="operator", reason=m["reason"]))


def _resumes_all(play: "Play", m: re.Match[str]) -> None:
    _give(play, Demand(verb=Verb.RESUME, owner="operator", reason="done"))


def _file_put(play: "Play", m: re.Match[str]) -> None:
    play.site.stop_file = m["text"]


def _file_taken(play: "Play", m: re.Match[str]) -> None:
    play.site.stop_file = None


def _resumes_orders(play: "Play", m: re.Match[str]) -> None:
    _give(play, Demand(verb=Verb.RESUME, owner="operator", reason="done", name=m["name"]))


def _give(play: "Play", demand: Demand) -> None:
    assert play.site.verbs is not None
    play.given = asyncio.create_task(play.site.verbs.give(demand), name=f"order {demand.verb}")


def _second_starts(play: "Play", m: re.Match[str]) -> None:
    play.start_second()


def _journal_copied(play: "Play", m: re.Match[str]) -> None:
    play.site.copy_journal(play.second.journal.parents[1])


def _flag_set(play: "Play", m: re.Match[str]) -> None:
    play.site.world.stop_controllers(m["text"])


def _flag_taken(play: "Play", m: re.Match[str]) -> None:
    play.site.world.allow_controllers()


def _clock_jumps(play: "Play", m: re.Match[str]) -> None:
    seconds = float(m["seconds"])
    play.site.clock.error += timedelta(seconds=-seconds if m["way"] == "back" else seconds)


def _disk_full(play: "Play", m: re.Match[str]) -> None:
    play.site.disk.is_full = True


def _disk_has_room(play: "Play", m: re.Match[str]) -> None:
    play.site.disk.is_full = False


_VM = r"(?P<vm>[\w.-]+)"
_NODE = r"(?P<node>[\w-]+)"
_COMMAND = rf"(?P<command>{'|'.join(_COMMANDS)})"
_WORKS = rf"(?P<work>{'|'.join(_WORK)})"

_TABLE: tuple[tuple[str, Deed], ...] = (
    (rf"admin moves {_VM} to {_NODE}", _moves),
    (rf"admin moves {_VM} to {_NODE} while it is off", _moves_offline),
    (rf"admin shuts {_VM} down", _shuts_down),
    (rf"admin saves {_VM}", _saves),
    (rf"admin starts {_VM}", _starts),
    (rf"admin renames {_VM} to (?P<name>[\w.-]+)", _renames),
    (rf"admin deletes {_VM}", _deletes),
    (rf"admin makes a VM {_VM} on {_NODE}", _adds),
    (rf"admin ejects the media of {_VM}", _ejects),
    (rf"admin inserts (?P<path>\S+) into {_VM}", _inserts),
    (rf"admin moves the disk of {_VM} to (?P<path>\S+)", _moves_disk),
    (rf"admin locks {_VM}", _locks),
    (rf"admin unlocks {_VM}", _unlocks),
    (rf"admin lets {_VM} run on (?P<nodes>.+) only", _limits_owners),
    (rf"admin allows the failback of {_VM}", _allows_failback),
    (rf"admin makes (?P<path>\S+) the folder for VMs on {_NODE}", _names_folder),
    (r"admin makes the folder (?P<path>\S+)", _makes_folder),
    (rf"admin pauses {_NODE}", _pauses),
    (rf"admin drains {_NODE}", _drains),
    (rf"admin resumes {_NODE}", _resumes),
    (r"admin turns the balancer on", _balancer_on),
    (r"admin turns the balancer off", _balancer_off),
    (rf"{_WORKS} of {_VM} begins", _work_begins),
    (rf"{_WORKS} of {_VM} ends", _work_ends),
    (rf"fate breaks the next migration of {_VM}", _breaks),
    (rf"fate kills node {_NODE}", _dies),
    (rf"fate brings node {_NODE} back", _boots),
    (rf"admin takes {_NODE} out of SCVMM", _leaves_scvmm),
    (rf"admin joins node {_NODE}(?: with PowerShell (?P<version>[\d.]+))?", _joins),
    (rf"admin updates PowerShell on {_NODE}", _updates_powershell),
    (rf"fate cuts {_NODE} off", _cut_off),
    (rf"fate makes {_NODE} deaf to the controller", _goes_dark),
    (rf"fate lets {_NODE} hear the controller again", _answers_again),
    (rf"fate loses the next {_COMMAND}", _loses_request),
    (rf"fate loses the reply to the next {_COMMAND}", _loses_reply),
    (rf"fate delivers the next {_COMMAND} (?P<seconds>\d+) s late", _delays),
    (r"operator approves what waits", _approves),
    (r"operator stops everything: (?P<reason>.+)", _stops_all),
    (r"operator resumes everything", _resumes_all),
    (r"operator puts the stop file: (?P<text>.+)", _file_put),
    (r"operator takes the stop file away", _file_taken),
    (
        r"operator pauses (?P<name>[\w.-]+)( for (?P<seconds>\d+) s)?: (?P<reason>.+)",
        _pauses_orders,
    ),
    (r"operator resumes (?P<name>[\w.-]+)", _resumes_orders),
    (r"fate sets the clock (?P<way>back|forward) by (?P<seconds>\d+) s", _clock_jumps),
    (r"fate kills the controller", _killed),
    (rf"fate kills the controller before the next {_COMMAND} leaves", _killed_before),
    (rf"fate kills the controller after the next {_COMMAND} has left", _killed_after),
    (r"fate loses the journal", _journal_lost),
    (r"fate fills the disk of the journal", _disk_full),
    (r"admin makes room on the disk of the journal", _disk_has_room),
    (r"admin forbids controllers in the cluster: (?P<text>.+)", _flag_set),
    (r"admin allows controllers in the cluster again", _flag_taken),
    (r"fate copies the machine of the controller", _journal_copied),
    (r"supervisor starts the controller", _starts_again),
    (r"supervisor starts a second controller", _second_starts),
)


def operation_of(command: str) -> str:
    """The operation of docs/protocol.md that a step's word for a command means."""
    return _COMMANDS[command][0]
