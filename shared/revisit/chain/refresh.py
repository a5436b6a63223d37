"""Refresh of the catalog from its sources, and publication of new products.

The catalog is a log, and the position up to which it is published is a record. A crash between the two loses
nothing, since the next refresh publishes what is left, and publishes nothing twice, since ids are derived.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import batched

from revisit.domain.events import ProductNew, RefreshDue
from revisit.domain.product import Product
from revisit.domain.subscription import Subscription
from revisit.errors import PermanentError, TransientError
from revisit.ports.backend import Backend, Commit
from revisit.ports.batch_sizes import MAX_RECORDS_PER_COMMIT
from revisit.ports.catalog import Query
from revisit.ports.sources import Announcement, Listing
from revisit.ports.system_records import (
    MAX_REJECTIONS_KEPT,
    CatalogCursor,
    ProductCopy,
    SourceState,
    copy_id,
)

NEWS_WINDOW = timedelta(days=10)
"""Age of the oldest sensing that a feed's first listing publishes; orders find what is older."""

MAX_PRODUCTS_PER_PAGE = 5_000
"""Products of a source that are compared with it at a time."""

STALE_AFTER = timedelta(hours=48)
"""A feed whose latest sensing is older has stopped: the mission senses hourly and publishes within a day."""

log = logging.getLogger("revisit")


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """Result of one refresh of one source."""

    source: str
    rows: int
    """Products read from the source."""
    new: int
    """Products that the catalog lacked."""
    rejection_count: int
    """Rows that could not be read."""
    rejection_examples: tuple[tuple[str, str], ...]
    """(row or name, reason) of the first rejected rows."""
    unchanged: bool
    """Whether nothing was read because the source states that nothing changed."""
    unfinished: bool = False
    """Whether time ran out; the next refresh continues."""
    remarks: tuple[tuple[str, str], ...] = ()
    """(name, sentence) of the first products that are listed although some of their bands cannot be used."""
    incomplete: dict[str, str] = field(default_factory=dict)
    """Product id -> what is missing of it."""
    removed: int = 0
    """Products that the source no longer has, and that were removed from the catalog."""


def refresh_sources(backend: Backend, specs: Iterable[str]) -> None:
    """Refresh several sources; if one fails, its error is recorded and the others are still refreshed.

    Raises:
        PermanentError: A source failed. Also for a transient failure: the next tick asks the source again,
            and redelivered ticks would only pile up while it is down.
    """
    failures: list[str] = []
    refreshed: list[str] = []
    for spec in specs:
        try:
            refreshed.append(refresh_source(backend, spec).source)
        except (TransientError, PermanentError) as error:
            _save_error(backend, spec, str(error))
            failures.append(str(error))
    report_stale_sources(backend, refreshed)
    if failures:
        raise PermanentError("; ".join(failures))


def refresh_source(backend: Backend, spec: str) -> RefreshResult:
    """Add a source's new products to the catalog and publish them.

    Raises:
        TransientError: The source does not answer; products that were added stay, and are published by
            the next refresh.
        PermanentError: The source does not match its SPEC, or is empty although it was not before.
    """
    source, catalog = backend.source(spec), backend.catalog()
    spec = source.spec
    before = backend.records.get(SourceState, spec) or SourceState(spec)
    listing = source.list_products(before.listing, partial(catalog.missing_mask, spec), backend.now())
    removed = _remove_gone(backend, spec, listing)
    new = sum(catalog.add(batch) for batch in listing.batches)
    removed += _remove_gone(backend, spec, listing)
    whole = not (listing.unchanged or listing.unfinished)
    if before.rows and not listing.rows and whole:
        raise PermanentError(
            f"{spec} lists no products although it had {before.rows}; check that it is complete"
        )
    held = tuple(sorted(listing.held))
    if held != before.held:
        # Before the products are published, and kept apart from the rest, which is valid only after it.
        backend.commit(partial(_put_held, spec=spec, held=held), completes_event=False)
    publish_new_products(backend)
    publish_again(backend, listing.announcements)
    rows = listing.rows if whole else before.rows
    # Before the first full listing ends, old products are history.
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
        held=held,
        incomplete=listing.incomplete,
        rejected=f"{listing.rejection_examples[0][0]}: {listing.rejection_examples[0][1]}"
        if whole and listing.rejection_examples
        else before.rejected * (not whole),
        rejection_examples=dict(listing.rejection_examples[:MAX_REJECTIONS_KEPT])
        if whole
        else before.rejection_examples,
        removed=before.removed + removed,
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
        tuple(listing.remarks),
        listing.incomplete,
        removed,
    )


def _remove_gone(backend: Backend, spec: str, listing: Listing) -> int:
    """Remove the products that the source no longer has from the catalog; their jobs and results stay.

    Removed again after a crash, since the state of the listing is stored last.
    """
    if listing.is_gone is None:
        return 0
    gone: list[str] = []
    query = Query(source=spec, limit=MAX_PRODUCTS_PER_PAGE)
    while True:
        page = backend.catalog().search(query)
        gone += [product.id for product in page.products if listing.is_gone(product)]
        if not page.next:
            return backend.catalog().remove(spec, gone) if gone else 0
        query = replace(query, after=page.next)


