"""The settings of roles, VMs and nodes that the specs have a say in, and how one changes."""

from dataclasses import dataclass
from enum import StrEnum


class Setting(StrEnum):
    """What may be written, in the order in which it is."""

    FAILBACK = "Failback"
    """Of the role, by the cluster itself: on or off."""
    POSSIBLE_OWNERS = "PossibleOwners"
    """Of both resources of the role."""
    PREFERRED_OWNERS = "PreferredOwners"
    PRIORITY = "Priority"
    PROCESSOR_COMPATIBILITY = "ProcessorCompatibility"
    """Of the VM: whether it can move to other models of its processor."""
    DEFAULT_FOLDERS = "DefaultFolders"
    """Of a node: where it puts new VMs, and where new disks, unless it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting that is not as the specs say."""

    setting: Setting
    before: tuple[str, ...]
    """Names of nodes, two folders, or one word: `on`, `off`, a number."""
    after: tuple[str, ...]
    not_written: str = ""
    """Why it is never written, only reported; empty where nothing speaks against it."""
