"""Looks through a data folder and says what is wrong with it; changes nothing."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec

from revisit.adapters.local.backend import ASSETS, DATABASE
from revisit.adapters.local.disk_space import network_disk
from revisit.adapters.local.sqlite import Database
from revisit.adapters.local.webhook_key import FILE, open_to_others
from revisit.domain.alert import Alert
from revisit.domain.job import Job
from revisit.domain.subscription import Subscription
from revisit.errors import BadInput, GiveUp, Retry
from revisit.ports.record_types import NAMES, decode, index_of
from revisit.ports.system_records import DeadLetter

MOST = 20
"""Findings of one sort that are listed; the rest are counted."""


def check_data(data: Path) -> list[str]:
    """What is wrong with a data folder, a sentence each; empty where all is well."""
    if not data.is_dir():
        return [f"there is no data folder {data}; `revisit serve --data {data}` makes one"]
    findings = []
    if kind := network_disk(data):
        findings.append(f"the data folder {data} is on a network disk ({kind}), where a lost connection can damage it; move it to a local one")
    if open_to_others(data):
        findings.append(f"{data / FILE}, which webhooks are signed with, can be read by other users; `chmod 600` it and rotate the webhooks' secrets")
    file = data / DATABASE
    if not file.exists() and not file.with_name(file.name + "-wal").exists():
        return [*findings, f"{file} is missing: no subscriptions, orders or alerts are known here; put a copy in its place if there were any"]
    try:
        database = Database(file)
        with database.reading() as connection:
            for look in (_integrity(connection, file), _records(connection), _alerts(connection), _assets(connection, data), _keys(connection, data),
                         _letters(connection)):
                findings += _first(look)
        database.close()
    except (GiveUp, Retry) as error:
        findings.append(str(error))
    return findings


def _integrity(connection: apsw.Connection, file: Path) -> Iterator[str]:
    for (lines,) in connection.execute("PRAGMA integrity_check(100)"):
        for line in lines.splitlines():
            if line != "ok":
                yield f"{file} is damaged: {line}; put a copy in its place"


def _records(connection: apsw.Connection) -> Iterator[str]:
    """Every record can be read, and is found by its own values and no others."""
    known = defaultdict(set)
    for kind, id, field, value in connection.execute("SELECT kind, id, field, value FROM record_index"):
        known[kind, id].add((field, value))
    for kind, id, body in connection.execute("SELECT kind, id, body FROM record"):
        if kind not in NAMES:
            yield f"record {id!r} is a {kind!r}, which this version does not know"
            continue
        try:
            record = decode(body, NAMES[kind])
        except (msgspec.MsgspecError, BadInput) as error:
            yield f"{kind} {id!r} cannot be read: {error}"
            continue
        if {(field, value) for field, values in index_of(record).items() for value in values} != known.pop((kind, id), set()):
            yield f"{kind} {id!r} is not found by what it holds; write it again"
    for kind, id in known:
        yield f"{kind} {id!r} is found but not there"


def _alerts(connection: apsw.Connection) -> Iterator[str]:
    """The alerts of a subscription are numbered from 1 without a gap."""
    numbers = defaultdict(list)
    for alert in _all(connection, Alert):
        numbers[alert.subscription].append(alert.number)
    for subscription in _all(connection, Subscription):
        found = sorted(numbers.get(subscription.id, []))
        if found != list(range(1, subscription.alerts + 1)):
            yield f"subscription {subscription.id!r} counts {subscription.alerts} alerts, but {len(found)} are there, the last being number {max(found, default=0)}"


def _assets(connection: apsw.Connection, data: Path) -> Iterator[str]:
    """What jobs made is there in its full length."""
    for job in _all(connection, Job):
        for asset in job.assets:
            file = data / ASSETS / asset.path
            size = file.stat().st_size if file.is_file() else None
            if size != asset.size:
                what = "is missing" if size is None else f"has {size} bytes instead of {asset.size}"
                yield f"{file} of job {job.id!r} {what}; order it again"


def _keys(connection: apsw.Connection, data: Path) -> Iterator[str]:
    """The key that webhooks are signed with is there."""
    signed = any(channel.generation for watcher in _all(connection, Subscription) if watcher.state != "deleted" for channel in watcher.channels)
    if signed and not (data / FILE).exists():
        yield (f"{data / FILE} is missing, which webhooks are signed with; put a copy in its place, or rotate each webhook's secret, "
               "for a new key signs with others")


def _letters(connection: apsw.Connection) -> Iterator[str]:
    count = connection.execute("SELECT count(*) FROM record WHERE kind = ?", (DeadLetter.__name__.lower(),)).get
    if count:
        yield f"{count} dead letter{'s wait' if count > 1 else ' waits'} for a look: `revisit dead-letters list`"


def _all[T](connection: apsw.Connection, kind: type[T]) -> Iterator[T]:
    for (body,) in connection.execute("SELECT body FROM record WHERE kind = ?", (kind.__name__.lower(),)):
        try:
            yield decode(body, kind)
        except (msgspec.MsgspecError, BadInput):
            continue  # told by `_records`


def _first(findings: Iterator[str]) -> list[str]:
    found = list(findings)
    return found if len(found) <= MOST else [*found[:MOST], f"... and {len(found) - MOST} more like the last one"]
