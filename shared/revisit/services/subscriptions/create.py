"""Subscriptions: made, paused, resumed, deleted, and their past worked."""

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256

from revisit.domain.alert import Alert, alert_id
from revisit.domain.aoi import AOI
from revisit.domain.clock import format_rfc3339
from revisit.domain.events import JobFinished
from revisit.domain.ids import derive_id
from revisit.domain.job import Job, job_id
from revisit.domain.order import Order
from revisit.domain.product import Level, Product, select_best_products
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Channel, Subscription, subscription_id
from revisit.errors import ConflictError, InvalidInputError, NotFoundError, PreconditionFailedError
from revisit.ports.backend import Backend, Commit
from revisit.ports.catalog import Query
from revisit.ports.pagination import find_all
from revisit.ports.record_types import encode
from revisit.services.accounts.limits import check_area, check_period, limits_of
from revisit.services.accounts.quotas import reserve_subscription
from revisit.services.orders.create import write_order
from revisit.services.orders.resolve_recipe import resolve_recipe
from revisit.services.products.backfill import sync_sources
from revisit.services.products.search import products_over

BACKFILL_CAUSE = "backfill"
"""What the order over a subscription's past from its beginning is called for."""
MAX_PUBLICATION_DELAY = timedelta(days=10)
"""A product is published this long after its sensing at most; what comes later is a reprocessing."""


def create_subscription(
    backend: Backend,
    aoi: AOI,
    name: str,
    recipe: Recipe,
    level: Level = "L2A",
    max_cloud: float | None = None,
    min_clear: float | None = None,
    channels: Sequence[Channel] = (),
    backfill: datetime | None = None,
    owner: str = "local",
) -> Subscription:
    """Watch an AOI, and work its past from `backfill` on.

    The same owner, name, AOI and recipe are the same subscription: asked for again with the same conditions
    it is answered with,
    its backfill completed if a crash left it undone; one that was deleted lives again, and its log goes on.
    One that began like this
    and was changed since is another.

    Args:
        max_cloud: Percent over the whole product at most.
        min_clear: Percent of the AOI's valid pixels that must be clear.
        channels: Where alerts go; what each webhook is signed with, `webhook_secrets` tells.

    Raises:
        InvalidInputError: A name, index, percentage, address, period or AOI that makes no sense, or more than
            the plan allows.
        ConflictError: It exists with other conditions.
        QuotaExceededError: Its past holds more acquisitions than are left of the owner's day.
        PermanentError: There is no key to sign a webhook with.
        TransientError: A source that its past is asked of does not answer; nothing has been written.
    """
    limits = limits_of(owner)
    recipe = resolve_recipe(recipe)
    check_area(aoi, limits)
    check_period(backfill, None, backend.now(), limits)
    id = subscription_id(owner, name.strip(), aoi, recipe)
    asked = Subscription(
        id=id,
        name=name.strip(),
        aoi=aoi.geometry,
        tiles=tuple(aoi.tiles),
        recipe=recipe,
        created=backend.now(),
        owner=owner,
        level=level,
        max_cloud=max_cloud,
        min_clear=min_clear,
        channels=tuple(prepare_channel(channel) for channel in channels),
        backfill=backfill,
        feed_token=new_feed_token(id),
    )
    if len(asked.channels) > limits.channels:
        raise InvalidInputError(
            f"a subscription has at most {limits.channels} channels, not {len(asked.channels)}"
        )
    if any(channel.kind == "webhook" for channel in asked.channels):
        backend.webhook_key()
    if limits.jobs_a_day is None:
        _check_subscription_limit(backend, asked, limits.subscriptions)
    past = 0
    if backfill is not None:
        sync_sources(backend, aoi, backfill, None)
        past = len(_past_products(backend, asked, _backfill_query(asked)))
    made = (
        backend.commit(lambda commit: _write_subscription(commit, asked, past), completes_event=False)
        or asked
    )
    if made.backfill is not None:
        _write_backfill_order(
            backend, made, BACKFILL_CAUSE, format_rfc3339(made.created), _backfill_query(made)
        )
    return made


def new_feed_token(id: str) -> str:
    """What the address of a subscription's feed ends in: the id finds it, the rest nobody guesses."""
    return f"{id}-{secrets.token_urlsafe(24)}"


