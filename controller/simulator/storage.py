"""Files on cluster shared volumes and on the nodes' own disks.

A path is on a volume if it begins with the volume's mount point and a backslash, whatever the
case: `Volume1` must not match `Volume10`.
"""

from __future__ import annotations

from controller.model.names import fold
from controller.simulator.cmdlet_errors import DISK_FULL, FILE_EXISTS, FILE_NOT_FOUND, Refusal
from controller.simulator.inventory import Cluster, File, Node, Volume
from controller.simulator.states import VhdType

VHD_OVERHEAD_BYTES = 4 * 1024**2  # a fresh dynamic VHDX
_SHARED_ROOT = "c:\\clusterstorage\\"
_RUNTIME_FILE_BYTES = 64 * 1024


def volume_of(cluster: Cluster, path: str) -> Volume | None:
    """The cluster shared volume that holds this path."""
    wanted = fold(path) + "\\"
    return next((v for v in cluster.volumes if wanted.startswith(fold(v.mount) + "\\")), None)


def on_shared_volume(cluster: Cluster, path: str) -> bool:
    volume = volume_of(cluster, path)
    return volume is not None and volume.online


def files_seen(cluster: Cluster, node: Node, path: str) -> dict[str, File]:
    """The file table that this path belongs to, as seen from a node."""
    return cluster.files if fold(path).startswith(_SHARED_ROOT) else node.files


def find_file(cluster: Cluster, node: Node, path: str) -> File | None:
    """The file or folder, as seen from a node; a volume's mount point is a folder."""
    clean = path.rstrip("\\")
    if fold(clean).startswith(_SHARED_ROOT) and not on_shared_volume(cluster, clean):
        return None
    if any(fold(clean) == fold(volume.mount) for volume in cluster.volumes):
        return File(path=clean, is_folder=True)
    return files_seen(cluster, node, clean).get(fold(clean))


def free_bytes(volume: Volume) -> int:
    return max(volume.size_bytes - volume.other_bytes - volume.file_bytes, 0)


def local_free_bytes(node: Node) -> int:
    return max(node.local_disk_bytes - sum(f.size_bytes for f in node.files.values()), 0)


def create_file(cluster: Cluster, node: Node, file: File) -> File:
    """Put a new file on the disk, with the folders above it; nothing is ever overwritten."""
    volume = volume_of(cluster, file.path)
    if fold(file.path).startswith(_SHARED_ROOT) and (volume is None or not volume.online):
        raise Refusal(FILE_NOT_FOUND, f"The path '{file.path}' could not be found.")
    if find_file(cluster, node, file.path) is not None:
        raise Refusal(FILE_EXISTS, f"The file '{file.path}' exists.")
    free = local_free_bytes(node) if volume is None else free_bytes(volume)
    if file.size_bytes > free:
        raise Refusal(DISK_FULL, f"There is not enough space on the disk for '{file.path}'.")
    if volume is not None:
        volume.file_bytes += file.size_bytes
    files = files_seen(cluster, node, file.path)
    files[fold(file.path)] = file
    folder = file.path.rpartition("\\")[0]
    while "\\" in folder and fold(folder) not in files:
        files[fold(folder)] = File(path=folder, is_folder=True)
        folder = folder.rpartition("\\")[0]
    return file


def delete_file(cluster: Cluster, node: Node, path: str) -> None:
    """Take a file off the disk; its folder stays. `KeyError` when there is none."""
    file = files_seen(cluster, node, path).pop(fold(path))
    volume = volume_of(cluster, path)
    if volume is not None:
        volume.file_bytes -= file.size_bytes


def new_vhd(path: str, size_bytes: int, kind: VhdType = VhdType.Dynamic) -> File:
    """A VHD file that is not on any disk yet."""
    on_disk = size_bytes if kind is VhdType.Fixed else VHD_OVERHEAD_BYTES
    return File(path=path, size_bytes=on_disk, vhd_type=kind, virtual_size_bytes=size_bytes)


def configuration_file(folder: str, vm_id: str) -> File:
    """The configuration of a VM below its folder."""
    path = f"{folder}\\Virtual Machines\\{vm_id.upper()}.vmcx"
    return File(path=path, size_bytes=_RUNTIME_FILE_BYTES)
