"""Changes of subscriptions: only given fields change; id, alert log, numbers and feed address stay.

Running jobs end as they started and make alerts. Products published from then on are matched and processed
with the changed subscription. There is one alert per acquisition, whatever changes: nothing is processed
again.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from revisit.domain.aoi import AOI
from revisit.domain.job import ClearBase
from revisit.domain.product import Level
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Channel, Subscription, subscription_id
from revisit.domain.webhook_secret import derive_secret
from revisit.errors import ConflictError, InvalidInputError, NotFoundError
from revisit.ports.backend import Backend, Commit
from revisit.services.accounts.limits import check_area, limits_of
from revisit.services.accounts.quotas import reserve_subscription
from revisit.services.subscriptions.create import new_feed_token, prepare_channel
from revisit.services.subscriptions.lifecycle import catch_up
from revisit.services.subscriptions.records import update_subscription_record


@dataclass(frozen=True, slots=True)
class SubscriptionUpdate:
    """The fields to change; UNSET ones stay."""

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
    """All channels from now on; a disabled one that is listed is enabled again."""
    files: tuple[str, ...] | UnsetType = UNSET
    min_coverage: float | UnsetType | None = UNSET
    min_clear_of: ClearBase | UnsetType = UNSET

    def changed_fields(self, *fields: str) -> dict[str, Any]:
        """The given fields among these."""
        return {name: value for name in fields if (value := getattr(self, name)) is not UNSET}


def update_subscription(
    backend: Backend,
    id: str,
    update: SubscriptionUpdate,
    owner: str = "local",
    expected_revisions: Collection[str] | None = None,
) -> Subscription:
    """Change a subscription in one commit; a resumed one processes what was published meanwhile.

    Args:
        backend: The backend.
        id: Id or name of the subscription.
        update: The changes.
        owner: Id of the owner.
        expected_revisions: Revisions of which it must have one; None accepts any.

    Raises:
        NotFoundError: There is no such subscription.
        PreconditionFailedError: It has another revision.
        InvalidInputError: A value is invalid or exceeds the plan.
        ConflictError: Another subscription has the same name, AOI and recipe.
        PermanentError: There is no key to sign a webhook with.
    """
    if update.state not in ("active", "paused", UNSET):
        raise InvalidInputError(
            f"state {str(update.state)[:40]!r} is not possible; choose active or paused, or delete the "
            "subscription"
        )
    if isinstance(update.aoi, AOI):
        check_area(update.aoi, limits_of(owner))
    asked: dict[str, list[Channel]] = {}
    if not isinstance(update.webhooks, UnsetType):
        asked["webhook"] = [
            prepare_channel(Channel("webhook", url)) for url in dict.fromkeys(update.webhooks)
        ]
    if not isinstance(update.files, UnsetType):
        asked["file"] = [prepare_channel(Channel("file", name)) for name in dict.fromkeys(update.files)]
    if asked.get("webhook"):
        backend.settings.webhook_key()
    now = backend.now()

    def work(commit: Commit, there: Subscription) -> Subscription:
        changed = _apply_update(there, update, asked, now)
        if not changed.has_same_definition(there):
            _check_unique(commit, changed)
        if changed.channels != there.channels:
            _check_channels(commit, changed, now)
        return changed

    changed = update_subscription_record(backend, id, owner, work, expected_revisions)
    return catch_up(backend, changed) if update.state == "active" else changed


def _apply_update(
    current: Subscription, update: SubscriptionUpdate, requested: dict[str, list[Channel]], now: datetime
) -> Subscription:
    recipe = _merge_recipe(current.recipe, update)
    plain = update.changed_fields("level", "max_cloud", "min_clear", "min_coverage", "min_clear_of")
    if current.min_clear is None and plain.get("min_clear") is not None:
        plain = {"min_clear_of": "aoi", **plain}  # a first limit means what that of a new subscription means
    if isinstance(update.name, str):
        plain["name"] = update.name.strip()
    if isinstance(update.aoi, AOI):
        plain |= {"aoi": update.aoi.geometry, "tiles": tuple(update.aoi.tiles)}
    changed = current.with_changes(recipe=recipe, channels=_merge_channels(current, requested, now), **plain)
    if update.state == "paused":
        return changed.pause(now)
    return changed.with_changes(state="active") if update.state == "active" else changed


def _merge_recipe(current: Recipe, update: SubscriptionUpdate) -> Recipe:
    from revisit.services.orders.resolve_recipe import resolve_recipe

    different = update.changed_fields("indices", "bands", "resolution_m", "resampling")
    return resolve_recipe(replace(current, **different)) if different else current


def _merge_channels(
    current: Subscription, requested: dict[str, list[Channel]], now: datetime
) -> tuple[Channel, ...]:
    """Channels of a kind that is not given stay; existing ones that are given keep their secrets."""
    known = {channel.id: channel for channel in current.channels}
    # A webhook that was removed and is added again must not be signed with its old secrets: the new ones have
    # later numbers than it can have had (five a day at most).
    later = 10 + int((now - current.created).total_seconds())

    def kept(channel: Channel) -> Channel:
        before = known.get(channel.id)
        if before is not None:
            return replace(before, state="live", reason="")
        return replace(channel, generation=later) if channel.kind == "webhook" else channel

    return tuple(
        channel
        for kind in ("webhook", "file")
        for channel in (
            map(kept, requested[kind])
            if kind in requested
            else [one for one in current.channels if one.kind == kind]
        )
    )


def _check_unique(commit: Commit, changed: Subscription) -> None:
    place = AOI.from_normalized(changed.aoi)
    for attempt in count():
        twin = commit.get(
            Subscription, subscription_id(changed.owner, changed.name, place, changed.recipe, attempt)
        )
        if twin is None:
            return
        if twin.id == changed.id or twin.state == "deleted" or not twin.has_same_definition(changed):
            continue
        raise ConflictError(
            f"there is another subscription {changed.name!r} with this AOI and recipe; choose another name, "
            "or delete one of them"
        )


def _check_channels(commit: Commit, changed: Subscription, now: datetime) -> None:
    limits = limits_of(changed.owner)
    if len(changed.channels) > limits.channels:
        raise InvalidInputError(
            f"a subscription has at most {limits.channels} channels, not {len(changed.channels)}"
        )
    if usage := reserve_subscription(commit, changed, "", 0, now):
        commit.put(usage)


def rotate_feed_token(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """Replace the secret address of feed and calendar; the previous one stops working.

    Raises:
        NotFoundError: There is no such subscription.
    """
    return update_subscription_record(
        backend, id, owner, lambda _, there: there.with_changes(feed_token=new_feed_token(there.id))
    )


def revoke_feed_token(backend: Backend, id: str, owner: str = "local") -> Subscription:
    """Remove the address of feed and calendar; `rotate_feed_token` creates a new one.

    Raises:
        NotFoundError: There is no such subscription.
    """
    return update_subscription_record(backend, id, owner, lambda _, there: there.with_changes(feed_token=""))


def webhook_secrets(backend: Backend, subscription: Subscription) -> dict[str, str]:
    """Channel id -> current secret of each webhook.

    Raises:
        PermanentError: There is no key to derive them from.
    """
    return {
        channel.id: derive_secret(
            backend.settings.webhook_key() if channel.generation else b"",
            subscription,
            channel,
            channel.generation,
        )
        for channel in subscription.channels
        if channel.kind == "webhook"
    }


def rotate_secret(
    backend: Backend, id: str, channel: str, owner: str = "local"
) -> tuple[Subscription, Channel]:
    """Give a webhook a new secret; for a day, deliveries are signed with the previous one too.

    Args:
        backend: The backend.
        id: Id or name of the subscription.
        channel: Id of the channel, or its URL.
        owner: Id of the owner.

    Raises:
        NotFoundError: There is no such subscription, or it has no such channel.
        ConflictError: The channel is a file, or got too many secrets in a day.
        PermanentError: There is no key to derive it from; nothing is written.
    """
    backend.settings.webhook_key()
    now = backend.now()

    def work(_: Commit, there: Subscription) -> Subscription:
        rotated = _find_webhook(there, channel).rotate(now)
        return there.with_changes(
            channels=tuple(rotated if one.id == rotated.id else one for one in there.channels)
        )

    changed = update_subscription_record(backend, id, owner, work)
    return changed, _find_webhook(changed, channel)


def _find_webhook(subscription: Subscription, channel: str) -> Channel:
    for one in subscription.channels:
        if channel in (one.id, one.target):
            if one.kind != "webhook":
                raise ConflictError(
                    f"{one.target} is a file, which is not signed; only a webhook has a secret"
                )
            return one
    raise NotFoundError(
        f"subscription {subscription.name!r} has no channel {channel!r}; see `revisit subscriptions show "
        f"{subscription.id} --json`"
    )
