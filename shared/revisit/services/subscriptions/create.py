"""Subscriptions: made, paused, resumed, deleted, and their past worked."""

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256

from revisit.domain.alert import Alert, alert_id
from revisit.domain.aoi import AOI
from revisit.domain.clock import rfc3339
from revisit.domain.events import JobFinished
from revisit.domain.ids import derived
from revisit.domain.job import Job, job_id
from revisit.domain.order import Order
from revisit.domain.product import Level, Product, best
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Channel, Subscription, subscription_id
from revisit.errors import BadInput, Conflict, NotFound, Stale
from revisit.ports.backend import Backend, Commit
from revisit.ports.catalog import Query
from revisit.ports.pagination import every
from revisit.ports.record_types import encode
from revisit.services.accounts.limits import check_area, check_period, limits_of
from revisit.services.accounts.quotas import take_place
from revisit.services.orders.create import place
from revisit.services.orders.resolve_recipe import resolved
from revisit.services.products.backfill import recall
from revisit.services.products.search import products_over

BACKFILL = "backfill"
"""What the order over a subscription's past from its beginning is called for."""
LATE = timedelta(days=10)
"""A product is published this long after its sensing at most; what comes later is a reprocessing."""


def subscribe(backend: Backend, aoi: AOI, name: str, recipe: Recipe, level: Level = "L2A", max_cloud: float | None = None,
              min_clear: float | None = None, channels: Sequence[Channel] = (), backfill: datetime | None = None,
              owner: str = "local") -> Subscription:
    """Watch an AOI, and work its past from `backfill` on.

    The same owner, name, AOI and recipe are the same subscription: asked for again with the same conditions it is answered with,
    its backfill completed if a crash left it undone; one that was deleted lives again, and its log goes on. One that began like this
    and was changed since is another.

    Args:
        max_cloud: Percent over the whole product at most.
        min_clear: Percent of the AOI's valid pixels that must be clear.
        channels: Where alerts go; what each webhook is signed with, `webhook_secrets` tells.

    Raises:
        BadInput: A name, index, percentage, address, period or AOI that makes no sense, or more than the plan allows.
        Conflict: It exists with other conditions.
        TooMany: Its past holds more acquisitions than are left of the owner's day.
        GiveUp: There is no key to sign a webhook with.
        Retry: A source that its past is asked of does not answer; nothing has been written.
    """
    limits = limits_of(owner)
    recipe = resolved(recipe)
    check_area(aoi, limits)
    check_period(backfill, None, backend.now(), limits)
    id = subscription_id(owner, name.strip(), aoi, recipe)
    asked = Subscription(
        id=id, name=name.strip(), aoi=aoi.geometry, tiles=tuple(aoi.tiles), recipe=recipe, created=backend.now(), owner=owner,
        level=level, max_cloud=max_cloud, min_clear=min_clear, channels=tuple(checked(channel) for channel in channels),
        backfill=backfill, feed_token=feed_token(id),
    )
    if len(asked.channels) > limits.channels:
        raise BadInput(f"a subscription has at most {limits.channels} channels, not {len(asked.channels)}")
    if any(channel.kind == "webhook" for channel in asked.channels):
        backend.signing_key()
    if limits.jobs_a_day is None:
        _check_count(backend, asked, limits.subscriptions)
    past = 0
    if backfill is not None:
        recall(backend, aoi, backfill, None)
        past = len(_past(backend, asked, _since(asked)))
    made = backend.commit(lambda commit: _make(commit, asked, past), last=False) or asked
    if made.backfill is not None:
        _catch_up(backend, made, BACKFILL, rfc3339(made.created), _since(made))
    return made


def feed_token(id: str) -> str:
    """What the address of a subscription's feed ends in: the id finds it, the rest nobody guesses."""
    return f"{id}-{secrets.token_urlsafe(24)}"


