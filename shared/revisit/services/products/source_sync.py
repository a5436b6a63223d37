"""Synchronisation of the catalog with the sources over an AOI and a period."""

from datetime import datetime
from functools import partial

from revisit.domain.aoi import AOI
from revisit.ports.backend import Backend
from revisit.ports.catalog import Query
from revisit.ports.sources import Source, SupportsHistory
from revisit.ports.system_records import SourceState


def needs_listing(backend: Backend, source: str = "") -> bool:
    """Whether `sync_sources` would ask a source: one with a history, a named folder, or one never listed.

    Raises:
        InvalidInputError: The SPEC names no source.
    """
    if source:
        named = backend.source(source)
        return named.announces_all or isinstance(named, SupportsHistory) or not _is_listed(backend, named)
    return any(
        isinstance(each, SupportsHistory) or not _is_listed(backend, each)
        for each in map(backend.source, backend.sources)
    )


def sync_sources(
    backend: Backend, aoi: AOI, start: datetime | None, end: datetime | None, source: str = ""
) -> str:
    """Add the products of the sources over an AOI and a period to the catalog.

    A source with a history is queried for that AOI and period only. A named folder is listed each time,
    because that is cheap and it may just have been filled. A source that was never listed is listed
    completely.

    Args:
        backend: The backend.
        aoi: Area of interest.
        start: Start of the period; None is open.
        end: End of the period; None is open.
        source: SPEC of the only source to list; empty lists all that are refreshed.

    Returns:
        The canonical SPEC of `source`; empty if `source` is.

    Raises:
        InvalidInputError: The SPEC names no source.
        TransientError: A source does not answer.
        PermanentError: A source does not match its SPEC.
    """
    if source:
        return _sync_source(backend, backend.source(source), aoi, start, end, relist=True)
    for spec in backend.sources:
        _sync_source(backend, backend.source(spec), aoi, start, end, relist=False)
    return ""


def _sync_source(
    backend: Backend, source: Source, aoi: AOI, start: datetime | None, end: datetime | None, relist: bool
) -> str:
    from revisit.chain.refresh import refresh_source

    if isinstance(source, SupportsHistory):
        catalog = backend.catalog()
        listing = source.history(
            Query(tuple(aoi.tiles), bounds=aoi.bounds, start=start, end=end),
            partial(catalog.missing_mask, source.spec),
        )
        for batch in listing.batches:
            catalog.add(batch)
    elif (source.announces_all and relist) or not _is_listed(backend, source):
        refresh_source(backend, source.spec)
    return source.spec


def _is_listed(backend: Backend, source: Source) -> bool:
    return backend.records.get(SourceState, source.spec) is not None


def rejecting_sources(backend: Backend, source: str = "") -> list[SourceState]:
    """States of the sources whose last listing rejected products, which explains why none is found.

    Args:
        backend: The backend.
        source: SPEC of the only source to ask about; empty means those that are refreshed.
    """
    specs = [source] if source else backend.sources
    states = (backend.records.get(SourceState, backend.source(spec).spec) for spec in specs)
    return [state for state in states if state is not None and state.rejections and state.rejected]


def rejection_note(state: SourceState) -> str:
    """What a source rejected at its last listing, as a sentence."""
    products = "1 product" if state.rejections == 1 else f"{state.rejections:,} products"
    return f"{state.id} rejected {products}, the first: {state.rejected}"