def _write_subscription(commit: Commit, subscription: Subscription, past_count: int) -> Subscription:
    there = commit.get(Subscription, subscription.id)
    attempt = 0
    while there is not None and not there.has_same_definition(subscription):
        attempt += 1
        id = subscription_id(
            subscription.owner,
            subscription.name,
            AOI.from_normalized(subscription.aoi),
            subscription.recipe,
            attempt,
        )
        subscription = subscription.with_changes(id=id, feed_token=new_feed_token(id))
        there = commit.get(Subscription, id)
    if there is None:
        made = subscription
    elif there.state == "deleted":
        made = subscription.with_changes(
            alerts=there.alerts,
            last_sensing=there.last_sensing,
            last_alert=there.last_alert,
            feed_token=there.feed_token or subscription.feed_token,
        )
    elif differing := [
        field
        for field in ("level", "max_cloud", "min_clear", "backfill")
        if getattr(there, field) != getattr(subscription, field)
    ]:
        raise ConflictError(
            f"subscription {subscription.name!r} over this AOI exists with another {differing[0]} "
            f"({getattr(there, differing[0])}); delete it first or choose another name"
        )
    elif {channel.id for channel in there.channels} != {channel.id for channel in subscription.channels}:
        raise ConflictError(
            f"subscription {subscription.name!r} over this AOI exists with other channels; delete it first or choose another name"
        )
    else:
        return there
    usage = reserve_subscription(
        commit,
        made,
        _backfill_order_id(made, BACKFILL_CAUSE, format_rfc3339(made.created)),
        past_count,
        made.created,
    )
    if usage:
        commit.put(usage)
    commit.put(made)
    return made


def _check_subscription_limit(backend: Backend, subscription: Subscription, limit: int) -> None:
    if backend.records.count(Subscription, owner=subscription.owner) < limit:
        return
    others = [
        there for there in list_subscriptions(backend, subscription.owner) if there.id != subscription.id
    ]
    if len(others) >= limit:
        raise InvalidInputError(f"{len(others)} subscriptions are the most allowed; delete one first")


def prepare_channel(channel: Channel) -> Channel:
    """A channel that alerts may be carried by; a webhook with its first secret.

    Raises:
        InvalidInputError: The address is private or malformed, or the file's name is none.
    """
    if channel.kind == "file":
        from revisit.delivery.file_channel import check_name

        check_name(channel.target)
        return channel
    from revisit.delivery.url_guard import check_url

    check_url(channel.target)
    return channel if channel.secret else replace(channel, generation=max(channel.generation, 1))


