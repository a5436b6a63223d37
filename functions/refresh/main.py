"""catalog.refresh: ask a source what is new, keep it in the catalog, announce it."""

from revisit.chain.refresh import record_failure, refresh_sources
from revisit.domain.events import RefreshDue
from revisit.runtime import on


@on(RefreshDue, on_failure=record_failure)
def refresh(event, backend):
    refresh_sources(backend, [event.source] if event.source else backend.sources)
    backend.mark_done()
