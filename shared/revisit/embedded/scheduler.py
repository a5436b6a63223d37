"""The scheduler thread, which replaces Cloud Scheduler."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from revisit.domain.clock import format_rfc3339
from revisit.domain.delivery import Delivery
from revisit.domain.events import DeliveriesDue, Event, RefreshDue
from revisit.errors import TransientError
from revisit.ports.backend import Backend

FOLDER_INTERVAL_S = 10
FEED_INTERVAL_S = 900
DELIVERIES_INTERVAL_S = 5


class Scheduler:
    """Emits ticks; the id of a tick is its rounded time, so that two schedulers emit each tick once."""

    def __init__(self, backend: Backend, stop: threading.Event) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True, name="scheduler")
        self._backend, self._stop_event = backend, stop
        self._last_ticks: dict[str, int] = {}

    def _run(self) -> None:
        while not self._stop_event.is_set():
            with suppress(TransientError):  # the disk may be full; the next tick makes up for this one
                self._emit_due_ticks()
            self._stop_event.wait(1)

    def _emit_due_ticks(self) -> None:
        for spec in self._backend.sources:
            self._emit_tick(
                spec,
                FOLDER_INTERVAL_S if spec.startswith("folder:") else FEED_INTERVAL_S,
                partial(RefreshDue, source=spec),
            )
        if self._backend.records.find(Delivery, state="due", limit=1):
            self._emit_tick("deliveries", DELIVERIES_INTERVAL_S, DeliveriesDue)

    def _emit_tick(self, name: str, interval_s: int, make_event: Callable[[str], Event]) -> None:
        turn = int(self._backend.now().timestamp()) // interval_s
        if self._last_ticks.get(name) != turn:
            event = make_event(format_rfc3339(datetime.fromtimestamp(turn * interval_s, UTC)))
            self._backend.commit(lambda commit: commit.emit(event), completes_event=False)
            self._last_ticks[name] = turn
