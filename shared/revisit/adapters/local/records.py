"""Records as JSON documents in SQLite, indexed by the fields that `ports.record_types.KINDS` names."""

import contextlib
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import apsw
import msgspec

from revisit.adapters.local.outbox import enqueue
from revisit.adapters.local.sqlite import Database
from revisit.adapters.local.wakeup import Wakeup
from revisit.domain.clock import Clock
from revisit.errors import PermanentError
from revisit.ports.cloudevents import Envelope
from revisit.ports.record_types import (
    KINDS,
    KINDS_BY_NAME,
    SORTED_LISTS,
    check_sorted_list,
    collection_name,
    decode,
    encode,
    indexed_values,
    sort_keys,
)

MARK_RETENTION = timedelta(days=30)


class LocalRecords:
    """`ports.Records` in one database file, shared by threads and processes."""

    def __init__(self, database: Database, now: Clock, wakeup: Wakeup) -> None:
        self._database = database
        self._now = now
        self._wakeup = wakeup
        _reindex_records(database)

    def get[T](self, kind: type[T], id: str) -> T | None:
        with self._database.read_connection() as connection:
            return _get_record(connection, kind, id)

    def find[T](self, kind: type[T], after: str = "", limit: int = 1000, **fields: Any) -> list[T]:
        statement, values = _search_sql(kind, fields)
        with self._database.read_connection() as connection:
            return [
                _decode_record(body, kind)
                for (body,) in connection.execute(f"SELECT body {statement} LIMIT ?", (*values, after, limit))
            ]

    def find_sorted[T](
        self,
        kind: type[T],
        sort: str,
        *,
        after: tuple[str, str] | None = None,
        limit: int = 100,
        descending: bool = False,
        **fields: Any,
    ) -> list[T]:
        check_sorted_list(kind, fields, sort)
        list_name = _list_name(tuple(sorted(fields)), sort)
        prefix = _list_value([str(fields[name]) for name in sorted(fields)])
        first, last = (prefix, ""), (f"{prefix}{_LAST_CHARACTER}", "")
        if after is not None:
            key, id = f"{prefix}{after[0]}", after[1]
            if descending:
                last = (key, id)
            else:
                first = (key, id or _LAST_CHARACTER)
        statement = _SORTED_SQL.format(order="DESC" if descending else "ASC")
        with self._database.read_connection() as connection:
            return [
                _decode_record(body, kind)
                for (body,) in connection.execute(
                    statement, (collection_name(kind), list_name, *first, *last, limit)
                )
            ]

    def count(self, kind: type[Any], **fields: Any) -> int:
        statement, values = _search_sql(kind, fields)
        with self._database.read_connection() as connection:
            return int(connection.execute(f"SELECT count(*) {statement}", (*values, "")).get)

    def wait_for_commit(self, last_seen: int, timeout_s: float) -> int:
        ends = time.monotonic() + timeout_s
        while self._wakeup.count == last_seen and (left := ends - time.monotonic()) > 0:
            self._wakeup.wait(last_seen, left)
        return self._wakeup.count

    def transact[T](self, work: Callable[["LocalTransaction"], T]) -> T:
        with self._database.transaction() as connection:
            transaction = LocalTransaction(connection, self._now())
            result = work(transaction)
            transaction.close()
        if transaction.sent:
            self._wakeup.notify()
        return result


class LocalTransaction:
    """Transaction on one connection: reads first, then writes."""

    def __init__(self, connection: apsw.Connection, now: datetime) -> None:
        self._connection: apsw.Connection | None = connection
        self._now = now
        self._has_written = False
        self.sent = 0
        """Number of messages that the transaction queued."""

    def close(self) -> None:
        """End the transaction; later calls raise."""
        self._connection = None

    def get[T](self, kind: type[T], id: str) -> T | None:
        return _get_record(self._read_connection(), kind, id)

    def put(self, record: Any) -> None:
        write_record(self._write_connection(), record)

    def delete(self, kind: type[Any], id: str) -> None:
        delete_record(self._write_connection(), kind, id)

    def has_dedupe_key(self, key: str) -> bool:
        return self._read_connection().execute("SELECT 1 FROM mark WHERE id = ?", (key,)).get is not None

    def add_dedupe_key(self, key: str) -> None:
        connection, now = self._write_connection(), self._now.timestamp()
        connection.execute("INSERT INTO mark (id, at) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", (key, now))
        # Each new mark removes up to two expired ones, so that the table holds about 30 days of them.
        connection.execute(
            "DELETE FROM mark WHERE key IN (SELECT key FROM mark ORDER BY key LIMIT 2) AND at < ?",
            (now - MARK_RETENTION.total_seconds(),),
        )

    def send(self, envelope: Envelope) -> None:
        self.sent += enqueue(self._write_connection(), envelope, self._now)

    def _read_connection(self) -> apsw.Connection:
        if self._has_written:
            raise RuntimeError(
                "a transaction reads before its first write; read everything first, then put, mark and send"
            )
        return self._require_open()

    def _write_connection(self) -> apsw.Connection:
        self._has_written = True
        return self._require_open()

    def _require_open(self) -> apsw.Connection:
        if self._connection is None:
            raise RuntimeError(
                "the transaction is over; do all reading and writing within the function given to `transact`"
            )
        return self._connection


