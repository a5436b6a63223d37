"""A look at everything that may be wrong with an installation and its data; one sentence a finding."""

import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

from revisit import __version__
from revisit.domain.job import FINISHED_STATES, Job
from revisit.domain.order import Order
from revisit.errors import PermanentError, TransientError
from revisit.ports.backend import Backend, Commit
from revisit.ports.health import SupportsCheck, SupportsRebuild
from revisit.ports.pagination import find_all
from revisit.ports.system_records import DeadLetter, SourceState

MIN_FREE_BYTES = 2 * 1024**3
"""Bytes free on the data folder's disk below which doctor warns."""
MAX_ORDER_WRITE_TIME = timedelta(hours=1)
"""An order whose jobs were not all written is given so long before it counts as cut short."""

MAX_QUEUE_AGE_S = 900.0
"""A message that waits longer makes an alert late; those of a backfill may (terraform/monitoring.tf)."""
MAX_OUTBOX_AGE_S = 300.0
"""Events are published right after they are committed, and by the next tick at the latest; an older one waits
in vain."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    ok: bool
    message: str


def check_installation(
    data: Path,
    make_backend: Callable[[], Backend],
    check_data: Callable[[Path], list[str]],
    reach_sources: bool = True,
    rebuild: bool = False,
) -> list[Finding]:
    """Check it all; a check that cannot be made is a finding too.

    Args:
        data: The data folder.
        opened: Makes the backend; what it raises is a finding.
        check_data: Returns what is wrong with the files of a data folder, one sentence each.
        reach_sources: Whether the sources are asked whether they answer.
        mend: Whether the catalog's index is made again before it is checked.
    """
    findings = [check_versions(), check_disk_space(data)]
    if not data.exists():
        return [
            *findings,
            Finding(
                "data folder",
                False,
                f"there is no data folder {data}; `revisit serve --data {data}` makes one",
            ),
        ]
    try:
        backend = make_backend()
        findings.append(Finding("data folder", True, f"{data} can be written"))
    except (PermanentError, TransientError) as error:
        return [*findings, Finding("data folder", False, f"{error}")]
    if rebuild:
        findings.append(rebuild_catalog(backend))
    findings += [
        check_clock(backend),
        *check_records(data, check_data),
        *check_catalog(backend),
        *check_orders(backend),
    ]
    if reach_sources:
        findings += check_sources(
            backend, backend.sources, "no source is refreshed; name one with `revisit serve --source SPEC`"
        )
    return findings


def check_deployment(backend: Backend, reach_sources: bool = True) -> list[Finding]:
    """Check a deployment; a check that cannot be made is a finding too.

    Args:
        backend: Of the deployment; nothing is written.
        reach_sources: Whether the sources are asked whether they answer.
    """
    told = Finding("versions", True, f"Revisit {__version__} on Python {platform.python_version()}")
    findings = [
        told,
        *check_port("messages", backend.bus, "every topic and subscription is there"),
        *check_port("results", backend.assets, "the bucket of results is there, in its region, and open"),
        *check_catalog(backend),
    ]
    try:
        letters = backend.records.count(DeadLetter)
        findings.append(Finding("records", True, "the records answer"))
    except (PermanentError, TransientError) as error:
        return [*findings, Finding("records", False, f"{error}")]
    findings += [
        check_clock(backend),
        check_dead_letters(letters),
        check_outbox(backend),
        check_queue(backend),
        *check_orders(backend),
    ]
    if reach_sources:
        findings += check_sources(
            backend,
            backend.sources or tuple(state.id for state in find_all(backend.records, SourceState)),
            "no source has been refreshed yet; the variable sources of Terraform names them",
        )
    return findings


def check_port(check: str, port: object, ok_message: str) -> list[Finding]:
    """The faults that an adapter finds in its own service, returned or raised."""
    try:
        troubles = port.check() if isinstance(port, SupportsCheck) else []
    except (PermanentError, TransientError) as error:
        troubles = [str(error)]
    return [Finding(check, False, trouble) for trouble in troubles] or [Finding(check, True, ok_message)]


def check_dead_letters(count: int) -> Finding:
    """What waits for somebody to look at it."""
    if not count:
        return Finding("dead letters", True, "there is no dead letter")
    return Finding(
        "dead letters",
        False,
        f"{count:,} dead letter{'s' if count > 1 else ''}: `revisit dead-letters list` tells why; mend the "
        "cause, then `revisit dead-letters replay --all`",
    )


def check_outbox(backend: Backend) -> Finding:
    """Whether what was committed is also published."""
    try:
        oldest = max((depth.oldest_s for depth in backend.bus.depth()), default=0.0)
    except (PermanentError, TransientError) as error:
        return Finding("outbox", False, f"{error}")
    if oldest <= MAX_OUTBOX_AGE_S:
        return Finding("outbox", True, "no event waits in the outbox to be published")
    return Finding(
        "outbox",
        False,
        f"an event has waited in the outbox for {oldest / 60:.0f} minutes: see that the Scheduler job "
        "revisit-deliveries-due runs and what the log of revisit-deliver says, for its ticks publish what was left behind",
    )


def check_queue(backend: Backend) -> Finding:
    """What the service that carries messages holds; not to know it is no fault of the deployment's."""
    told = backend.bus.statistics()
    if told.note:
        return Finding("queue", True, told.note)
    count = sum(depth.ready for depth in told.depths)
    late = max(
        (depth for depth in told.depths if depth.lane == "live"),
        key=lambda depth: depth.oldest_s,
        default=None,
    )
    if late is None or late.oldest_s <= MAX_QUEUE_AGE_S:
        return Finding("queue", True, f"Pub/Sub holds {count:,} messages, of which none is late")
    return Finding(
        "queue",
        False,
        f"Pub/Sub has held a message for {late.function} for {late.oldest_s / 60:.0f} minutes, {count:,} in all: "
        f"see whether revisit-{late.function} runs, and what its log says",
    )