def _make(commit: Commit, asked: Subscription, past: int) -> Subscription:
    there = commit.get(Subscription, asked.id)
    attempt = 0
    while there is not None and not there.same_wish(asked):
        attempt += 1
        id = subscription_id(asked.owner, asked.name, AOI.of(asked.aoi), asked.recipe, attempt)
        asked = asked.updated(id=id, feed_token=feed_token(id))
        there = commit.get(Subscription, id)
    if there is None:
        made = asked
    elif there.state == "deleted":
        made = asked.updated(alerts=there.alerts, last_sensing=there.last_sensing, last_alert=there.last_alert,
                             feed_token=there.feed_token or asked.feed_token)
    elif differing := [field for field in ("level", "max_cloud", "min_clear", "backfill") if getattr(there, field) != getattr(asked, field)]:
        raise Conflict(f"subscription {asked.name!r} over this AOI exists with another {differing[0]} "
                       f"({getattr(there, differing[0])}); delete it first or choose another name")
    elif {channel.id for channel in there.channels} != {channel.id for channel in asked.channels}:
        raise Conflict(f"subscription {asked.name!r} over this AOI exists with other channels; delete it first or choose another name")
    else:
        return there
    usage = take_place(commit, made, _order_id(made, BACKFILL, rfc3339(made.created)), past, made.created)
    if usage:
        commit.put(usage)
    commit.put(made)
    return made


def _check_count(backend: Backend, asked: Subscription, most: int) -> None:
    if backend.records.count(Subscription, owner=asked.owner) < most:
        return
    others = [there for there in subscriptions(backend, asked.owner) if there.id != asked.id]
    if len(others) >= most:
        raise BadInput(f"{len(others)} subscriptions are the most allowed; delete one first")


def checked(channel: Channel) -> Channel:
    """A channel that alerts may be carried by; a webhook with its first secret.

    Raises:
        BadInput: The address is private or malformed, or the file's name is none.
    """
    if channel.kind == "file":
        from revisit.delivery.file_channel import check_name

        check_name(channel.target)
        return channel
    from revisit.delivery.url_guard import check_url

    check_url(channel.target)
    return channel if channel.secret else replace(channel, generation=max(channel.generation, 1))


