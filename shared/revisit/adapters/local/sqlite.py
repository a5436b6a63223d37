"""The database file of a data folder: records, marks, queue and settings, so that one transaction spans them.

Settings: write-ahead log, synchronous=FULL, busy timeout of 5 s, no memory map, BEGIN IMMEDIATE. apsw bundles
a SQLite without the fault of resetting the write-ahead log (sqlite.org/wal.html, "the WAL-reset bug", fixed
in 3.51.3).
"""

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from revisit.adapters.local.filesystem import link_if_absent
from revisit.atomic_write import fsync_path
from revisit.errors import InvalidInputError, PermanentError, TransientError

SCHEMA_VERSION = 1
"""Version of the tables; a folder with a higher number is from a newer Revisit."""
APPLICATION_ID = 0x52767374
"""Application id of the file ("Rvst")."""
BUSY_TIMEOUT_MS = 5000
MIN_SQLITE_VERSION = (3, 51, 3)

SCHEMA = """
CREATE TABLE record (
    key INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, id)
) STRICT;
CREATE TABLE record_index (
    kind TEXT NOT NULL,
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (kind, field, value, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_index_of ON record_index (kind, id);
CREATE TABLE mark (
    key INTEGER PRIMARY KEY, -- in the order of setting, so that the oldest are found first
    id TEXT NOT NULL UNIQUE,
    at REAL NOT NULL -- seconds since 1970
) STRICT;
CREATE TABLE queue (
    key INTEGER PRIMARY KEY, -- in the order of arrival
    id TEXT NOT NULL UNIQUE,
    function TEXT NOT NULL,
    topic TEXT NOT NULL,
    lane INTEGER NOT NULL, -- 0 live, 1 backfill
    body BLOB NOT NULL,
    queued REAL NOT NULL, -- seconds since 1970
    due REAL NOT NULL DEFAULT 0, -- 0: ready; else when its lease or its delay ends
    attempt INTEGER NOT NULL DEFAULT 0,
    holder TEXT NOT NULL DEFAULT '', -- the process that leased it
    error TEXT NOT NULL DEFAULT '' -- of the attempt before
) STRICT;
CREATE INDEX queue_ready ON queue (function, lane, key) WHERE due = 0;
CREATE INDEX queue_due ON queue (due) WHERE due > 0;
CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


class Database:
    """Database file of one data folder, shared by threads and processes; each thread has its connection."""

    def __init__(self, file: Path) -> None:
        """Open the file, and create it (but not its folder) if it does not exist.

        Raises:
            InvalidInputError: It is from a newer version, not a database of Revisit, or cannot be written.
            PermanentError: It is damaged.
            TransientError: The disk is full, or the file stays locked.
        """
        if tuple(int(part) for part in apsw.sqlite_lib_version().split(".")) < MIN_SQLITE_VERSION:
            raise PermanentError(
                f"SQLite {apsw.sqlite_lib_version()} can damage a file that two processes write; install "
                "apsw 3.51.3 or newer"
            )
        self.file = file
        self._write_lock = threading.Lock()
        """Serialises writers of this process, which avoids the sleeps of SQLite's busy handler."""
        self._thread_local = threading.local()
        self._connections: weakref.WeakSet[apsw.Connection] = weakref.WeakSet()
        self.connection()

    def connection(self) -> apsw.Connection:
        """Connection of this thread; a forked process opens its own (sqlite.org/howtocorrupt.html, section
        2.6)."""
        own: dict[int, apsw.Connection] = self._thread_local.__dict__.setdefault("connections", {})
        found = own.get(os.getpid())
        if found is None:
            with translate_errors(self.file):
                found = own[os.getpid()] = _open_connection(self.file)
            self._connections.add(found)
        return found

    @contextmanager
    def read_connection(self) -> Iterator[apsw.Connection]:
        """Connection of this thread, with its errors translated."""
        with translate_errors(self.file):
            yield self.connection()

    @contextmanager
    def transaction(self, durable: bool = True) -> Iterator[apsw.Connection]:
        """One serialisable transaction: committed at the end, rolled back by any exception.

        Args:
            durable: Whether it must survive a power cut. A lease need not: the next durable commit syncs it
                too,
                and if it is lost, the message is delivered again.

        Raises:
            TransientError: The file stays locked, or the disk is full; nothing was written.
        """
        connection = self.connection()
        if connection.in_transaction:
            raise RuntimeError("a transaction was started within a transaction; do its work in the open one")
        with self._write_lock, translate_errors(self.file):
            if not durable:
                connection.execute("PRAGMA synchronous=NORMAL")
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if not durable:
                    connection.execute("PRAGMA synchronous=FULL")

    def close(self) -> None:
        """Close the connections of all threads; none may be in use."""
        for connection in list(self._connections):
            connection.close()
        self._connections.clear()
        self._thread_local = threading.local()


