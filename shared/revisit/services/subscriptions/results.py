"""What came of orders and subscriptions: jobs, alerts, series."""

from collections.abc import Iterable

from revisit.domain.alert import Alert
from revisit.domain.job import Job
from revisit.domain.series import Observation
from revisit.domain.series import series as series_of
from revisit.domain.subscription import Subscription
from revisit.errors import BadInput, NotFound
from revisit.ports.backend import Backend
from revisit.ports.pagination import every
from revisit.services.orders.create import order_of
from revisit.services.subscriptions.create import subscription


def results(backend: Backend, id: str, owner: str = "local") -> list[Job]:
    """The jobs of an order or subscription, or the one of that id, by sensing time.

    Raises:
        NotFound: The id is none of these, or another's.
    """
    if id.startswith("job_"):
        return [job(backend, id, owner)]
    if id.startswith("order_"):
        return by_time(every(backend.records, Job, orders=order_of(backend, id, owner).id))
    return by_time(every(backend.records, Job, subscription=subscription(backend, id, owner).id))


def job(backend: Backend, id: str, owner: str = "local") -> Job:
    """A job of this owner.

    Raises:
        NotFound: There is none of that id, or it is another's.
    """
    found = backend.records.get(Job, id)
    if found is None or found.owner != owner:
        raise NotFound(f"there is no job {id!r}; the results of an order or subscription name theirs")
    return found


def series(backend: Backend, id: str, index: str, owner: str = "local") -> list[Observation]:
    """The values of an index (or of a band asked for by name) through time, the oldest first.

    Raises:
        BadInput: There is no such index or band, or the recipe does not hold it.
        NotFound: There is no such order, subscription or job.
    """
    jobs = results(backend, id, owner)
    if not id.startswith(("job_", "order_")):
        # Of an AOI that was drawn anew the values of before are of another place.
        place = subscription(backend, id, owner).aoi
        jobs = [job for job in jobs if job.aoi == place]
    name = _index_or_band(index)
    if jobs and not any(name in job.recipe.indices or name in job.recipe.bands for job in jobs):
        held = ", ".join(dict.fromkeys(name for job in jobs for name in (*job.recipe.indices, *job.recipe.bands)))
        raise BadInput(f"{id} has no {name}; its recipe holds {held}")
    return series_of(jobs, name)


def alerts(backend: Backend, id: str, after: int = 0, owner: str = "local", limit: int | None = None) -> list[Alert]:
    """The alerts of a subscription with a number greater than `after`, in order.

    Raises:
        NotFound: There is no such subscription.
    """
    if after < 0:
        raise BadInput(f"alerts are numbered from 1, so none comes after {after}; give 0 for all")
    there = every(backend.records, Alert, subscription=subscription(backend, id, owner).id)
    return sorted((alert for alert in there if alert.number > after), key=lambda alert: alert.number)[:limit]


def latest(backend: Backend, watcher: Subscription) -> Subscription:
    """The subscription with when its latest alert came, which a record of an earlier version does not say."""
    if not watcher.alerts or watcher.last_alert is not None:
        return watcher
    last = alerts(backend, watcher.id, watcher.alerts - 1, watcher.owner)
    return watcher.updated(last_sensing=last[-1].sensing_time, last_alert=last[-1].created) if last else watcher


def by_time(jobs: Iterable[Job]) -> list[Job]:
    """Jobs by sensing time."""
    return sorted(jobs, key=lambda job: (job.product.sensing_time, job.id))


def _index_or_band(name: str) -> str:
    from revisit.domain.bands import band_name
    from revisit.pixels.indices import resolve

    try:
        return resolve(name)
    except BadInput as no_index:
        try:
            return band_name(name)
        except BadInput:
            raise no_index from None
