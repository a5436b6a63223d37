"""Subscriptions changed: what is not named stays, and the id, the log, its numbers and the feed's address do in any case.

Jobs under way are finished as they were begun, and alerted of; what is published from now on is judged and worked by the changed
subscription. Of one acquisition there is one alert, whatever is changed: nothing of the past is worked anew.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from revisit.domain.aoi import AOI
from revisit.domain.product import Level
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Channel, Subscription, subscription_id
from revisit.domain.webhook_secret import secret_of
from revisit.errors import BadInput, Conflict, NotFound
from revisit.ports.backend import Backend, Commit
from revisit.services.accounts.limits import check_area, limits_of
from revisit.services.accounts.quotas import take_place
from revisit.services.subscriptions.create import catch_up, change_record, checked, feed_token


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different; UNSET stays as it is."""

    name: str | UnsetType = UNSET
    state: Literal["active", "paused"] | UnsetType = UNSET
    aoi: AOI | UnsetType = UNSET
    indices: tuple[str, ...] | UnsetType = UNSET
    bands: tuple[str, ...] | UnsetType = UNSET
    resolution_m: float | UnsetType | None = UNSET
    resampling: str | UnsetType = UNSET
    level: Level | UnsetType = UNSET
    max_cloud: float | UnsetType | None = UNSET
    min_clear: float | UnsetType | None = UNSET
    webhooks: tuple[str, ...] | UnsetType = UNSET
    """All that there are to be. One that was disabled and is named gets alerts again."""
    files: tuple[str, ...] | UnsetType = UNSET

    def named(self, *fields: str) -> dict[str, Any]:
        """Those of the fields that are to be different."""
        return {name: value for name in fields if (value := getattr(self, name)) is not UNSET}


def change(backend: Backend, id: str, wanted: Change, owner: str = "local", expected: Collection[str] | None = None) -> Subscription:
    """Change a subscription, all at once or nothing; resumed, it catches up with what was published meanwhile.

    Args:
        expected: Revisions, one of which it must have; None takes any.

    Raises:
        NotFound: There is no such subscription.
        Stale: It has another revision.
        BadInput: A name, state, index, percentage, address or AOI that makes no sense, or more than the plan allows.
        Conflict: Another subscription is just what this one would be.
        GiveUp: There is no key to sign a webhook with.
    """
    if wanted.state not in ("active", "paused", UNSET):
        raise BadInput(f"state {str(wanted.state)[:40]!r} cannot be asked for; choose active or paused, or delete the subscription")
    if isinstance(wanted.aoi, AOI):
        check_area(wanted.aoi, limits_of(owner))
    asked: dict[str, list[Channel]] = {}
    if not isinstance(wanted.webhooks, UnsetType):
        asked["webhook"] = [checked(Channel("webhook", url)) for url in dict.fromkeys(wanted.webhooks)]
    if not isinstance(wanted.files, UnsetType):
        asked["file"] = [checked(Channel("file", name)) for name in dict.fromkeys(wanted.files)]
    if asked.get("webhook"):
        backend.signing_key()
    now = backend.now()

    def work(commit: Commit, there: Subscription) -> Subscription:
        changed = _changed(there, wanted, asked, now)
        if not changed.same_wish(there):
            _check_alone(commit, changed)
        if changed.channels != there.channels:
            _check_channels(commit, changed, now)
        return changed

    changed = change_record(backend, id, owner, work, expected)
    return catch_up(backend, changed) if wanted.state == "active" else changed


def _changed(there: Subscription, wanted: Change, asked: dict[str, list[Channel]], now: datetime) -> Subscription:
    recipe = _recipe(there.recipe, wanted)
    plain = wanted.named("level", "max_cloud", "min_clear")
    if isinstance(wanted.name, str):
        plain["name"] = wanted.name.strip()
    if isinstance(wanted.aoi, AOI):
        plain |= {"aoi": wanted.aoi.geometry, "tiles": tuple(wanted.aoi.tiles)}
    changed = there.updated(recipe=recipe, channels=_channels(there, asked, now), **plain)
    if wanted.state == "paused":
        return changed.paused_at(now)
    return changed.updated(state="active") if wanted.state == "active" else changed