def check_versions() -> Finding:
    """Of what Revisit stands on; SQLite above all, which keeps the records."""
    sqlite = _sqlite_version()
    told = f"Revisit {__version__} on Python {platform.python_version()} with SQLite {sqlite}"
    if tuple(int(part) for part in sqlite.split(".")) < (3, 51, 3):
        return Finding(
            "versions",
            False,
            f"{told}; SQLite 3.51.3 or newer is needed, as older ones can damage a shared file: update apsw",
        )
    return Finding("versions", True, told)


def _sqlite_version() -> str:
    """Of the one that comes with apsw, whose own version begins with it."""
    return ".".join(version("apsw").split(".")[:3])


def check_disk_space(data: Path) -> Finding:
    """Space on the disk of the data folder."""
    place = next(folder for folder in (data.absolute(), *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    told = f"{free / 1024**3:.1f} GiB are free on the disk of {data}"
    return (
        Finding("disk", True, told)
        if free >= MIN_FREE_BYTES
        else Finding("disk", False, f"{told}; make room before results are lost")
    )


def check_clock(backend: Backend) -> Finding:
    """The computer's clock against what is on record: nothing can have happened later than now."""
    now = backend.now()
    latest = max(
        (state.refreshed for state in find_all(backend.records, SourceState) if state.refreshed), default=None
    )
    if latest and latest > now + timedelta(minutes=5):
        return Finding(
            "clock",
            False,
            f"the clock says {now:%Y-%m-%d %H:%M} UTC, yet a refresh was made at {latest:%Y-%m-%d %H:%M}: set the clock",
        )
    return Finding("clock", True, f"the clock says {now:%Y-%m-%d %H:%M} UTC")


def check_catalog(backend: Backend) -> Iterator[Finding]:
    """Whether the catalog can be read, and is whole."""
    try:
        products = backend.catalog()
        troubles = products.check() if isinstance(products, SupportsCheck) else []
        rows = 0 if troubles else sum(entry.rows for entry in products.freshness())
    except (PermanentError, TransientError) as error:
        yield Finding("catalog", False, f"the catalog cannot be read: {error}")
        return
    yield from (Finding("catalog", False, str(trouble)) for trouble in troubles)
    if not troubles:
        yield Finding("catalog", True, f"the catalog knows {rows:,} products")


def rebuild_catalog(backend: Backend) -> Finding:
    """Make the catalog's index again from its log; where products were lost for good, have the sources read
    again."""
    products = backend.catalog()
    if not isinstance(products, SupportsRebuild):
        return Finding("rebuild", True, "this catalog has no index to be made again")
    try:
        lost = products.rebuild()
        rows = sum(entry.rows for entry in products.freshness())
    except (PermanentError, TransientError) as error:
        return Finding("rebuild", False, f"the catalog cannot be made again: {error}")
    told = f"the catalog's index was made again and holds {rows:,} products"
    if not lost:
        return Finding("rebuild", True, told)
    states = list(find_all(backend.records, SourceState))

    def forget(commit: Commit) -> None:
        for state in states:
            commit.put(replace(state, listing={}))

    backend.commit(forget, completes_event=False)
    return Finding(
        "rebuild",
        False,
        f"{told}; {lost:,} rows of its log are lost: `revisit refresh` now reads every source from its beginning",
    )


def check_records(data: Path, check_data: Callable[[Path], list[str]]) -> Iterator[Finding]:
    """Whether the database is whole, every record can be read, and every file is there in its full length."""
    troubles = check_data(data)
    yield from (Finding("records", False, trouble) for trouble in troubles)
    if not troubles:
        yield Finding("records", True, "the records are whole, and so are the files they name")


def check_orders(backend: Backend) -> Iterator[Finding]:
    """Whether every order has its jobs and counts the open ones rightly."""
    open_jobs: dict[str, int] = {}
    known: set[str] = set()
    for job in find_all(backend.records, Job):
        known.add(job.id)
        for waiting in job.orders:
            open_jobs[waiting] = open_jobs.get(waiting, 0) + (job.state not in FINISHED_STATES)
    wrong = 0
    for order in find_all(backend.records, Order):
        missing = sum(job not in known for job in order.jobs)
        if missing and backend.now() - order.created > MAX_ORDER_WRITE_TIME:
            wrong += 1
            yield Finding(
                "orders",
                False,
                f"order {order.id} lacks {missing} of its {len(order.jobs)} jobs: place the same order again to complete it",
            )
        elif not missing and order.open != open_jobs.get(order.id, 0):
            wrong += 1
            yield Finding(
                "orders",
                False,
                f"order {order.id} counts {order.open} open jobs where {open_jobs.get(order.id, 0)} are",
            )
    if not wrong:
        yield Finding("orders", True, f"every order counts its jobs rightly, of {len(known):,} in all")


def check_sources(backend: Backend, specs: Sequence[str], empty_message: str) -> Iterator[Finding]:
    """Whether each source answers to one small question; and how its last refresh ended."""
    if not specs:
        yield Finding("sources", True, empty_message)
    for spec in specs:
        try:
            source = backend.source(spec)
            source.check()
            state = backend.records.get(SourceState, source.spec)
        except (PermanentError, TransientError) as error:
            yield Finding("sources", False, f"{error}")
            continue
        if state and state.error:
            yield Finding("sources", False, f"the last refresh of {source.spec} failed: {state.error}")
        elif state is None or state.refreshed is None:
            yield Finding("sources", True, f"{source.spec} has not been listed yet")
        else:
            yield Finding(
                "sources", True, f"{source.spec} was refreshed at {state.refreshed:%Y-%m-%d %H:%M} UTC"
            )
