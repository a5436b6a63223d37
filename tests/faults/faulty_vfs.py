"""A SQLite VFS that ends the process at a chosen write, as kill -9 or a power cut does.

It wraps the file system (sqlite.org/vfs.html): it counts every write, sync and truncation of the database and
its write-ahead log, and can undo what was not yet synced.
"""

import os
from typing import Any, Literal

import apsw

CrashMode = Literal["kill", "torn", "power"]
"""kill: before the write. torn: after half of it. power: before it, and unsynced writes are undone."""

KILLED_STATUS = 137


class FaultyDisk:
    """Counts operations and ends the process at one of them."""

    def __init__(self, crash_at: int = 0, mode: CrashMode = "kill") -> None:
        """
        Args:
            crash_at: Number of the operation, from 1; 0 only counts.
            mode: How the process ends.
        """
        self.crash_at, self.mode = crash_at, mode
        self.operations: list[str] = []
        self.unsynced: list[tuple[_FaultyFile, str, int, bytes, int]] = []
        self._vfs = _FaultyVfs(self)

    def mount(self) -> "FaultyDisk":
        """Use this disk for all databases that this process opens from now on."""
        apsw.set_default_vfs("faulty")
        return self

    def count_operation(self, operation: str) -> bool:
        """Count an operation; returns whether the process is to end at it."""
        self.operations.append(operation)
        return len(self.operations) == self.crash_at

    def crash(self) -> None:
        """End the process."""
        if self.mode == "power":
            for file, _, offset, before, size in reversed(self.unsynced):
                apsw.VFSFile.xWrite(file, before, offset)
                apsw.VFSFile.xTruncate(file, size)
        os._exit(KILLED_STATUS)


class _FaultyVfs(apsw.VFS):
    def __init__(self, disk: FaultyDisk) -> None:
        super().__init__("faulty", "unix")
        self.disk = disk

    def xOpen(self, name: Any, flags: Any) -> "_FaultyFile":  # noqa: N802 - named by SQLite
        return _FaultyFile(self.disk, name, flags)


class _FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: Any, flags: Any) -> None:
        self.disk = disk
        self.name = (
            "log"
            if str(name.filename() if hasattr(name, "filename") else name).endswith("-wal")
            else "database"
        )
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self.disk.count_operation(f"write {self.name}"):
            if self.disk.mode == "torn":
                super().xWrite(data[: len(data) // 2], offset)
            self.disk.crash()
        size = self.xFileSize()
        before = super().xRead(min(len(data), max(0, size - offset)), offset) if offset < size else b""
        self.disk.unsynced.append((self, self.name, offset, before, size))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self.disk.count_operation(f"sync {self.name}"):
            self.disk.crash()
        super().xSync(flags)
        self.disk.unsynced = [write for write in self.disk.unsynced if write[1] != self.name]

    def xTruncate(self, size: int) -> None:  # noqa: N802
        if self.disk.count_operation(f"truncate {self.name}"):
            self.disk.crash()
        super().xTruncate(size)
