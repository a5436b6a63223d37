"""Checks of an installation or deployment and its data; one sentence per finding."""

import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
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
from revisit.services.operations.unread_products import describe_unread

MIN_FREE_BYTES = 2 * 1024**3
"""Free bytes on the data folder's disk below which doctor warns."""
MAX_ORDER_WRITE_TIME = timedelta(hours=1)
"""Time within which all jobs of an order are written; later, missing jobs are a fault."""
MAX_QUEUE_AGE_S = 900.0
"""Age of a live message in seconds from which alerts are late (terraform/monitoring.tf); backfills may be
older."""
MAX_OUTBOX_AGE_S = 300.0
"""Age of an unpublished event in seconds that indicates a fault: events are published after their commit, at
the latest with the next tick.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check."""

    check: str
    ok: bool
    message: str


def probe(check: str, call: Callable[[], Iterable[Finding]], prefix: str = "") -> list[Finding]:
    """The findings of a check; an error that the check raises is a finding too.

    Args:
        prefix: Start of the sentence about an error.
    """
    try:
        return list(call())
    except (PermanentError, TransientError) as error:
        return [Finding(check, False, f"{prefix}{error}")]


def check_installation(
    data: Path,
    make_backend: Callable[[], Backend],
    check_data: Callable[[Path], list[str]],
    reach_sources: bool = True,
    rebuild: bool = False,
) -> list[Finding]:
    """Check a data folder; a check that cannot run is a finding too.

    Args:
        data: The data folder.
        make_backend: Makes the backend; an error that it raises is a finding.
        check_data: Returns the faults of the files of a data folder, one sentence each.
        reach_sources: Whether to check that the sources answer.
        rebuild: Whether to rebuild the catalog's index first.
    """
    findings = [check_versions(), check_projections(), check_disk_space(data)]
    if not data.exists():
        return [
            *findings,
            Finding(
                "data folder",
                False,
                f"there is no data folder {data}; `revisit serve --data {data}` creates one",
            ),
        ]
    try:
        backend = make_backend()
        findings.append(Finding("data folder", True, f"{data} can be written"))
    except (PermanentError, TransientError) as error:
        return [*findings, Finding("data folder", False, f"{error}")]
    if rebuild:
        findings += probe(
            "rebuild", lambda: [rebuild_catalog(backend)], prefix="the catalog cannot be rebuilt: "
        )
    findings += [
        check_clock(backend),
        *check_records(data, check_data),
        *probe("catalog", lambda: check_catalog(backend), prefix="the catalog cannot be read: "),
        *check_orders(backend),
    ]
    if reach_sources:
        findings += check_sources(
            backend, backend.sources, "no source is refreshed; name one with `revisit serve --source SPEC`"
        )
    return findings


