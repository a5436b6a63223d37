"""Jobs of passes as products are announced: one job a pass, chosen and judged as a backfill would."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import batched

from revisit.chain.job_lifecycle import put_started
from revisit.domain.aoi import AOI
from revisit.domain.aoi_match import match_aois
from revisit.domain.conditions import limit_fields
from revisit.domain.events import JobFinished, ProductNew
from revisit.domain.job import Job, job_id
from revisit.domain.order import Order
from revisit.domain.product import Product, acquisition_id
from revisit.domain.selection import (
    SAME_SHARE,
    PassSelection,
    keeps_tiles_apart,
    select_passes,
)
from revisit.domain.subscription import Subscription
from revisit.ports.backend import Backend, Commit
from revisit.ports.batch_sizes import MAX_RECORDS_PER_COMMIT
from revisit.ports.pagination import find_all
from revisit.ports.system_records import CatalogCursor, ProductCopy, copy_id

WHOLE = 0.999
"""Measured coverage from which a job's AOI has no room for a part whose footprint is not known."""


@dataclass(frozen=True, slots=True)
class News:
    """A product that was announced, and what is known beside it."""

    product: Product
    known: tuple[Product, ...]
    """Other announced products of the same pass, on the subscriptions' tiles."""
    files: str = ""
    """Mark of the product's files where it was announced again because they changed."""


def announced_product(backend: Backend, event: ProductNew) -> Product:
    """The product of an event, as its source has it.

    Raises:
        NotFoundError: There is none.
    """
    product = backend.get_record(Product, event.product)
    if not event.source or product.source == event.source:
        return product
    copy = backend.records.get(ProductCopy, copy_id(event.source, event.product))
    return copy.product if copy else product


def known_products(backend: Backend, product: Product, tiles: Iterable[str]) -> tuple[Product, ...]:
    """Products of the same pass that were announced on the product's tile and other tiles."""
    acquisitions = {
        acquisition_id(product.platform, product.datatake, tile) for tile in {product.tile, *tiles}
    }
    found = []
    for acquisition in sorted(acquisitions):
        found += list(find_all(backend.records, Product, acquisition=acquisition))
        found += [copy.product for copy in find_all(backend.records, ProductCopy, acquisition=acquisition)]
    return tuple(one for one in found if _key(one) != _key(product))


def follow_product(
    backend: Backend, product: Product, subscriptions: Sequence[Subscription], files: str = ""
) -> None:
    """Start the job of the product's pass for each subscription, restart it where the product improves it, or
    end it where the pass is too cloudy with it; completes the handling of the backend's cause.

    A product that is announced meanwhile, and whose own handling changes nothing, may decide on the pass: the
    pass is then chosen again.

    Args:
        backend: Holds the records.
        product: The announced product.
        subscriptions: Those whose level and AOI the product meets.
        files: Mark of the product's files where it was announced again because they changed.
    """
    tiles = {tile for subscription in subscriptions for tile in subscription.tiles}
    known = known_products(backend, product, tiles) if subscriptions else ()
    changed = _follow(backend, News(product, known, files), subscriptions, completes_event=True)
    while changed and (later := known_products(backend, product, tiles)) != known:
        known = later
        changed = _follow(backend, News(product, known, files), subscriptions, completes_event=False)


def _follow(
    backend: Backend, news: News, subscriptions: Sequence[Subscription], completes_event: bool
) -> int:
    """Write what the product makes of the jobs of its pass; returns how many changed."""
    cursor = backend.records.get(CatalogCursor, "catalog")
    since = cursor.passes_since if cursor else None
    is_old = since is None or news.product.sensing_time < since
    ids = {
        one.id: (_job_of_acquisition(backend, news.product, one) if is_old else None)
        or pass_job_id(one, news)
        for one in subscriptions
    }
    batches, changed = list(batched(subscriptions, MAX_RECORDS_PER_COMMIT)) or [()], 0
    for number, batch in enumerate(batches, 1):
        changed += (
            backend.commit(
                partial(_update_jobs, news=news, subscriptions=batch, ids=ids, backend=backend),
                completes_event=completes_event and number == len(batches),
            )
            or 0
        )
    return changed


def pass_job_id(subscription: Subscription, news: News) -> str:
    """Id of the job of the product's pass for a subscription, of its acquisition where tiles are apart."""
    product = news.product
    observed = product.acquisition if _is_apart(subscription) else product.pass_id
    return job_id(subscription.id, observed, subscription.recipe)


def _is_apart(subscription: Subscription) -> bool:
    """Whether each tile of a pass gets a job of its own."""
    shape = AOI.from_normalized(subscription.aoi).shape
    return keeps_tiles_apart(shape, subscription.tiles, subscription.recipe.resolution_m)


def _job_of_acquisition(backend: Backend, product: Product, subscription: Subscription) -> str | None:
    """Id of the job that an earlier version made of an acquisition of the pass; None without one."""
    if _is_apart(subscription):
        return None
    for tile in dict.fromkeys((product.tile, *subscription.tiles)):
        acquisition = acquisition_id(product.platform, product.datatake, tile)
        id = job_id(subscription.id, acquisition, subscription.recipe)
        if backend.records.get(Job, id) is not None:
            return id
    return None


