"""What was carried outward of a subscription, and one more try where it was in vain."""

from dataclasses import dataclass
from datetime import datetime

from revisit.chain.dispatch import LEASE, why_over
from revisit.domain.delivery import Delivery
from revisit.domain.subscription import Subscription
from revisit.errors import BadInput, Conflict, NotFound
from revisit.ports.backend import Backend, Commit
from revisit.ports.pagination import every
from revisit.services.subscriptions.create import subscription

STATES = ("due", "delivered", "failed")
MOST_ATTEMPTS = 50
"""Of one delivery, whoever asked for them: each stays in its record, and knocks at somebody's door."""


@dataclass(frozen=True, slots=True)
class Deliveries:
    """A page of them, the newest first."""

    page: list[Delivery]
    next: str
    """To go on after; empty at the end."""


def deliveries(backend: Backend, id: str, owner: str = "local", state: str = "", after: str = "", limit: int = 100) -> Deliveries:
    """The deliveries of a subscription, the newest first.

    Args:
        state: Only those that are due, delivered or failed; empty takes all.
        after: The `next` of the page before.

    Raises:
        NotFound: There is no such subscription.
        BadInput: There is no such state, or `after` is no delivery of it.
    """
    if state and state not in STATES:
        raise BadInput(f"state {state[:40]!r} does not exist; choose {', '.join(STATES)}")
    watcher = subscription(backend, id, owner)
    there = sorted(every(backend.records, Delivery, subscription=watcher.id), key=lambda way: (way.created, way.id), reverse=True)
    first = 0
    if after:
        first = next((place for place, way in enumerate(there, 1) if way.id == after), 0)
        if not first:
            raise BadInput(f"{after[:80]!r} is no place to go on from; give the `next` of the page before")
    found = [way for way in there[first:] if not state or way.state == state]
    return Deliveries(found[:limit], found[limit - 1].id if len(found) > limit else "")


def redeliver(backend: Backend, id: str, owner: str = "local") -> Delivery:
    """Have a delivery tried once more by the next tick, with the id it has had, so that its receiver can tell it from another.

    The attempts so far stay, and the schedule goes on where it stood. One that is tried within the next minute anyway is let be: it
    may be under way, and must not be sent by two at once.

    Raises:
        NotFound: There is no such delivery.
        Conflict: Its channel is disabled or gone, or it has been tried too often.
    """
    found = backend.records.get(Delivery, id)
    watcher = backend.records.get(Subscription, found.subscription) if found else None
    if watcher is None or watcher.owner != owner or watcher.state == "deleted":
        raise NotFound(f"there is no delivery {id!r}; see `revisit subscriptions deliveries`")
    now = backend.now()
    return backend.commit(lambda commit: _again(commit, id, now), last=False) or backend.record(Delivery, id)


def _again(commit: Commit, id: str, now: datetime) -> Delivery:
    there = commit.get(Delivery, id)
    watcher = commit.get(Subscription, there.subscription) if there else None
    if there is None or watcher is None:
        raise NotFound(f"there is no delivery {id!r}; see `revisit subscriptions deliveries`")
    channel = next((channel for channel in watcher.channels if channel.id == there.channel), None)
    if reason := why_over(watcher, channel):
        raise Conflict(f"delivery {id} cannot be tried again: {reason}")
    if len(there.attempts) >= MOST_ATTEMPTS:
        raise Conflict(f"delivery {id} has been tried {len(there.attempts)} times, which is enough; the alert log has the alert")
    if there.state == "due" and there.due is not None and there.due <= now + LEASE:
        return there
    again = there.updated(state="due", due=now, claim=there.claim + 1)  # what comes late of an attempt before changes nothing
    commit.put(again)
    return again
