"""The states of a subscription: pause, resumption with what was published meanwhile, deletion."""

from collections.abc import Collection
from datetime import datetime
from functools import partial

from revisit.domain.alert import Alert, alert_id
from revisit.domain.events import JobFinished
from revisit.domain.job import Job
from revisit.domain.subscription import Subscription
from revisit.ports.backend import Backend, Commit
from revisit.ports.catalog import Query
from revisit.ports.pagination import find_all
from revisit.services.orders.create import write_order
from revisit.services.subscriptions.backfill import (
    MAX_PUBLICATION_DELAY,
    past_order,
    past_passes,
    plan_past_jobs,
)
from revisit.services.subscriptions.records import update_subscription_record


def pause_subscription(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """Pause a subscription: it starts no jobs until it is resumed; running ones finish."""
    return update_subscription_record(backend, id, owner, lambda _, there: there.pause(backend.now()))


def resume_subscription(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """Resume a subscription and process what was published meanwhile."""
    return catch_up(
        backend,
        update_subscription_record(backend, id, owner, lambda _, there: there.with_changes(state="active")),
    )


def catch_up(backend: Backend, subscription: Subscription) -> Subscription:
    """Process what was published while a subscription that is active again was paused."""
    if subscription.paused is None:
        return subscription
    since, now = subscription.paused, backend.now()
    _republish_finished_jobs(backend, subscription, since)
    start = since - MAX_PUBLICATION_DELAY
    order = past_order(subscription, "resume", since, start, now).with_changes(published_since=since)
    passes = past_passes(backend, subscription, Query(start=start, end=now), since)
    write_order(backend, *plan_past_jobs(order, subscription, passes))
    # Paused again meanwhile: what was published since the first pause still has to be processed.
    return update_subscription_record(
        backend,
        subscription.id,
        subscription.owner,
        lambda _, current: current.with_changes(paused=None) if current.state == "active" else current,
    )


def _republish_finished_jobs(backend: Backend, subscription: Subscription, since: datetime) -> None:
    """Emit the end of jobs again that ended while the subscription was paused, so that they make alerts."""
    for job in find_all(backend.records, Job, subscription=subscription.id, state="done"):
        # Jobs that ended well before the pause have made their alerts.
        if (
            job.finished
            and job.finished >= since - MAX_PUBLICATION_DELAY
            and _lacks_alert(backend, subscription, job)
        ):
            backend.commit(
                partial(Commit.emit, event=JobFinished(job.id, job.lane, job.again)), completes_event=False
            )


def _lacks_alert(backend: Backend, subscription: Subscription, job: Job) -> bool:
    first = backend.records.get(Alert, alert_id(subscription.id, job.observed))
    return first is None or first.again < job.again


def delete_subscription(
    backend: Backend, id: str, owner: str = "local", expected_revisions: Collection[str] | None = None
) -> Subscription:
    """Delete a subscription: it starts no jobs, and makes no alerts and deliveries.

    Args:
        backend: The backend.
        id: Id or name of the subscription.
        owner: Id of the owner.
        expected_revisions: As for `update_subscription_record`.
    """
    return update_subscription_record(
        backend,
        id,
        owner,
        lambda _, there: there.with_changes(state="deleted", paused=None),
        expected_revisions,
    )
