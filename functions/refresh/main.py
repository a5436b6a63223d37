"""catalog.refresh: ask a source what is new, keep it in the catalog, announce it."""

from revisit.chain.refresh import note_failure, refresh_each
from revisit.domain.events import RefreshDue
from revisit.runtime import on


@on(RefreshDue, give_up=note_failure)
def refresh(event, backend):
    refresh_each(backend, [event.source] if event.source else backend.sources)
    backend.done()
