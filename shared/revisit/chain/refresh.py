"""Asking a source what is new, putting it into the catalog, and announcing it.

The catalog is a log, and how far it has been announced is a record: a crash between the two loses nothing,
since the next
refresh announces what is left, and announces nothing twice, since ids are derived.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial

from revisit.domain.events import ProductNew, RefreshDue
from revisit.domain.product import Product
from revisit.domain.subscription import Subscription
from revisit.errors import PermanentError, TransientError
from revisit.ports.backend import Backend, Commit
from revisit.ports.batch_sizes import MAX_RECORDS_PER_COMMIT
from revisit.ports.system_records import CatalogCursor, SourceState

NEWS_WINDOW = timedelta(days=10)
"""What a feed's first listing announces reaches this far back; the rest of it is history, found by orders."""


STALE_AFTER = timedelta(hours=48)
"""The mission senses at every hour and publishes within a day: a feed whose latest sensing is older than this
has stopped."""

log = logging.getLogger("revisit")


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """What one refresh of one source found."""

    source: str
    rows: int
    """Products read from the source."""
    new: int
    """Of them, those the catalog lacked."""
    rejection_count: int
    """Rows that could not be understood."""
    rejection_examples: tuple[tuple[str, str], ...]
    """The first of them with their reasons."""
    unchanged: bool
    """Nothing was read, because the source says nothing changed."""
    unfinished: bool = False
    """There is more, which the next refresh goes on with."""


def refresh_sources(backend: Backend, specs: Iterable[str]) -> None:
    """Refresh several sources; one that fails keeps none of the others waiting, and its reason is kept with
    it.

    Raises:
        PermanentError: One of them failed. Whether or not it may mend, the next tick asks it again: a tick
            tried again besides would only
            pile up while a source is away.
    """
    failures: list[str] = []
    answered: list[str] = []
    for spec in specs:
        try:
            answered.append(refresh_source(backend, spec).source)
        except (TransientError, PermanentError) as error:
            _save_error(backend, spec, str(error))
            failures.append(str(error))
    report_stale_sources(backend, answered)
    if failures:
        raise PermanentError("; ".join(failures))


def refresh_source(backend: Backend, spec: str) -> RefreshResult:
    """Bring the catalog up to date with one source and announce the news.

    Raises:
        TransientError: The source does not answer; what was added stays, and is found and announced next
            time.
        PermanentError: The source is not what its SPEC says, or is empty where it was not before.
    """
    source, catalog = backend.source(spec), backend.catalog()
    spec = source.spec
    before = backend.records.get(SourceState, spec) or SourceState(spec)
    listing = source.list_products(before.listing, partial(catalog.missing_mask, spec), backend.now())
    new = sum(catalog.add(batch) for batch in listing.batches)
    whole = not (listing.unchanged or listing.unfinished)
    if before.rows and not listing.rows and whole:
        raise PermanentError(f"{spec} lists nothing although it had {before.rows} products; is it complete?")
    publish_new_products(backend)
    rows = listing.rows if whole else before.rows
    # Until it was listed to the end once, what is old is history.
    refreshed, first = (
        (before.refreshed, before.first)
        if listing.unfinished
        else (backend.now(), before.first or backend.now())
    )
    after = replace(
        before,
        listing=listing.state,
        refreshed=refreshed,
        first=first,
        rows=max(rows, 0),
        error="",
        rejections=listing.rejection_count if whole else before.rejections,
    )
    backend.commit(partial(_put_state, state=after), completes_event=False)
    return RefreshResult(
        spec,
        listing.rows,
        new,
        listing.rejection_count,
        tuple(listing.rejection_examples),
        listing.unchanged,
        listing.unfinished,
    )


