"""A disk that stops the process at a chosen write, as kill -9 or as a power cut does.

It sits between SQLite and the file system (sqlite.org/vfs.html): every write, sync and truncation of the database and its log is
counted, and what was not yet synced can be taken back.
"""

import os
from typing import Any, Literal

import apsw

Way = Literal["kill", "torn", "power"]
"""Before the write; in the midst of it; before it, and everything not synced is gone too."""

KILLED = 137


class Disk:
    """Counts what is done to it and ends the process at one of its operations."""

    def __init__(self, at: int = 0, way: Way = "kill") -> None:
        """
        Args:
            at: Number of the operation, from 1; 0 only counts.
        """
        self.at, self.way = at, way
        self.operations: list[str] = []
        self.unsynced: list[tuple[_File, str, int, bytes, int]] = []
        self._vfs = _Disk(self)

    def mount(self) -> "Disk":
        """Use it for all databases opened from now on in this process."""
        apsw.set_default_vfs("faulty")
        return self

    def note(self, operation: str) -> bool:
        """Count an operation; whether it is the last one."""
        self.operations.append(operation)
        return len(self.operations) == self.at

    def end(self) -> None:
        """Stop the process here."""
        if self.way == "power":
            for file, _, offset, before, size in reversed(self.unsynced):
                apsw.VFSFile.xWrite(file, before, offset)
                apsw.VFSFile.xTruncate(file, size)
        os._exit(KILLED)


class _Disk(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        super().__init__("faulty", "unix")
        self.disk = disk

    def xOpen(self, name: Any, flags: Any) -> "_File":  # noqa: N802 - named by SQLite
        return _File(self.disk, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: Any) -> None:
        self.disk = disk
        self.name = "log" if str(name.filename() if hasattr(name, "filename") else name).endswith("-wal") else "database"
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self.disk.note(f"write {self.name}"):
            if self.disk.way == "torn":
                super().xWrite(data[:len(data) // 2], offset)
            self.disk.end()
        size = self.xFileSize()
        before = super().xRead(min(len(data), max(0, size - offset)), offset) if offset < size else b""
        self.disk.unsynced.append((self, self.name, offset, before, size))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self.disk.note(f"sync {self.name}"):
            self.disk.end()
        super().xSync(flags)
        self.disk.unsynced = [write for write in self.disk.unsynced if write[1] != self.name]

    def xTruncate(self, size: int) -> None:  # noqa: N802
        if self.disk.note(f"truncate {self.name}"):
            self.disk.end()
        super().xTruncate(size)
