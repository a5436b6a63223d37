"""Seeing that the catalog knows what the sources have over an AOI, before it is asked."""

from datetime import datetime
from functools import partial
from typing import Any

from revisit.domain.aoi import AOI
from revisit.ports.backend import Backend
from revisit.ports.catalog import Query
from revisit.ports.sources import Source
from revisit.ports.system_records import SourceState


def sync_sources(
    backend: Backend, aoi: AOI, start: datetime | None, end: datetime | None, source: str = ""
) -> str:
    """Bring into the catalog what its sources had over an AOI in a period; returns the SPEC as the source
    itself writes it.

    A source that answers questions about a place and a period is asked just that. A folder named is listed
    every time, since that
    is cheap and its owner has just filled it; what has never been listed is listed as a whole.

    Args:
        source: SPEC of the only one wanted; empty sees to all that are refreshed.

    Raises:
        InvalidInputError: The SPEC names no source.
        TransientError: A source does not answer.
        PermanentError: It is not what the SPEC says.
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

    history: Any = getattr(source, "history", None)
    if history is not None:
        catalog = backend.catalog()
        listing = history(
            Query(tuple(aoi.tiles), bounds=aoi.bounds, start=start, end=end),
            partial(catalog.missing_mask, source.spec),
        )
        for batch in listing.batches:
            catalog.add(batch)
    elif (source.announces_all and relist) or backend.records.get(SourceState, source.spec) is None:
        refresh_source(backend, source.spec)
    return source.spec
