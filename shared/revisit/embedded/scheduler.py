"""The clock that ticks: what Cloud Scheduler does, in a thread."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from revisit.domain.clock import rfc3339
from revisit.domain.delivery import Delivery
from revisit.domain.events import DeliveriesDue, Event, RefreshDue
from revisit.errors import Retry
from revisit.ports.backend import Backend

FOLDER_EVERY_S = 10
FEED_EVERY_S = 900
DELIVERIES_EVERY_S = 5


class Scheduler:
    """Emits ticks; a tick's id is its rounded moment, so two schedulers emit no more than one."""

    def __init__(self, backend: Backend, stop: threading.Event) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True, name="scheduler")
        self._backend, self._over = backend, stop
        self._last: dict[str, int] = {}

    def _run(self) -> None:
        while not self._over.is_set():
            with suppress(Retry):  # a full disk may be given room; the tick after it makes up for this one
                self._round()
            self._over.wait(1)

    def _round(self) -> None:
        for spec in self._backend.sources:
            self._tick(spec, FOLDER_EVERY_S if spec.startswith("folder:") else FEED_EVERY_S, partial(RefreshDue, source=spec))
        if self._backend.records.find(Delivery, state="due", limit=1):
            self._tick("deliveries", DELIVERIES_EVERY_S, DeliveriesDue)

    def _tick(self, name: str, every_s: int, event_at: Callable[[str], Event]) -> None:
        turn = int(self._backend.now().timestamp()) // every_s
        if self._last.get(name) != turn:
            event = event_at(rfc3339(datetime.fromtimestamp(turn * every_s, UTC)))
            self._backend.commit(lambda commit: commit.emit(event), last=False)
            self._last[name] = turn