def report_stale_sources(backend: Backend, specs: Iterable[str]) -> None:
    """Log which feeds answer but have had nothing new for long: no error would ever tell. A deployment mails
    it to whom it may concern."""
    feeds = [spec for spec in specs if not backend.source(spec).announces_all]
    latest = {entry.source: entry.last_sensing for entry in backend.catalog().freshness()} if feeds else {}
    for spec in feeds:
        sensed = latest.get(spec)
        if sensed is not None and backend.now() - sensed > STALE_AFTER:
            hours = round((backend.now() - sensed).total_seconds() / 3600)
            log.warning(
                "the latest sensing that %s lists is %d hours ago",
                spec,
                hours,
                extra={"line": {"source": spec, "silent_hours": hours}},
            )


def record_failure(event: RefreshDue, backend: Backend, reason: str) -> None:
    """Remember why the refresh of a source failed, for `status` and `doctor`; the next tick tries again."""
    if event.source:
        _save_error(backend, event.source, reason)


def publish_new_products(backend: Backend) -> int:
    """Emit product.new for every product that was added since the last announcement and lies on a watched
    tile.

    Returns:
        How many were announced.
    """
    is_news, past, announced = *_news_filter(backend), 0
    while True:
        cursor = (backend.records.get(CatalogCursor, "catalog") or CatalogCursor()).cursor
        products, reached = backend.catalog().read_additions(cursor, min_sensing_times=past)
        if reached == cursor:
            return announced
        news = [product for product in products if is_news(product)]
        for start in range(0, len(news), MAX_RECORDS_PER_COMMIT):
            backend.commit(
                partial(_publish_products, products=news[start : start + MAX_RECORDS_PER_COMMIT]),
                completes_event=False,
            )
        backend.commit(partial(_advance_cursor, current=cursor, new=reached), completes_event=False)
        announced += len(news)


def _save_error(backend: Backend, spec: str, reason: str) -> None:
    backend.commit(
        partial(_put_error, spec=normalize_spec(backend, spec), reason=reason), completes_event=False
    )


def normalize_spec(backend: Backend, spec: str) -> str:
    """A SPEC as its source writes it itself; of one that cannot be opened, as it was given."""
    try:
        return backend.source(spec).spec
    except PermanentError:
        return spec


def _put_state(commit: Commit, state: SourceState) -> None:
    commit.put(state)


def _put_error(commit: Commit, spec: str, reason: str) -> None:
    """Say what went wrong, and leave what another refresh has learnt meanwhile."""
    commit.put(replace(commit.get(SourceState, spec) or SourceState(spec), error=reason))


def _publish_products(commit: Commit, products: list[Product]) -> None:
    for product in products:
        commit.put(product)
        commit.emit(ProductNew(product.id, product.version))


def _advance_cursor(commit: Commit, current: int, new: int) -> None:
    if (commit.get(CatalogCursor, "catalog") or CatalogCursor()).cursor == current:
        commit.put(CatalogCursor(cursor=new))


def _news_filter(backend: Backend) -> tuple[Callable[[Product], bool], dict[str, datetime]]:
    """What tells news from history, and since when the products of feeds whose first listing this is are news
    at all."""
    oldest = backend.now() - NEWS_WINDOW

    @cache
    def watched(tile: str) -> bool:
        return bool(backend.records.find(Subscription, tiles=tile, state="active", limit=1))

    @cache
    def all_is_news(spec: str) -> bool:
        state = backend.records.get(SourceState, spec)
        return bool(state and state.first) or _announces_all(backend, spec)

    def is_news(product: Product) -> bool:
        return watched(product.tile) and (product.sensing_time >= oldest or all_is_news(product.source))

    # Tens of millions of products may be history: the catalog need not even read them.
    return is_news, {
        entry.source: oldest for entry in backend.catalog().freshness() if not all_is_news(entry.source)
    }


def _announces_all(backend: Backend, spec: str) -> bool:
    try:
        return backend.source(spec).announces_all
    except PermanentError:
        # One that another place opened, or an older version: what it brought long ago is no news.
        return False