def check_deployment(backend: Backend, reach_sources: bool = True) -> list[Finding]:
    """Check a deployment; a check that cannot run is a finding too.

    Args:
        backend: Backend of the deployment; nothing is written.
        reach_sources: Whether to check that the sources answer.
    """
    findings = [
        Finding("versions", True, f"Revisit {__version__} on Python {platform.python_version()}"),
        *check_port("messages", backend.bus, "every topic and subscription exists"),
        *check_port(
            "results", backend.assets, "the bucket of results exists, in its region, and is accessible"
        ),
        *probe("catalog", lambda: check_catalog(backend), prefix="the catalog cannot be read: "),
    ]
    records = probe("records", lambda: check_record_store(backend))
    findings += records
    if not records[0].ok:
        return findings
    findings += [
        check_clock(backend),
        check_dead_letters(backend.records.count(DeadLetter)),
        *probe("outbox", lambda: [check_outbox(backend)]),
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
    """The faults that an adapter reports of its service, returned or raised."""

    def call() -> list[Finding]:
        troubles = port.check() if isinstance(port, SupportsCheck) else []
        return [Finding(check, False, trouble) for trouble in troubles] or [Finding(check, True, ok_message)]

    return probe(check, call)


def check_record_store(backend: Backend) -> list[Finding]:
    """Whether the records answer."""
    backend.records.count(DeadLetter)
    return [Finding("records", True, "the records answer")]


def check_dead_letters(count: int) -> Finding:
    """Whether there are dead letters."""
    if not count:
        return Finding("dead letters", True, "there are no dead letters")
    return Finding(
        "dead letters",
        False,
        f"{count:,} dead letter{'s' if count > 1 else ''}: `revisit dead-letters list` shows why; fix the "
        "cause, then `revisit dead-letters replay --all`",
    )


def check_outbox(backend: Backend) -> Finding:
    """Whether committed events are published."""
    oldest = max((depth.oldest_s for depth in backend.bus.depth()), default=0.0)
    if oldest <= MAX_OUTBOX_AGE_S:
        return Finding("outbox", True, "no event waits in the outbox to be published")
    return Finding(
        "outbox",
        False,
        f"an event has waited in the outbox for {oldest / 60:.0f} minutes: see that the Scheduler job "
        "revisit-deliveries-due runs and what the log of revisit-deliver says, for its ticks publish what "
        "was left behind",
    )


def check_queue(backend: Backend) -> Finding:
    """Whether messages wait too long in Pub/Sub; if that is unknown, it is not a fault."""
    statistics = backend.bus.statistics()
    if statistics.note:
        return Finding("queue", True, statistics.note)
    count = sum(depth.ready for depth in statistics.depths)
    late = max(
        (depth for depth in statistics.depths if depth.lane == "live"),
        key=lambda depth: depth.oldest_s,
        default=None,
    )
    if late is None or late.oldest_s <= MAX_QUEUE_AGE_S:
        return Finding("queue", True, f"Pub/Sub holds {count:,} messages, of which none is late")
    return Finding(
        "queue",
        False,
        f"Pub/Sub has held a message for {late.function} for {late.oldest_s / 60:.0f} minutes, {count:,} in "
        "all: "
        f"see whether revisit-{late.function} runs, and what its log says",
    )


def check_versions() -> Finding:
    """Versions of Revisit, Python and SQLite, which holds the records."""
    sqlite = _sqlite_version()
    versions = f"Revisit {__version__} on Python {platform.python_version()} with SQLite {sqlite}"
    if tuple(int(part) for part in sqlite.split(".")) < (3, 51, 3):
        return Finding(
            "versions",
            False,
            f"{versions}; SQLite 3.51.3 or newer is needed, because older ones can damage a shared file: "
            "update apsw",
        )
    return Finding("versions", True, versions)


def check_projections() -> Finding:
    """Whether PROJ knows the grids of the tiles, whatever other installations are on this computer."""
    from revisit.pixels.raster.gdal import gdal_errors, ignored_variables, load_rasterio

    try:
        known = load_rasterio().crs.CRS.from_epsg(32631).to_epsg() == 32631
    except gdal_errors():
        known = False
    if not known:
        return Finding(
            "projections",
            False,
            "PROJ does not know EPSG:32631, so that no band can be read; unset PROJ_LIB and PROJ_DATA, or "
            "install rasterio again",
        )
    foreign = "; ".join(f"{name}={value}" for name, value in ignored_variables().items())
    return Finding(
        "projections",
        True,
        f"Revisit uses its own data of PROJ and GDAL, not what is set for another program: {foreign}"
        if foreign
        else "PROJ knows the grids of the tiles",
    )


def _sqlite_version() -> str:
    """Version of the SQLite in apsw, whose own version starts with it."""
    return ".".join(version("apsw").split(".")[:3])


def check_disk_space(data: Path) -> Finding:
    """Free space on the disk of the data folder."""
    place = next(folder for folder in (data.absolute(), *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    space = f"{free / 1024**3:.1f} GiB are free on the disk of {data}"
    return (
        Finding("disk", True, space)
        if free >= MIN_FREE_BYTES
        else Finding("disk", False, f"{space}; free some space before results are lost")
    )


def check_clock(backend: Backend) -> Finding:
    """Whether no record is later than the computer's clock."""
    now = backend.now()
    latest = max(
        (state.refreshed for state in find_all(backend.records, SourceState) if state.refreshed), default=None
    )
    if latest and latest > now + timedelta(minutes=5):
        return Finding(
            "clock",
            False,
            f"the clock says {now:%Y-%m-%d %H:%M} UTC, but a refresh ended at {latest:%Y-%m-%d %H:%M}: "
            "set the clock",
        )
    return Finding("clock", True, f"the clock says {now:%Y-%m-%d %H:%M} UTC")


def check_catalog(backend: Backend) -> Iterator[Finding]:
    """Whether the catalog can be read and is complete."""
    products = backend.catalog()
    troubles = products.check() if isinstance(products, SupportsCheck) else []
    rows = 0 if troubles else sum(entry.rows for entry in products.freshness())
    yield from (Finding("catalog", False, str(trouble)) for trouble in troubles)
    if not troubles:
        yield Finding("catalog", True, f"the catalog has {rows:,} products")


def rebuild_catalog(backend: Backend) -> Finding:
    """Rebuild the catalog's index from its log; if rows of the log are lost, reset the listings of all
    sources."""
    products = backend.catalog()
    if not isinstance(products, SupportsRebuild):
        return Finding("rebuild", True, "this catalog has no index to rebuild")
    lost = products.rebuild()
    rows = sum(entry.rows for entry in products.freshness())
    rebuilt = f"the catalog's index was rebuilt and holds {rows:,} products"
    if not lost:
        return Finding("rebuild", True, rebuilt)
    states = list(find_all(backend.records, SourceState))

    def forget(commit: Commit) -> None:
        for state in states:
            commit.put(replace(state, listing={}))

    backend.commit(forget, completes_event=False)
    return Finding(
        "rebuild",
        False,
        f"{rebuilt}; {lost:,} rows of its log are lost: `revisit refresh` now reads every source from its "
        "beginning",
    )


def check_records(data: Path, check_data: Callable[[Path], list[str]]) -> Iterator[Finding]:
    """Whether the database is intact, each record can be read, and each file exists in full length."""
    troubles = check_data(data)
    yield from (Finding("records", False, trouble) for trouble in troubles)
    if not troubles:
        yield Finding("records", True, "the records and the files that they name are complete")


def check_orders(backend: Backend) -> Iterator[Finding]:
    """Whether each order has its jobs and the right number of open ones."""
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
                f"order {order.id} lacks {missing} of its {len(order.jobs)} jobs: place the same order again "
                "to complete it",
            )
        elif not missing and order.open != open_jobs.get(order.id, 0):
            wrong += 1
            yield Finding(
                "orders",
                False,
                f"order {order.id} counts {order.open} open jobs but has {open_jobs.get(order.id, 0)}",
            )
    if not wrong:
        yield Finding(
            "orders", True, f"every order has its jobs, {len(known):,} in total, and counts them correctly"
        )


def check_sources(backend: Backend, specs: Sequence[str], empty_message: str) -> Iterator[Finding]:
    """Whether each source answers, and how its last refresh ended."""
    if not specs:
        yield Finding("sources", True, empty_message)
    for spec in specs:
        yield from probe("sources", partial(_check_source, backend, spec))


def _check_source(backend: Backend, spec: str) -> list[Finding]:
    source = backend.source(spec)
    source.check()
    state = backend.records.get(SourceState, source.spec)
    if state and state.error:
        return [Finding("sources", False, f"the last refresh of {source.spec} failed: {state.error}")]
    # What is kept in part on purpose, or is for another program, is no fault of the installation.
    if state and (notes := describe_unread(state)):
        return [Finding("sources", True, note) for note in notes]
    if state is None or state.refreshed is None:
        return [Finding("sources", True, f"{source.spec} has not been listed yet")]
    removed = f"; {state.removed:,} products that it no longer has are forgotten" if state.removed else ""
    return [
        Finding(
            "sources", True, f"{source.spec} was refreshed at {state.refreshed:%Y-%m-%d %H:%M} UTC{removed}"
        )
    ]
