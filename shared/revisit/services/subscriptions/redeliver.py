"""List and retry of a subscription's deliveries."""

from datetime import datetime

from revisit.chain.delivery_ledger import CLAIM_LEASE
from revisit.chain.delivery_policy import undeliverable_reason
from revisit.domain.delivery import Delivery
from revisit.domain.subscription import Subscription
from revisit.errors import ConflictError, InvalidInputError, NotFoundError
from revisit.ports.backend import Backend, Commit
from revisit.ports.pagination import Page, find_page
from revisit.services.subscriptions.records import get_subscription

DELIVERY_STATES = ("due", "delivered", "failed")
MAX_ATTEMPTS = 50
"""Maximum number of attempts of one delivery, automatic or requested: each is stored in its record."""


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
    """Schedule one more attempt of a delivery at the next tick, with the same id, so that its receiver
    recognises it.

    Earlier attempts stay recorded, and the schedule continues where it was. A delivery that is due within the
    next minute is not changed: an attempt may be running, and two must not run at once.

    Raises:
        NotFoundError: There is no such delivery.
        ConflictError: Its channel is disabled or removed, or it has too many attempts.
    """
    found = backend.records.get(Delivery, id)
    subscription = backend.records.get(Subscription, found.subscription) if found else None
    if subscription is None or subscription.owner != owner or subscription.state == "deleted":
        raise NotFoundError(f"there is no delivery {id!r}; see `revisit subscriptions deliveries`")
    now = backend.now()
    return backend.commit(
        lambda commit: _schedule_retry(commit, id, now), completes_event=False
    ) or backend.get_record(Delivery, id)


def _schedule_retry(commit: Commit, id: str, now: datetime) -> Delivery:
    there = commit.get(Delivery, id)
    subscription = commit.get(Subscription, there.subscription) if there else None
    if there is None or subscription is None:
        raise NotFoundError(f"there is no delivery {id!r}; see `revisit subscriptions deliveries`")
    channel = next((channel for channel in subscription.channels if channel.id == there.channel), None)
    if reason := undeliverable_reason(subscription, channel):
        raise ConflictError(f"delivery {id} cannot be retried: {reason}")
    if len(there.attempts) >= MAX_ATTEMPTS:
        raise ConflictError(
            f"delivery {id} has been tried {len(there.attempts)} times, the maximum; the alert log has "
            "the alert"
        )
    if there.state == "due" and there.due is not None and there.due <= now + CLAIM_LEASE:
        return there
    again = there.with_changes(
        state="due", due=now, claim=there.claim + 1
    )  # a late result of an earlier attempt changes nothing
    commit.put(again)
    return again
