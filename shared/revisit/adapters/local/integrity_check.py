"""Integrity check of a data folder; changes nothing."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec

from revisit.adapters.local.backend import ASSETS, DATABASE
from revisit.adapters.local.filesystem import network_filesystem
from revisit.adapters.local.records import index_entries
from revisit.adapters.local.sqlite import Database
from revisit.adapters.local.webhook_key import KEY_FILE, is_readable_by_others
from revisit.domain.alert import Alert
from revisit.domain.job import Job
from revisit.domain.subscription import Subscription
from revisit.errors import InvalidInputError, PermanentError, TransientError
from revisit.ports.record_types import KINDS_BY_NAME, collection_name, decode
from revisit.ports.system_records import DeadLetter

MAX_FINDINGS = 20
"""Findings of one kind that are listed; the rest are counted."""


def check_data(data: Path) -> list[str]:
    """Faults of a data folder, one sentence each; empty if there is none."""
    if not data.is_dir():
        return [f"there is no data folder {data}; `revisit serve --data {data}` creates one"]
    findings = []
    if kind := network_filesystem(data):
        findings.append(
            f"the data folder {data} is on a network disk ({kind}), where a lost connection can damage it; "
            "move it to a local one"
        )
    if is_readable_by_others(data):
        findings.append(
            f"{data / KEY_FILE}, which webhooks are signed with, can be read by other users; `chmod 600` it "
            "and rotate the webhooks' secrets"
        )
    file = data / DATABASE
    if not file.exists() and not file.with_name(file.name + "-wal").exists():
        return [
            *findings,
            (
                f"{file} is missing: no subscriptions, orders or alerts are known here; restore it from a "
                "backup if there were any"
            ),
        ]
    try:
        database = Database(file)
        with database.read_connection() as connection:
            for look in (
                _check_integrity(connection, file),
                _check_records(connection),
                _check_alerts(connection),
                _check_assets(connection, data),
                _check_webhook_key(connection, data),
                _check_dead_letters(connection),
            ):
                findings += _limit_findings(look)
        database.close()
    except (PermanentError, TransientError) as error:
        findings.append(str(error))
    except UnicodeDecodeError as error:
        findings.append(
            f"{file} is damaged: it holds text that is not UTF-8 ({error.reason}); put a copy in its place"
        )
    return findings


def _check_integrity(connection: apsw.Connection, file: Path) -> Iterator[str]:
    for (lines,) in connection.execute("PRAGMA integrity_check(100)"):
        for line in lines.splitlines():
            if line != "ok":
                yield f"{file} is damaged: {line}; restore it from a backup"


def _check_records(connection: apsw.Connection) -> Iterator[str]:
    """Check that every record can be read and is indexed by its own values only."""
    known = defaultdict(set)
    for kind, id, field, value in connection.execute("SELECT kind, id, field, value FROM record_index"):
        known[kind, id].add((field, value))
    for kind, id, body in connection.execute("SELECT kind, id, body FROM record"):
        if kind not in KINDS_BY_NAME:
            yield f"record {id!r} is a {kind!r}, which this version does not know"
            continue
        try:
            record = decode(body, KINDS_BY_NAME[kind])
        except (msgspec.MsgspecError, InvalidInputError) as error:
            yield f"{kind} {id!r} cannot be read: {error}"
            continue
        if index_entries(record) != known.pop((kind, id), set()):
            yield f"{kind} {id!r} is not indexed by its values; write it again"
    for kind, id in known:
        yield f"{kind} {id!r} is in the index, but has no record"


def _check_alerts(connection: apsw.Connection) -> Iterator[str]:
    """Check that the alerts of a subscription are numbered from 1 without a gap."""
    numbers = defaultdict(list)
    for alert in _read_all(connection, Alert):
        numbers[alert.subscription].append(alert.number)
    for subscription in _read_all(connection, Subscription):
        found = sorted(numbers.get(subscription.id, []))
        if found != list(range(1, subscription.alerts + 1)):
            yield (
                f"subscription {subscription.id!r} counts {subscription.alerts} alerts, but has "
                f"{len(found)}, "
                f"the last with number {max(found, default=0)}"
            )


def _check_assets(connection: apsw.Connection, data: Path) -> Iterator[str]:
    """Check that the assets of jobs exist in their full length."""
    for job in _read_all(connection, Job):
        for asset in job.assets:
            file = data / ASSETS / asset.path
            size = file.stat().st_size if file.is_file() else None
            if size != asset.size:
                what = "is missing" if size is None else f"has {size} bytes instead of {asset.size}"
                yield f"{file} of job {job.id!r} {what}; order it again"


def _check_webhook_key(connection: apsw.Connection, data: Path) -> Iterator[str]:
    """Check that the key that signs webhooks exists."""
    signed = any(
        channel.generation
        for subscription in _read_all(connection, Subscription)
        if subscription.state != "deleted"
        for channel in subscription.channels
    )
    if signed and not (data / KEY_FILE).exists():
        yield (
            f"{data / KEY_FILE} is missing, which webhooks are signed with; restore it from a backup, or "
            "rotate the secret of each webhook, because a new key changes them"
        )


def _check_dead_letters(connection: apsw.Connection) -> Iterator[str]:
    count = connection.execute(
        "SELECT count(*) FROM record WHERE kind = ?", (collection_name(DeadLetter),)
    ).get
    if count:
        letters = "is 1 dead letter" if count == 1 else f"are {count} dead letters"
        yield f"there {letters}; run `revisit dead-letters list`"


def _read_all[T](connection: apsw.Connection, kind: type[T]) -> Iterator[T]:
    for (body,) in connection.execute("SELECT body FROM record WHERE kind = ?", (collection_name(kind),)):
        try:
            yield decode(body, kind)
        except (msgspec.MsgspecError, InvalidInputError):
            continue  # reported by `_check_records`


def _limit_findings(findings: Iterator[str]) -> list[str]:
    found = list(findings)
    return (
        found
        if len(found) <= MAX_FINDINGS
        else [*found[:MAX_FINDINGS], f"... and {len(found) - MAX_FINDINGS} more like the last one"]
    )