def write_record(connection: apsw.Connection, record: Any) -> None:
    """Write a record and the changed entries of its index."""
    kind = collection_name(type(record))
    connection.execute(
        "INSERT INTO record (kind, id, body) VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET body = "
        "excluded.body",
        (kind, record.id, encode(record).decode()),
    )
    wanted = index_entries(record)
    known = set(
        connection.execute(
            "SELECT field, value FROM record_index WHERE kind = ? AND id = ?", (kind, record.id)
        )
    )
    for field, value in known - wanted:
        connection.execute(
            "DELETE FROM record_index WHERE kind = ? AND field = ? AND value = ? AND id = ?",
            (kind, field, value, record.id),
        )
    for field, value in wanted - known:
        connection.execute(
            "INSERT INTO record_index (kind, field, value, id) VALUES (?, ?, ?, ?)",
            (kind, field, value, record.id),
        )


def index_entries(record: Any) -> set[tuple[str, str]]:
    """Index entries of a record: fields with values, and sorted lists with values and sort key."""
    values, keys = indexed_values(record), sort_keys(record)
    return {(field, value) for field in values for value in values[field]} | {
        (_list_name(fields, sort), _list_value(combination) + keys[sort])
        for fields, sort in SORTED_LISTS.get(type(record), ())
        if sort in keys
        for combination in product(*(values[name] for name in fields))
    }


def _list_name(fields: tuple[str, ...], sort: str) -> str:
    return f"{'+'.join(fields)}>{sort}"


def _list_value(values: Iterable[str]) -> str:
    """Values before the sort key, each with a separator that no id, owner or state contains."""
    return "".join(f"{value}\x1f" for value in values)


def _reindex_records(database: Database) -> None:
    """Rebuild the index of all records where an earlier version wrote it with other fields."""
    fields = msgspec.json.encode(
        {collection_name(kind): [*names, *SORTED_LISTS.get(kind, ())] for kind, names in KINDS.items()}
    ).decode()
    with database.read_connection() as connection:
        if connection.execute("SELECT 1 FROM setting WHERE name = 'found by' AND value = ?", (fields,)).get:
            return
    with database.transaction() as connection:
        for kind, body in list(connection.execute("SELECT kind, body FROM record")):
            with contextlib.suppress(KeyError, msgspec.MsgspecError):  # `doctor` reports unreadable records.
                write_record(connection, decode(body, KINDS_BY_NAME[kind]))
        connection.execute(
            "INSERT INTO setting (name, value) VALUES ('found by', ?) ON CONFLICT (name) DO UPDATE SET "
            "value = excluded.value",
            (fields,),
        )


def delete_record(connection: apsw.Connection, kind: type[Any], id: str) -> None:
    """Remove a record if it exists."""
    connection.execute("DELETE FROM record WHERE kind = ? AND id = ?", (collection_name(kind), id))
    connection.execute("DELETE FROM record_index WHERE kind = ? AND id = ?", (collection_name(kind), id))


def _get_record[T](connection: apsw.Connection, kind: type[T], id: str) -> T | None:
    body = connection.execute(
        "SELECT body FROM record WHERE kind = ? AND id = ?", (collection_name(kind), id)
    ).get
    return None if body is None else _decode_record(body, kind)


def _decode_record[T](body: str, kind: type[T]) -> T:
    try:
        return decode(body, kind)
    except msgspec.MsgspecError as error:
        raise PermanentError(
            f"a record of kind {collection_name(kind)} is damaged ({error}); run `revisit doctor` to see "
            "which"
        ) from error


_LAST_CHARACTER = "\U0010ffff"
"""Sorts after every other character."""
_SORTED_SQL = (
    "SELECT body FROM record_index AS lead CROSS JOIN record"
    " ON record.kind = lead.kind AND record.id = lead.id"
    " WHERE lead.kind = ? AND lead.field = ?"
    " AND (lead.value, lead.id) > (?, ?) AND (lead.value, lead.id) < (?, ?)"
    " ORDER BY lead.value {order}, lead.id {order} LIMIT ?"
)
_ALL_SQL = "FROM record WHERE kind = ? AND id > ? ORDER BY id"
_FIELDS_SQL = (
    "FROM record_index AS lead CROSS JOIN record ON record.kind = lead.kind AND record.id = lead.id"
    " WHERE lead.field = ? AND lead.value = ?{others} AND lead.kind = ? AND lead.id > ? ORDER BY lead.id"
)
_OTHER_FIELD_SQL = (
    " AND EXISTS (SELECT 1 FROM record_index AS other"
    " WHERE other.kind = lead.kind AND other.field = ? AND other.value = ? AND other.id = lead.id)"
)


def _search_sql(kind: type[Any], fields: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """FROM and WHERE clauses that find records by fields, and their parameters up to `after`."""
    if unknown := fields.keys() - set(KINDS[kind]):
        raise ValueError(
            f"a {collection_name(kind)} is not found by {', '.join(sorted(unknown))}; only by "
            f"{', '.join(KINDS[kind])}"
        )
    if not fields:
        return _ALL_SQL, (collection_name(kind),)
    # Many records share a state or an owner, so the other fields come first.
    names = sorted(fields, key=lambda name: name in ("owner", "state"))
    statement = _FIELDS_SQL.format(others=_OTHER_FIELD_SQL * (len(names) - 1))
    return statement, (*(text for name in names for text in (name, str(fields[name]))), collection_name(kind))