@contextmanager
def translate_errors(file: Path) -> Iterator[None]:
    """Translate errors of SQLite into transient and permanent ones that name the folder and the remedy."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise TransientError(
            f"the data folder {file.parent} is busy: another process kept it locked for "
            f"{BUSY_TIMEOUT_MS / 1000:g} s"
        ) from error
    except apsw.FullError as error:
        raise TransientError(
            f"the disk of the data folder {file.parent} is full: nothing was written; free disk space"
        ) from error
    except apsw.IOError as error:
        raise TransientError(
            f"the disk of the data folder {file.parent} refuses writes: {error}; check whether it is full"
        ) from error
    except (apsw.CorruptError, apsw.NotADBError, UnicodeDecodeError) as error:
        # A text that is not UTF-8 was damaged on the disk.
        raise PermanentError(
            f"{file} is damaged or not a database ({error}); run `revisit doctor --data {file.parent}`, "
            "or restore it from a backup"
        ) from error
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError) as error:
        raise InvalidInputError(
            f"the data folder {file.parent} cannot be written ({error}); make it writable, or name another "
            "with --data"
        ) from error


def _open_connection(file: Path) -> apsw.Connection:
    if not file.exists():
        _create_file(file)
    elif not file.stat().st_size:
        raise PermanentError(
            f"{file} is empty; restore it from a backup, or move the folder {file.parent} away to start again"
        )
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        _configure(connection, file)
    except (PermanentError, apsw.Error):
        connection.close()
        raise
    return connection


def _configure(connection: apsw.Connection, file: Path) -> None:
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    connection.execute("PRAGMA mmap_size=0")
    if _query_int(connection, "PRAGMA application_id") != APPLICATION_ID:
        raise InvalidInputError(f"{file} is not a database of Revisit; name another folder with --data")
    if (version := _query_int(connection, "PRAGMA user_version")) > SCHEMA_VERSION:
        raise InvalidInputError(
            f"the data folder {file.parent} is from a newer Revisit (its tables have version {version}, "
            "this one knows "
            f"{SCHEMA_VERSION}); update Revisit, or name another folder with --data"
        )
    if version < SCHEMA_VERSION:
        raise InvalidInputError(
            f"the data folder {file.parent} is from an older Revisit (its tables have version {version}, "
            "this one knows "
            f"{SCHEMA_VERSION}) that cannot be migrated; name another folder with --data"
        )
    if connection.readonly("main"):
        raise InvalidInputError(
            f"{file} cannot be written; make it writable, or name another folder with --data"
        )
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA journal_size_limit=67108864")


def _create_file(file: Path) -> None:
    """Create the tables in a temporary file and rename it, so that an existing file is always complete."""
    log = file.with_name(file.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise PermanentError(
            f"{file} is missing although its log {log.name} exists; restore both from a backup, or move "
            "the folder "
            f"{file.parent} away to start again"
        )
    aside = file.with_name(f".{file.name}.{os.urandom(8).hex()}")
    try:
        connection = apsw.Connection(str(aside))
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(
            f"BEGIN; {SCHEMA} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION}; "
            "COMMIT"
        )
        connection.close()
        link_if_absent(aside, file)
        fsync_path(file.parent)
    finally:
        aside.unlink(missing_ok=True)


def _query_int(connection: apsw.Connection, statement: str) -> int:
    return int(connection.execute(statement).get)
