"""What came of orders and subscriptions: jobs, alerts, series."""

from collections.abc import Iterable

from revisit.domain.alert import Alert
from revisit.domain.job import Job
from revisit.domain.series import Observation, build_series
from revisit.domain.subscription import Subscription
from revisit.errors import InvalidInputError, NotFoundError
from revisit.ports.backend import Backend
from revisit.ports.pagination import find_all
from revisit.services.orders.create import get_order
from revisit.services.subscriptions.create import get_subscription


def list_jobs(backend: Backend, id: str, owner: str = "local") -> list[Job]:
    """The jobs of an order or subscription, or the one of that id, by sensing time.

    Raises:
        NotFoundError: The id is none of these, or another's.
    """
    if id.startswith("job_"):
        return [get_job(backend, id, owner)]
    if id.startswith("order_"):
        return sort_by_time(find_all(backend.records, Job, orders=get_order(backend, id, owner).id))
    return sort_by_time(find_all(backend.records, Job, subscription=get_subscription(backend, id, owner).id))


def get_job(backend: Backend, id: str, owner: str = "local") -> Job:
    """A job of this owner.

    Raises:
        NotFoundError: There is none of that id, or it is another's.
    """
    found = backend.records.get(Job, id)
    if found is None or found.owner != owner:
        raise NotFoundError(f"there is no job {id!r}; the results of an order or subscription name theirs")
    return found


def get_series(backend: Backend, id: str, index: str, owner: str = "local") -> list[Observation]:
    """The values of an index (or of a band asked for by name) through time, the oldest first.

    Raises:
        InvalidInputError: There is no such index or band, or the recipe does not hold it.
        NotFoundError: There is no such order, subscription or job.
    """
    jobs = list_jobs(backend, id, owner)
    if not id.startswith(("job_", "order_")):
        # Of an AOI that was drawn anew the values of before are of another place.
        place = get_subscription(backend, id, owner).aoi
        jobs = [job for job in jobs if job.aoi == place]
    name = _resolve_index_or_band(index)
    if jobs and not any(name in job.recipe.indices or name in job.recipe.bands for job in jobs):
        held = ", ".join(
            dict.fromkeys(name for job in jobs for name in (*job.recipe.indices, *job.recipe.bands))
        )
        raise InvalidInputError(f"{id} has no {name}; its recipe holds {held}")
    return build_series(jobs, name)


def list_alerts(
    backend: Backend, id: str, after: int = 0, owner: str = "local", limit: int | None = None
) -> list[Alert]:
    """The alerts of a subscription with a number greater than `after`, in order.

    Raises:
        NotFoundError: There is no such subscription.
    """
    if after < 0:
        raise InvalidInputError(f"alerts are numbered from 1, so none comes after {after}; give 0 for all")
    there = find_all(backend.records, Alert, subscription=get_subscription(backend, id, owner).id)
    return sorted((alert for alert in there if alert.number > after), key=lambda alert: alert.number)[:limit]


def with_last_alert(backend: Backend, subscription: Subscription) -> Subscription:
    """The subscription with when its latest alert came, which a record of an earlier version does not say."""
    if not subscription.alerts or subscription.last_alert is not None:
        return subscription
    last = list_alerts(backend, subscription.id, subscription.alerts - 1, subscription.owner)
    return (
        subscription.with_changes(last_sensing=last[-1].sensing_time, last_alert=last[-1].created)
        if last
        else subscription
    )


def sort_by_time(jobs: Iterable[Job]) -> list[Job]:
    """Jobs by sensing time."""
    return sorted(jobs, key=lambda job: (job.product.sensing_time, job.id))


def _resolve_index_or_band(name: str) -> str:
    from revisit.domain.bands import band_name
    from revisit.pixels.indices import resolve

    try:
        return resolve(name)
    except InvalidInputError as no_index:
        try:
            return band_name(name)
        except InvalidInputError:
            raise no_index from None