def subscription(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """A subscription of this owner by its id, or by its name where that is the only one.

    Raises:
        NotFound: There is none, it is deleted, or it is another's.
    """
    found = backend.records.get(Subscription, id)
    if found is not None and found.owner == owner and found.state != "deleted":
        return found
    named = [there for there in subscriptions(backend, owner) if there.name == id]
    if len(named) == 1:
        return named[0]
    several = f"; {len(named)} have that name, so give the id" if named else "; see `revisit subscriptions list`"
    raise NotFound(f"there is no subscription {id!r}{several}")


def subscriptions(backend: Backend, owner: str = "local") -> list[Subscription]:
    """The subscriptions of an owner that are not deleted, the oldest first."""
    there = every(backend.records, Subscription, owner=owner)
    return sorted((one for one in there if one.state != "deleted"), key=lambda one: (one.created, one.id))


def pause(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """Start no more jobs for it until it is resumed; those under way are finished."""
    return change_record(backend, id, owner, lambda _, there: there.paused_at(backend.now()))


def resume(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """Go on, and work what was published meanwhile."""
    return catch_up(backend, change_record(backend, id, owner, lambda _, there: there.updated(state="active")))


def catch_up(backend: Backend, active: Subscription) -> Subscription:
    """Work what was published while one that is active again was paused."""
    if active.paused is None:
        return active
    since, now = active.paused, backend.now()
    _tell_what_ended(backend, active, since)
    _catch_up(backend, active, "resume", rfc3339(since), Query(start=since - LATE, end=now),
              lambda product: (product.published or product.sensing_time) >= since)
    # Paused again meanwhile: what was published since the first pause is still to be seen to.
    return change_record(backend, active.id, active.owner, lambda _, there: there.updated(paused=None) if there.state == "active" else there)


def _tell_what_ended(backend: Backend, watcher: Subscription, since: datetime) -> None:
    """Say again that jobs are done which ended while nobody was to be alerted of them."""
    for job in every(backend.records, Job, subscription=watcher.id, state="done"):
        # What had ended a while before it was paused was told of long ago.
        if job.finished and job.finished >= since - LATE and backend.records.get(Alert, alert_id(watcher.id, job.acquisition)) is None:
            backend.commit(partial(Commit.emit, event=JobFinished(job.id, job.lane, job.again)), last=False)


def delete(backend: Backend, id: str, owner: str = "local", expected: Collection[str] | None = None) -> Subscription:
    """End it for good: nothing is started, alerted or delivered for it any more.

    Args:
        expected: As for `change_record`.
    """
    return change_record(backend, id, owner, lambda _, there: there.updated(state="deleted", paused=None), expected)


def change_record(backend: Backend, id: str, owner: str, change: Callable[[Commit, Subscription], Subscription],
                  expected: Collection[str] | None = None) -> Subscription:
    """Change what a subscription is at the moment of writing.

    Args:
        change: Gives the changed one from the present one; it reads first, and may then put what goes with it.
        expected: Revisions, one of which it must have; None takes any.

    Raises:
        NotFound: There is none, or it is another's.
        Stale: It has another revision.
    """
    found = subscription(backend, id, owner)

    def work(commit: Commit) -> Subscription:
        there = commit.get(Subscription, found.id)
        if there is None or there.state == "deleted":
            raise NotFound(f"subscription {id!r} has been deleted meanwhile")
        if expected is not None and revision(there) not in expected:
            raise Stale(f"subscription {there.name!r} has been changed since it was read; read it again, and then say what is to be different")
        changed = change(commit, there)
        if changed != there:
            commit.put(changed)
        return changed

    return backend.commit(work, last=False) or found


def revision(watcher: Subscription) -> str:
    """Changes with whatever of a subscription can be changed; that alerts come does not count."""
    return sha256(encode(watcher.updated(alerts=0, last_sensing=None, last_alert=None))).hexdigest()[:16]


def _since(watcher: Subscription) -> Query:
    return Query(start=watcher.backfill, end=watcher.created)


def _past(backend: Backend, watcher: Subscription, query: Query, wanted: Callable[[Product], bool] = lambda _: True) -> list[Product]:
    """The best products of a part of a subscription's past that meet its conditions."""
    known = products_over(backend, AOI.of(watcher.aoi), replace(query, level=watcher.level, max_cloud=watcher.max_cloud))
    products = [product for product in best(known, watcher.level) if wanted(product) and not watcher.wants(product)]
    most = limits_of(watcher.owner).jobs
    if len(products) > most:
        raise BadInput(f"the past of {watcher.name!r} holds {len(products):,} acquisitions, more than the {most:,} allowed; begin it later")
    return products


def _catch_up(backend: Backend, watcher: Subscription, cause: str, moment: str, query: Query,
              wanted: Callable[[Product], bool] = lambda _: True) -> Order:
    """An order over a part of a subscription's past, in the lane that delays nothing; its jobs are those that live news would make."""
    asked = Order(_order_id(watcher, cause, moment), watcher.aoi, watcher.recipe, backend.now(), owner=watcher.owner,
                  start=query.start, end=query.end, subscription=watcher.id)
    return place(backend, asked, [
        Job(id=job_id(watcher.id, product.acquisition, watcher.recipe), product=product, aoi=watcher.aoi, recipe=watcher.recipe,
            created=asked.created, owner=watcher.owner, subscription=watcher.id, orders=(asked.id,), lane="backfill",
            min_clear=watcher.min_clear)
        for product in _past(backend, watcher, query, wanted)
    ])


def _order_id(watcher: Subscription, cause: str, moment: str) -> str:
    return derived("order", watcher.id, cause, moment)
