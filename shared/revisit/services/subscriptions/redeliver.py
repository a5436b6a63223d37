"""What was carried outward of a subscription, and one more try where it was in vain."""

from datetime import datetime

from revisit.chain.delivery_ledger import CLAIM_LEASE
from revisit.chain.delivery_policy import undeliverable_reason
from revisit.domain.delivery import Delivery
from revisit.domain.subscription import Subscription
from revisit.errors import ConflictError, InvalidInputError, NotFoundError
from revisit.ports.backend import Backend, Commit
from revisit.ports.pagination import Page, find_page
from revisit.services.subscriptions.create import get_subscription

DELIVERY_STATES = ("due", "delivered", "failed")
MAX_ATTEMPTS = 50
"""Of one delivery, whoever asked for them: each stays in its record, and knocks at somebody's door."""


def list_deliveries(
    backend: Backend, id: str, owner: str = "local", state: str = "", after: str = "", limit: int = 100
) -> Page[Delivery]:
    """A page of a subscription's deliveries, newest first.

    Args:
        state: "due", "delivered" or "failed" for those only; empty takes all.
        after: The `next` of the previous page.

    Raises:
        NotFoundError: There is no such subscription.
        InvalidInputError: There is no such state, or `after` is no delivery of it.
    """
    if state and state not in DELIVERY_STATES:
        raise InvalidInputError(f"state {state[:40]!r} does not exist; choose {', '.join(DELIVERY_STATES)}")
    subscription = get_subscription(backend, id, owner)
    if state:
        return find_page(
            backend.records,
            Delivery,
            sort="created",
            descending=True,
            after=after,
            limit=limit,
            subscription=subscription.id,
            state=state,
        )
    return find_page(
        backend.records,
        Delivery,
        sort="created",
        descending=True,
        after=after,
        limit=limit,
        subscription=subscription.id,
    )


def redeliver(backend: Backend, id: str, owner: str = "local") -> Delivery:
    """Have a delivery tried once more by the next tick, with the id it has had, so that its receiver can tell
    it from another.

    The attempts so far stay, and the schedule goes on where it stood. One that is tried within the next
    minute anyway is let be: it
    may be under way, and must not be sent by two at once.

    Raises:
        NotFoundError: There is no such delivery.
        ConflictError: Its channel is disabled or gone, or it has been tried too often.
    """
    found = backend.records.get(Delivery, id)
    watcher = backend.records.get(Subscription, found.subscription) if found else None
    if watcher is None or watcher.owner != owner or watcher.state == "deleted":
        raise NotFoundError(f"there is no delivery {id!r}; see `revisit subscriptions deliveries`")
    now = backend.now()
    return backend.commit(
        lambda commit: _schedule_retry(commit, id, now), completes_event=False
    ) or backend.get_record(Delivery, id)


def _schedule_retry(commit: Commit, id: str, now: datetime) -> Delivery:
    there = commit.get(Delivery, id)
    watcher = commit.get(Subscription, there.subscription) if there else None
    if there is None or watcher is None:
        raise NotFoundError(f"there is no delivery {id!r}; see `revisit subscriptions deliveries`")
    channel = next((channel for channel in watcher.channels if channel.id == there.channel), None)
    if reason := undeliverable_reason(watcher, channel):
        raise ConflictError(f"delivery {id} cannot be tried again: {reason}")
    if len(there.attempts) >= MAX_ATTEMPTS:
        raise ConflictError(
            f"delivery {id} has been tried {len(there.attempts)} times, which is enough; the alert log has the alert"
        )
    if there.state == "due" and there.due is not None and there.due <= now + CLAIM_LEASE:
        return there
    again = there.with_changes(
        state="due", due=now, claim=there.claim + 1
    )  # what comes late of an attempt before changes nothing
    commit.put(again)
    return again