def _update_jobs(
    commit: Commit,
    news: News,
    subscriptions: Sequence[Subscription],
    ids: Mapping[str, str],
    backend: Backend,
) -> int:
    jobs = {one.id: commit.get(Job, ids[one.id]) for one in subscriptions}
    changed: list[tuple[Job | None, Job]] = []
    for subscription in subscriptions:
        was = jobs[subscription.id]
        job = next_job(was, news, subscription, backend.now())
        if job is not None:
            changed.append((was, job))
    counted = {id for was, job in changed if was and was.again != job.again for id in job.orders}
    orders = {id: order for id in sorted(counted) if (order := commit.get(Order, id))}
    for was, job in changed:
        if was is not None and was.again == job.again:
            commit.put(job)
            continue
        if job.state == "skipped":
            commit.put(job.with_changes(recheck=None, republished=0))
            commit.emit(JobFinished(job.id, job.lane, job.again))
        else:
            put_started(commit, job)
        if was is not None:
            orders |= {id: _recount(orders[id], was, job) for id in job.orders if id in orders}
    for order in orders.values():
        commit.put(order)
    return len(changed)


def _recount(order: Order, was: Job, job: Job) -> Order:
    """The order of a job after its next run was started or ended."""
    ended = order.finished
    if not was.is_open:
        order = order.reopen_job(was.state)
    return order if job.is_open else order.close_jobs(1, ended or job.finished, skipped=1)


def next_job(was: Job | None, news: News, subscription: Subscription, now: datetime) -> Job | None:
    """What an announced product makes of the job of its pass: the products of the pass are chosen of all that
    are known, then judged, as for a backfill (`services.subscriptions.backfill.past_passes`).

    Returns:
        A new job, a further run, the same run with further alternates, a job that is skipped because the pass
        is too cloudy with its best product, or None if the product changes nothing.
    """
    stored = (*was.alternates, *was.products) if was else ()
    candidates = {_key(one): one for one in (*stored, *news.known, news.product)}
    selection = _select(list(candidates.values()), subscription, news.product)
    reason = subscription.rejection_reason(selection.product)
    if was is None:
        return None if reason else _new_job(selection, news, subscription, now)
    was_rejected = subscription.rejection_reason(was.product) is not None
    if reason:
        # Limits that were changed since the job was made decide nothing about it.
        return None if was_rejected else _skipped_job(was, selection, reason, now)
    if was_rejected and was.state == "skipped":
        return _next_run(was, selection, news)
    return restarted_job(was, selection, news, subscription)


def _new_job(selection: PassSelection, news: News, subscription: Subscription, now: datetime) -> Job:
    return Job(
        id=pass_job_id(subscription, news),
        product=selection.product,
        aoi=subscription.aoi,
        recipe=subscription.recipe,
        created=now,
        owner=subscription.owner,
        subscription=subscription.id,
        pass_id=selection.pass_id,
        parts=selection.parts,
        alternates=selection.alternates,
        **limit_fields(subscription),
    )


def _skipped_job(job: Job, selection: PassSelection, reason: str, now: datetime) -> Job:
    """The job, ended before a further run, since the best product of its pass does not meet the limits."""
    skipped = job.restarted(product=selection.product, parts=selection.parts, alternates=selection.alternates)
    return skipped.with_changes(state="skipped", reason=reason, finished=now, previous=None)


def _next_run(job: Job, selection: PassSelection, news: News) -> Job:
    return job.restarted(
        product=selection.product,
        parts=selection.parts,
        alternates=selection.alternates,
        lane="live",
        files=news.files or job.files,
    )


def restarted_job(job: Job, selection: PassSelection, news: News, subscription: Subscription) -> Job | None:
    """What the selection of a pass makes of its job: a further run, the same run with a further alternate, or
    None if it changes nothing.

    A reprocessed product that shows no more of the AOI changes nothing, unless the job failed. A tile that
    the grid is to be taken of starts a further run, so that the grid does not depend on the order of arrival.
    """
    used = {_key(one): one for one in job.products}
    changed_files = news.files and _key(news.product) in used and news.files != job.files
    if job.state == "failed":
        if not changed_files and _versions(selection.products) == _versions(job.products):
            selection = _other_than(selection, news.product, job)
        if not changed_files and _versions(selection.products) == _versions(job.products):
            return None
    elif (
        not changed_files
        and selection.product.tile == job.product.tile
        and not _adds_area(selection, job, subscription)
    ):
        if not job.is_open or selection.products != job.products:
            return None
        alternates = tuple(one for one in selection.alternates if _key(one) not in used)
        return None if alternates == job.alternates else job.with_changes(alternates=alternates)
    return _next_run(job, selection, news)


def _other_than(selection: PassSelection, product: Product, job: Job) -> PassSelection:
    """For a job whose products cannot be read: the announced product instead, if the job has not tried it."""
    tried = _versions((*job.products, *job.alternates))
    if _versions([product]) & tried:
        return selection
    return replace(selection, product=product, parts=(), alternates=job.products)


def _adds_area(selection: PassSelection, job: Job, subscription: Subscription) -> bool:
    """Whether a selection shows noticeably more of the AOI than the job's products do."""
    before = _select(list(job.products), subscription, job.product)
    if selection.coverage > before.coverage + SAME_SHARE:
        return True
    measured = job.shown.cover.coverage if job.shown.cover else 0.0
    used = {_key(one) for one in job.products}
    unknown = [one for one in selection.products if one.footprint is None and _key(one) not in used]
    return bool(unknown) and used < {_key(one) for one in selection.products} and measured < WHOLE


def _select(candidates: list[Product], subscription: Subscription, product: Product) -> PassSelection:
    is_apart, aoi = _is_apart(subscription), AOI.from_normalized(subscription.aoi)
    observed = [
        one
        for one in candidates
        if one.pass_id == product.pass_id
        and not (is_apart and one.tile != product.tile)
        and (one == product or match_aois(one, {"": aoi}))
    ]
    [selection] = select_passes(observed, aoi.shape, product.level, is_apart)
    return selection


def _key(product: Product) -> tuple[str, str]:
    return product.id, product.source


def _versions(products: Iterable[Product]) -> set[tuple[str, str, str]]:
    return {(product.id, product.source, product.version) for product in products}