def _recipe(there: Recipe, wanted: Change) -> Recipe:
    from revisit.services.orders.resolve_recipe import resolved

    different = wanted.named("indices", "bands", "resolution_m", "resampling")
    return resolved(replace(there, **different)) if different else there


def _channels(there: Subscription, asked: dict[str, list[Channel]], now: datetime) -> tuple[Channel, ...]:
    """Those of a kind that is not named stay; one that is named and was there keeps its secrets."""
    known = {channel.id: channel for channel in there.channels}
    # A webhook that was taken away and comes again must not be signed with what it was before: its secrets have later numbers than
    # any can have had (five a day at most).
    later = 10 + int((now - there.created).total_seconds())

    def kept(channel: Channel) -> Channel:
        before = known.get(channel.id)
        if before is not None:
            return replace(before, state="live", reason="")
        return replace(channel, generation=later) if channel.kind == "webhook" else channel

    return tuple(channel for kind in ("webhook", "file")
                 for channel in (map(kept, asked[kind]) if kind in asked else [one for one in there.channels if one.kind == kind]))


def _check_alone(commit: Commit, changed: Subscription) -> None:
    place = AOI.of(changed.aoi)
    for attempt in count():
        twin = commit.get(Subscription, subscription_id(changed.owner, changed.name, place, changed.recipe, attempt))
        if twin is None:
            return
        if twin.id == changed.id or twin.state == "deleted" or not twin.same_wish(changed):
            continue
        raise Conflict(f"there is another subscription {changed.name!r} with this AOI and recipe; choose another name, or delete one of them")


def _check_channels(commit: Commit, changed: Subscription, now: datetime) -> None:
    limits = limits_of(changed.owner)
    if len(changed.channels) > limits.channels:
        raise BadInput(f"a subscription has at most {limits.channels} channels, not {len(changed.channels)}")
    if usage := take_place(commit, changed, "", 0, now):
        commit.put(usage)


def renew_feed(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """Give the feed and the calendar a new secret address; who has the one before reads nothing more.

    Raises:
        NotFound: There is no such subscription.
    """
    return change_record(backend, id, owner, lambda _, there: there.updated(feed_token=feed_token(there.id)))


def end_feed(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """Take the address of the feed and the calendar away; there is none until `renew_feed` makes another.

    Raises:
        NotFound: There is no such subscription.
    """
    return change_record(backend, id, owner, lambda _, there: there.updated(feed_token=""))


def webhook_secrets(backend: Backend, watcher: Subscription) -> dict[str, str]:
    """The present secret of each of its webhooks, by the channel's id.

    Raises:
        GiveUp: There is no key that they are derived from.
    """
    return {channel.id: secret_of(backend.signing_key() if channel.generation else b"", watcher, channel, channel.generation)
            for channel in watcher.channels if channel.kind == "webhook"}


def rotate_secret(backend: Backend, id: str, channel: str, owner: str = "local") -> tuple[Subscription, Channel]:
    """Give a webhook a new secret; what it is sent within the next day is signed with the one before too.

    Args:
        id: Of the subscription, or its name.
        channel: Id of the channel, or its address.

    Raises:
        NotFound: There is no such subscription, or it has no such channel.
        Conflict: The channel is a file, or got as many secrets as one can be told in a day.
        GiveUp: There is no key to derive it from; nothing has been written.
    """
    backend.signing_key()
    now = backend.now()

    def work(_: Commit, there: Subscription) -> Subscription:
        rotated = _named(there, channel).rotate(now)
        return there.updated(channels=tuple(rotated if one.id == rotated.id else one for one in there.channels))

    changed = change_record(backend, id, owner, work)
    return changed, _named(changed, channel)


def _named(watcher: Subscription, channel: str) -> Channel:
    for one in watcher.channels:
        if channel in (one.id, one.target):
            if one.kind != "webhook":
                raise Conflict(f"{one.target} is a file, which is not signed; only a webhook has a secret")
            return one
    raise NotFound(f"subscription {watcher.name!r} has no channel {channel!r}; see `revisit subscriptions show {watcher.id} --json`")
