"""Results of orders and subscriptions: jobs, alerts, series."""

from collections.abc import Iterable

from revisit.domain.alert import Alert
from revisit.domain.job import FINISHED_STATES, Job
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe, index_name
from revisit.domain.series import Observation, build_series
from revisit.domain.subscription import Subscription
from revisit.errors import InvalidInputError, NotFoundError
from revisit.ports.backend import Backend
from revisit.ports.pagination import PAGE_SIZE, Page, find_all_sorted, find_page
from revisit.ports.record_types import number_key
from revisit.services.orders.create import get_order
from revisit.services.subscriptions.records import get_subscription


def list_jobs(backend: Backend, id: str, owner: str = "local") -> list[Job]:
    """The jobs of an order or subscription, or the job with that id, by sensing time.

    Raises:
        NotFoundError: There is no record with that id, or it belongs to another owner.
    """
    if id.startswith("job_"):
        return [get_job(backend, id, owner)]
    records = backend.records
    if id.startswith("order_"):
        order = get_order(backend, id, owner)
        return _shown(find_all_sorted(records, Job, sort="sensing_time", orders=order.id))
    subscription = get_subscription(backend, id, owner)
    return _shown(find_all_sorted(records, Job, sort="sensing_time", subscription=subscription.id))


def list_latest_jobs(backend: Backend, id: str, owner: str, limit: int) -> list[Job]:
    """The `limit` jobs of an order or subscription with the latest sensing times, in their order.

    Raises:
        NotFoundError: The id is neither, or another owner's.
    """
    records = backend.records
    if id.startswith("job_"):
        return [get_job(backend, id, owner)]
    if id.startswith("order_"):
        order = get_order(backend, id, owner)
        found = records.find_sorted(Job, sort="sensing_time", descending=True, limit=limit, orders=order.id)
    else:
        subscription = get_subscription(backend, id, owner)
        found = records.find_sorted(
            Job, sort="sensing_time", descending=True, limit=limit, subscription=subscription.id
        )
    return _shown(found[::-1])


def list_ended_jobs(backend: Backend, order: Order, limit: int, after: str = "") -> Page[Job]:
    """A page of the jobs of an order that have ended, by sensing time, after the job with the id `after`.

    Raises:
        InvalidInputError: `after` is not a job of this order.
    """
    ended: list[Job] = []
    while True:
        page = find_page(backend.records, Job, sort="sensing_time", after=after, limit=limit, orders=order.id)
        for job in page.items:
            if len(ended) == limit:
                return Page(ended, ended[-1].id)
            if job.state in FINISHED_STATES:
                ended.append(job)
        if not page.next:
            return Page(ended)
        after = page.next


def _shown(jobs: Iterable[Job]) -> list[Job]:
    """Jobs as users see them: the result of the run before, while a further run is under way."""
    return [job.shown for job in jobs]


def get_job(backend: Backend, id: str, owner: str = "local") -> Job:
    """A job of this owner.

    Raises:
        NotFoundError: There is no job with that id, or it belongs to another owner.
    """
    found = backend.records.get(Job, id)
    if found is None or found.owner != owner:
        raise NotFoundError(f"there is no job {id!r}; the results of an order or subscription name theirs")
    return found.shown


def get_series(backend: Backend, id: str, index: str, owner: str = "local") -> list[Observation]:
    """The values of an index, or of a band of the recipe, over time, oldest first.

    Raises:
        InvalidInputError: There is no such index or band, or it is not in the recipe.
        NotFoundError: There is no such order, subscription or job.
    """
    jobs = list_jobs(backend, id, owner)
    recipes = [job.recipe for job in jobs]
    if not id.startswith(("job_", "order_")):
        # If the AOI was changed, earlier values are of another area.
        subscription = get_subscription(backend, id, owner)
        jobs = [job for job in jobs if job.aoi == subscription.aoi]
        recipes = [*(job.recipe for job in jobs), subscription.recipe]
    definition = _own_formula(index, recipes) or _resolve_index_or_band(index)
    name = index_name(definition)
    # If a formula was changed, earlier values of its name are of another formula.
    made = [job for job in jobs if definition in job.recipe.indices or name in job.recipe.bands]
    if jobs and not made:
        held = ", ".join(dict.fromkeys(name for job in jobs for name in job.recipe.names))
        raise InvalidInputError(f"{id} has no {name}; its recipe holds {held}")
    return build_series(made, name)


def list_alerts(
    backend: Backend, id: str, after: int = 0, owner: str = "local", limit: int | None = None
) -> list[Alert]:
    """The alerts of a subscription with a number greater than `after`, in order.

    Raises:
        NotFoundError: There is no such subscription.
    """
    if after < 0:
        raise InvalidInputError(f"alerts are numbered from 1, so none comes after {after}; give 0 for all")
    subscription = get_subscription(backend, id, owner)
    alerts: list[Alert] = []
    while limit is None or len(alerts) < limit:
        size = PAGE_SIZE if limit is None else min(limit - len(alerts), PAGE_SIZE)
        found = backend.records.find_sorted(
            Alert, sort="number", after=(number_key(after), ""), limit=size, subscription=subscription.id
        )
        alerts += found
        if len(found) < size:
            break
        after = found[-1].number
    return alerts


def with_last_alert(backend: Backend, subscription: Subscription) -> Subscription:
    """The subscription with the time of its latest alert, which records of earlier versions do not have."""
    if not subscription.alerts or subscription.last_alert is not None:
        return subscription
    last = list_alerts(backend, subscription.id, subscription.alerts - 1, subscription.owner, limit=1)
    return (
        subscription.with_changes(last_sensing=last[-1].sensing_time, last_alert=last[-1].created)
        if last
        else subscription
    )


def _own_formula(name: str, recipes: list[Recipe]) -> str:
    """The formula of the user's own under a name, as the latest of the recipes has it; empty where none
    has."""
    definitions = {index_name(each).lower(): each for one in recipes for each in one.indices if "=" in each}
    return definitions.get(name.strip().lower(), "")


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
