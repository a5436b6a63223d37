"""Abilities of file systems: exclusive renames, and detection of network file systems."""

import errno
import os
from pathlib import Path

NETWORK_FILESYSTEMS = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "fuse.sshfs",
    "fuse.glusterfs",
    "afpfs",
)
"""File systems whose locks a database cannot rely on (sqlite.org/faq.html, question 5)."""


def link_if_absent(file: Path, target: Path) -> bool:
    """Give a finished file its name unless the name is taken; returns whether it did. `file` may keep its
    name too.

    Raises:
        OSError: The paths are on different disks, or the disk is full or failing.
    """
    try:
        os.link(file, target, follow_symlinks=False)
        return True
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
    # A disk without hard links; here two processes may both succeed.
    if target.exists():
        return False
    file.rename(target)
    return True


def network_filesystem(folder: Path) -> str:
    """Type of the network file system of a folder; empty for a local or an unknown one."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return ""
    place, best, kind = folder.resolve(), Path("/"), ""
    for line in mounts.read_text().splitlines():
        at, name = (part.replace("\\040", " ") for part in line.split()[1:3])
        if place.is_relative_to(at) and len(Path(at).parts) >= len(best.parts):
            best, kind = Path(at), name
    return kind if kind in NETWORK_FILESYSTEMS else ""
