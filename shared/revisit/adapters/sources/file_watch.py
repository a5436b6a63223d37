"""Watch over the files of young and incomplete products of a folder, from one listing to the next."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from revisit.adapters.sources.image_files import FilesState
from revisit.domain.clock import format_rfc3339, parse_instant
from revisit.domain.product import Product
from revisit.errors import NotFoundError, PermanentError
from revisit.ports.sources import Announcement

SETTLED_AFTER = timedelta(minutes=10)
"""Time without a change after which an incomplete product is taken as it is: some are kept in part on
purpose."""
YOUNG = timedelta(hours=48)
"""Age of the latest change up to which a complete product is watched."""
MAX_WATCHED = 2_000
"""Products that are watched beside those that are held back, so that a large archive stays cheap to list."""

log = logging.getLogger("revisit")


class WatchedFiles(Protocol):
    """The files of products of one folder."""

    def state_of(self, id: str, href: str) -> FilesState:
        """The state of a product's files."""
        ...

    def faults_of(self, id: str, href: str, tile: str, since: datetime) -> str:
        """Which images are missing, empty or cut off; see `image_files.faults_of`."""
        ...

    def product_at(self, id: str, href: str) -> Product | None:
        """The product of that id; None if it is gone."""
        ...


@dataclass(slots=True)
class FileWatch:
    """The products of one folder that are watched; its `state` is a part of the listing's."""

    previous: dict[str, dict[str, Any]]
    """The state of the previous listing: product id -> its entry."""
    files: WatchedFiles
    now: datetime
    state: dict[str, dict[str, Any]] = field(default_factory=dict)
    announcements: list[Announcement] = field(default_factory=list)
    """Known products to announce again or for the first time."""

    def see(self, product: Product, is_known: Callable[[], bool], was_rewritten: bool) -> None:
        """Judge a product that the listing reads.

        Args:
            product: The product.
            is_known: Whether the catalog has it; called for young and incomplete ones only.
            was_rewritten: Whether its metadata changed since a listing that read it.
        """
        entry = self.previous.get(product.id)
        if entry is not None and entry["href"] != product.href:  # It moved.
            entry = None
        try:
            state = self.files.state_of(product.id, product.href)
            faults = self.files.faults_of(product.id, product.href, product.tile, self.now - YOUNG)
        except PermanentError:  # It changes while it is read, so that the next listing reads it again.
            return
        if entry is None:
            if not faults and state.changed < self.now - YOUNG:
                return
            known = is_known()
            # What the catalog lacks is announced from its log, unless it is held back.
            again = known and was_rewritten and state.written > self.now - YOUNG
            entry = {
                "href": product.href,
                "tile": product.tile,
                "mark": "" if again else state.mark,
                "new": not known,
                "held": False,
                "current": state.mark,
                "seen": format_rfc3339(self.now),
                "faults": faults,
            }
        self._judge(product.id, entry, state, product)

    def recheck(self, seen: Collection[str]) -> None:
        """Judge the watched products that the listing does not read again.

        Args:
            seen: Ids of those that it read.
        """
        for id in [id for id in self.previous if id not in seen]:
            entry = self.previous[id]
            try:
                self._judge(id, entry, self.files.state_of(id, entry["href"]))
            except NotFoundError:
                continue
            except PermanentError:  # Its metadata is being written.
                self.state[id] = entry

    def _judge(
        self, id: str, entry: dict[str, Any], state: FilesState, product: Product | None = None
    ) -> None:
        href, tile = entry["href"], entry["tile"]
        if entry["current"] != state.mark:
            faults = self.files.faults_of(id, href, tile, self.now - YOUNG)
            entry = {**entry, "current": state.mark, "seen": format_rfc3339(self.now), "faults": faults}
        seen, faults = parse_instant(entry["seen"]), entry["faults"]
        # A time of change in the future, of another clock, says nothing.
        last = min(seen, state.changed) if state.changed <= self.now else seen
        if faults and self.now - last < SETTLED_AFTER:
            self.state[id] = {**entry, "held": True}
            return
        if entry["held"] or entry["mark"] != state.mark:
            if (product := product or self.files.product_at(id, href)) is None:
                return
            self.announcements.append(Announcement(product, "" if entry["new"] else state.mark))
            if faults:
                log.warning("%s is incomplete and has stopped changing; it is taken as it is: %s", id, faults)
        if len(self.state) < MAX_WATCHED and (faults or state.changed >= self.now - YOUNG):
            self.state[id] = {**entry, "mark": state.mark, "held": False, "new": False}