def get_subscription(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """A subscription of this owner by its id, or by its name where that is the only one.

    Raises:
        NotFoundError: There is none, it is deleted, or it is another's.
    """
    found = backend.records.get(Subscription, id)
    if found is not None and found.owner == owner and found.state != "deleted":
        return found
    named = [there for there in list_subscriptions(backend, owner) if there.name == id]
    if len(named) == 1:
        return named[0]
    several = (
        f"; {len(named)} have that name, so give the id" if named else "; see `revisit subscriptions list`"
    )
    raise NotFoundError(f"there is no subscription {id!r}{several}")


def list_subscriptions(backend: Backend, owner: str = "local") -> list[Subscription]:
    """The subscriptions of an owner that are not deleted, the oldest first."""
    there = find_all(backend.records, Subscription, owner=owner)
    return sorted((one for one in there if one.state != "deleted"), key=lambda one: (one.created, one.id))


def pause_subscription(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """Start no more jobs for it until it is resumed; those under way are finished."""
    return update_subscription_record(backend, id, owner, lambda _, there: there.pause(backend.now()))


def resume_subscription(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """Go on, and work what was published meanwhile."""
    return catch_up(
        backend,
        update_subscription_record(backend, id, owner, lambda _, there: there.with_changes(state="active")),
    )


def catch_up(backend: Backend, subscription: Subscription) -> Subscription:
    """Work what was published while one that is active again was paused."""
    if subscription.paused is None:
        return subscription
    since, now = subscription.paused, backend.now()
    _republish_finished_jobs(backend, subscription, since)
    _write_backfill_order(
        backend,
        subscription,
        "resume",
        format_rfc3339(since),
        Query(start=since - MAX_PUBLICATION_DELAY, end=now),
        lambda product: (product.published or product.sensing_time) >= since,
    )
    # Paused again meanwhile: what was published since the first pause is still to be seen to.
    return update_subscription_record(
        backend,
        subscription.id,
        subscription.owner,
        lambda _, there: there.with_changes(paused=None) if there.state == "active" else there,
    )


def _republish_finished_jobs(backend: Backend, subscription: Subscription, since: datetime) -> None:
    """Say again that jobs are done which ended while nobody was to be alerted of them."""
    for job in find_all(backend.records, Job, subscription=subscription.id, state="done"):
        # What had ended a while before it was paused was told of long ago.
        if (
            job.finished
            and job.finished >= since - MAX_PUBLICATION_DELAY
            and backend.records.get(Alert, alert_id(subscription.id, job.acquisition)) is None
        ):
            backend.commit(
                partial(Commit.emit, event=JobFinished(job.id, job.lane, job.again)), completes_event=False
            )


def delete_subscription(
    backend: Backend, id: str, owner: str = "local", expected_revisions: Collection[str] | None = None
) -> Subscription:
    """End it for good: nothing is started, alerted or delivered for it any more.

    Args:
        expected: As for `update_subscription_record`.
    """
    return update_subscription_record(
        backend,
        id,
        owner,
        lambda _, there: there.with_changes(state="deleted", paused=None),
        expected_revisions,
    )


def update_subscription_record(
    backend: Backend,
    id: str,
    owner: str,
    change: Callable[[Commit, Subscription], Subscription],
    expected_revisions: Collection[str] | None = None,
) -> Subscription:
    """Change what a subscription is at the moment of writing.

    Args:
        change: Gives the changed one from the present one; it reads first, and may then put what goes with
            it.
        expected: Revisions, one of which it must have; None takes any.

    Raises:
        NotFoundError: There is none, or it is another's.
        PreconditionFailedError: It has another revision.
    """
    found = get_subscription(backend, id, owner)

    def work(commit: Commit) -> Subscription:
        there = commit.get(Subscription, found.id)
        if there is None or there.state == "deleted":
            raise NotFoundError(f"subscription {id!r} has been deleted meanwhile")
        if expected_revisions is not None and revision(there) not in expected_revisions:
            raise PreconditionFailedError(
                f"subscription {there.name!r} has been changed since it was read; read it again, and then say what is to be different"
            )
        changed = change(commit, there)
        if changed != there:
            commit.put(changed)
        return changed

    return backend.commit(work, completes_event=False) or found


def revision(subscription: Subscription) -> str:
    """Changes with whatever of a subscription can be changed; that alerts come does not count."""
    return sha256(
        encode(subscription.with_changes(alerts=0, last_sensing=None, last_alert=None))
    ).hexdigest()[:16]


def _backfill_query(subscription: Subscription) -> Query:
    return Query(start=subscription.backfill, end=subscription.created)


def _past_products(
    backend: Backend,
    subscription: Subscription,
    query: Query,
    predicate: Callable[[Product], bool] = lambda _: True,
) -> list[Product]:
    """The best products of a part of a subscription's past that meet its conditions."""
    known = products_over(
        backend,
        AOI.from_normalized(subscription.aoi),
        replace(query, level=subscription.level, max_cloud=subscription.max_cloud),
    )
    products = [
        product
        for product in select_best_products(known, subscription.level)
        if predicate(product) and not subscription.rejection_reason(product)
    ]
    most = limits_of(subscription.owner).jobs
    if len(products) > most:
        raise InvalidInputError(
            f"the past of {subscription.name!r} holds {len(products):,} acquisitions, more than the {most:,} allowed; begin it later"
        )
    return products


def _write_backfill_order(
    backend: Backend,
    subscription: Subscription,
    cause: str,
    moment: str,
    query: Query,
    predicate: Callable[[Product], bool] = lambda _: True,
) -> Order:
    """An order over a part of a subscription's past, in the lane that delays nothing; its jobs are those that
    live news would make."""
    asked = Order(
        _backfill_order_id(subscription, cause, moment),
        subscription.aoi,
        subscription.recipe,
        backend.now(),
        owner=subscription.owner,
        start=query.start,
        end=query.end,
        subscription=subscription.id,
    )
    return write_order(
        backend,
        asked,
        [
            Job(
                id=job_id(subscription.id, product.acquisition, subscription.recipe),
                product=product,
                aoi=subscription.aoi,
                recipe=subscription.recipe,
                created=asked.created,
                owner=subscription.owner,
                subscription=subscription.id,
                orders=(asked.id,),
                lane="backfill",
                min_clear=subscription.min_clear,
            )
            for product in _past_products(backend, subscription, query, predicate)
        ],
    )


def _backfill_order_id(subscription: Subscription, cause: str, moment: str) -> str:
    return derive_id("order", subscription.id, cause, moment)