def report_stale_sources(backend: Backend, specs: Iterable[str]) -> None:
    """Log the feeds that answer but list nothing new, which raises no error; deployments alert on it."""
    feeds = [spec for spec in specs if not backend.source(spec).announces_all]
    latest = {entry.source: entry.last_sensing for entry in backend.catalog().freshness()} if feeds else {}
    for spec in feeds:
        sensed = latest.get(spec)
        if sensed is not None and backend.now() - sensed > STALE_AFTER:
            hours = round((backend.now() - sensed).total_seconds() / 3600)
            log.warning(
                "the latest sensing in %s is %d hours old",
                spec,
                hours,
                extra={"line": {"source": spec, "silent_hours": hours}},
            )


def record_failure(event: RefreshDue, backend: Backend, reason: str) -> None:
    """Record why the refresh of a source failed, for `status` and `doctor`; the next tick retries."""
    if event.source:
        _save_error(backend, event.source, reason)


def publish_new_products(backend: Backend) -> int:
    """Emit product.new for the products added since the last publication that are on a watched tile.

    Returns:
        How many products were published.
    """
    is_new, min_sensing_times, published = *_new_product_filter(backend), 0
    while True:
        cursor = (backend.records.get(CatalogCursor, "catalog") or CatalogCursor()).cursor
        products, reached = backend.catalog().read_additions(cursor, min_sensing_times=min_sensing_times)
        if reached == cursor:
            return published
        new = [product for product in products if is_new(product)]
        for batch in batched(new, MAX_RECORDS_PER_COMMIT):
            announcements = [Announcement(product) for product in batch]
            backend.commit(partial(_publish_products, announcements=announcements), completes_event=False)
        backend.commit(
            partial(_advance_cursor, current=cursor, new=reached, now=backend.now()), completes_event=False
        )
        published += len(new)


def publish_again(backend: Backend, announcements: Iterable[Announcement]) -> None:
    """Emit product.new for products that the catalog knows and that are complete only now, or whose files
    have changed, where they are on a watched tile. A repeat is the same event."""
    watched = cache(partial(_is_watched, backend))
    wanted = [each for each in announcements if watched(each.product.tile)]
    for batch in batched(wanted, MAX_RECORDS_PER_COMMIT):
        backend.commit(partial(_publish_products, announcements=batch), completes_event=False)


def _is_watched(backend: Backend, tile: str) -> bool:
    return bool(backend.records.find(Subscription, tiles=tile, state="active", limit=1))


def _save_error(backend: Backend, spec: str, reason: str) -> None:
    backend.commit(
        partial(_put_error, spec=normalize_spec(backend, spec), reason=reason), completes_event=False
    )


def normalize_spec(backend: Backend, spec: str) -> str:
    """The canonical form of a SPEC; unchanged if its source cannot be opened."""
    try:
        return backend.source(spec).spec
    except PermanentError:
        return spec


def _put_state(commit: Commit, state: SourceState) -> None:
    commit.put(state)


def _put_held(commit: Commit, spec: str, held: tuple[str, ...]) -> None:
    commit.put(replace(commit.get(SourceState, spec) or SourceState(spec), held=held))


def _put_error(commit: Commit, spec: str, reason: str) -> None:
    """Record the error and keep the rest of the state, which another refresh may have changed meanwhile."""
    commit.put(replace(commit.get(SourceState, spec) or SourceState(spec), error=reason))


def _publish_products(commit: Commit, announcements: Sequence[Announcement]) -> None:
    put_products(commit, [each.product for each in announcements])
    for product, files in ((each.product, each.files) for each in announcements):
        commit.emit(ProductNew(product.id, product.version, product.source, files))


def put_products(commit: Commit, products: Sequence[Product]) -> None:
    """Write the records of announced products; a product of a further source gets one of its own."""
    sources = {product.id: known.source for product in products if (known := commit.get(Product, product.id))}
    for product in products:
        if sources.setdefault(product.id, product.source) == product.source:
            commit.put(product)
        else:
            commit.put(ProductCopy(copy_id(product.source, product.id), product.acquisition, product))


def _advance_cursor(commit: Commit, current: int, new: int, now: datetime) -> None:
    stored = commit.get(CatalogCursor, "catalog") or CatalogCursor()
    if stored.cursor == current:
        commit.put(replace(stored, cursor=new, passes_since=stored.passes_since or now))


def _new_product_filter(backend: Backend) -> tuple[Callable[[Product], bool], dict[str, datetime]]:
    """Whether a product is to be published, and by SPEC the oldest sensing time of feeds in their first
    listing."""
    oldest = backend.now() - NEWS_WINDOW

    watched = cache(partial(_is_watched, backend))
    state_of = cache(partial(backend.records.get, SourceState))

    @cache
    def publishes_all(spec: str) -> bool:
        state = state_of(spec)
        return bool(state and state.first) or _announces_all(backend, spec)

    def is_new(product: Product) -> bool:
        if not watched(product.tile):
            return False
        state = state_of(product.source)
        if state and product.id in state.held:
            return False
        return product.sensing_time >= oldest or publishes_all(product.source)

    # History may be tens of millions of products, which the catalog need not read.
    return is_new, {
        entry.source: oldest for entry in backend.catalog().freshness() if not publishes_all(entry.source)
    }


def _announces_all(backend: Backend, spec: str) -> bool:
    try:
        return backend.source(spec).announces_all
    except PermanentError:
        # A source of another installation or an older version: its old products are history.
        return False
