"""Jobs of passes as products are announced: one job a pass, restarted where a product improves it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import batched

from revisit.chain.job_lifecycle import put_started
from revisit.domain.aoi import AOI
from revisit.domain.conditions import limit_fields
from revisit.domain.events import ProductNew
from revisit.domain.job import Job, job_id
from revisit.domain.order import Order
from revisit.domain.product import Product, acquisition_id
from revisit.domain.selection import (
    SAME_SHARE,
    PassSelection,
    keeps_tiles_apart,
    select_best_products,
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


def follow_product(backend: Backend, news: News, subscriptions: Sequence[Subscription]) -> None:
    """Start the job of the product's pass for each subscription, or restart it where the product improves it;
    completes the handling of the backend's cause.

    Args:
        backend: Holds the records.
        news: The product.
        subscriptions: Those whose conditions and AOI the product meets.
    """
    cursor = backend.records.get(CatalogCursor, "catalog")
    since = cursor.passes_since if cursor else None
    is_old = since is None or news.product.sensing_time < since
    ids = {
        one.id: (_job_of_acquisition(backend, news.product, one) if is_old else None)
        or pass_job_id(one, news)
        for one in subscriptions
    }
    batches = list(batched(subscriptions, MAX_RECORDS_PER_COMMIT)) or [()]
    for number, batch in enumerate(batches, 1):
        backend.commit(
            partial(_update_jobs, news=news, subscriptions=batch, ids=ids, backend=backend),
            completes_event=number == len(batches),
        )


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
) -> None:
    jobs = {one.id: commit.get(Job, ids[one.id]) for one in subscriptions}
    changed: list[tuple[Job | None, Job]] = []
    for subscription in subscriptions:
        was = jobs[subscription.id]
        job = restarted_job(was, news, subscription) if was else new_job(news, subscription, backend)
        if job is not None:
            changed.append((was, job))
    reopened = {id for was, job in changed if _reopens(was, job) for id in job.orders}
    orders = {id: order for id in sorted(reopened) if (order := commit.get(Order, id))}
    for was, job in changed:
        if was is not None and was.again == job.again:
            commit.put(job)
            continue
        put_started(commit, job)
        if was is not None and _reopens(was, job):
            orders |= {id: orders[id].reopen_job(was.state) for id in job.orders if id in orders}
    for order in orders.values():
        commit.put(order)


def _reopens(was: Job | None, job: Job) -> bool:
    """Whether a job that had ended starts a further run."""
    return was is not None and was.recheck_at is None and was.again != job.again


def new_job(news: News, subscription: Subscription, backend: Backend) -> Job | None:
    """The first job of the product's pass, with what is known of the pass; None where a better product of the
    acquisition is known that does not meet the conditions."""
    candidates = _meeting([news.product, *news.known], subscription)
    if news.product not in candidates:
        return None
    selection = _select(candidates, subscription, news.product)
    return Job(
        id=pass_job_id(subscription, news),
        product=selection.product,
        aoi=subscription.aoi,
        recipe=subscription.recipe,
        created=backend.now(),
        owner=subscription.owner,
        subscription=subscription.id,
        pass_id=selection.pass_id,
        parts=selection.parts,
        alternates=selection.alternates,
        **limit_fields(subscription),
    )


def restarted_job(job: Job, news: News, subscription: Subscription) -> Job | None:
    """What an announced product makes of the job of its pass: a further run, the same run with a further
    alternate, or None if it changes nothing.

    A reprocessed product that shows no more of the AOI changes nothing, unless the job failed.
    """
    candidates = {
        _key(one): one
        for one in (*news.known, *job.alternates, *job.products)
        if not subscription.rejection_reason(one)
    }
    candidates |= {_key(one): one for one in job.products} | {_key(news.product): news.product}
    selection = _select(list(candidates.values()), subscription, news.product)
    used = {_key(one): one for one in job.products}
    changed_files = news.files and _key(news.product) in used and news.files != job.files
    if job.state == "failed":
        if not changed_files and _versions(selection.products) == _versions(job.products):
            selection = _other_than(selection, news.product, job)
        if not changed_files and _versions(selection.products) == _versions(job.products):
            return None
    elif not changed_files and not _adds_area(selection, job, subscription):
        if job.recheck_at is None or selection.products != job.products:
            return None
        alternates = tuple(one for one in selection.alternates if _key(one) not in used)
        return None if alternates == job.alternates else job.with_changes(alternates=alternates)
    return job.restarted(
        product=selection.product,
        parts=selection.parts,
        alternates=selection.alternates,
        lane="live",
        files=news.files or job.files,
    )


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


def _meeting(known: Sequence[Product], subscription: Subscription) -> list[Product]:
    """The products of the acquisitions whose best product meets a subscription's conditions."""
    acquisitions = dict[str, list[Product]]()
    for one in known:
        if one.level == subscription.level:
            acquisitions.setdefault(one.acquisition, []).append(one)
    return [
        one
        for products in acquisitions.values()
        if not subscription.rejection_reason(select_best_products(products)[0])
        for one in products
    ]


def _select(candidates: list[Product], subscription: Subscription, product: Product) -> PassSelection:
    is_apart, shape = _is_apart(subscription), AOI.from_normalized(subscription.aoi).shape
    observed = [
        one
        for one in candidates
        if one.pass_id == product.pass_id and not (is_apart and one.tile != product.tile)
    ]
    [selection] = select_passes(observed, shape, product.level, is_apart)
    return selection


def _key(product: Product) -> tuple[str, str]:
    return product.id, product.source


def _versions(products: Iterable[Product]) -> set[tuple[str, str, str]]:
    return {(product.id, product.source, product.version) for product in products}
