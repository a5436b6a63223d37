"""Subscriptions: an AOI that is watched, with conditions, recipe and channels."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from revisit.domain.clock import format_rfc3339
from revisit.domain.conditions import check_limits
from revisit.domain.ids import derive_id
from revisit.domain.job import ClearBase
from revisit.domain.product import LEVELS, Level, Product
from revisit.domain.recipe import Recipe
from revisit.errors import ConflictError, InvalidInputError

if TYPE_CHECKING:
    from revisit.domain.aoi import AOI

State = Literal["active", "paused", "deleted"]

SECRET_OVERLAP = timedelta(hours=24)
"""Time for which a replaced secret still signs, so that the receiver can be changed."""
MAX_SECRETS = 5
"""Maximum number of valid secrets of one webhook; each adds 48 bytes to a header."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Where alerts are delivered."""

    kind: Literal["webhook", "file"]
    """"webhook" posts by Standard Webhooks; "file" appends JSON lines in the data folder."""
    target: str
    """The https URL, or the name of the file."""
    secret: str = ""
    """Secret (whsec_...) of a webhook created before secrets were derived: its generation 0."""
    state: Literal["live", "disabled"] = "live"
    reason: str = ""
    """Why it is disabled."""
    generation: int = 0
    """Number of the current secret, which `domain.webhook_secret` derives; 0 if there is none or it is in
    the record."""
    rotated: tuple[datetime, ...] = ()
    """Times at which previous secrets were replaced, latest last; those that no longer matter are dropped."""

    @property
    def id(self) -> str:
        """Id derived from kind and target, whatever the secret."""
        return derive_id("channel", self.kind, self.target)

    def active_generations(self, now: datetime) -> list[int]:
        """Numbers of the secrets that sign, the current one first."""
        before = sum(now - moment < SECRET_OVERLAP for moment in self.rotated)
        return list(range(self.generation, self.generation - before - 1, -1))

    def rotate(self, now: datetime) -> "Channel":
        """The same channel with a new secret; the previous one still signs for a day.

        Raises:
            ConflictError: Too many secrets were created today; the receiver could not follow.
        """
        recent = tuple(moment for moment in self.rotated if now - moment < SECRET_OVERLAP)
        if len(recent) >= MAX_SECRETS - 1:
            raise ConflictError(
                f"{self.target} got {len(recent)} new secrets within a day; give its receiver the last one, "
                "or wait until tomorrow"
            )
        rotated = replace(self, generation=self.generation + 1, rotated=(*recent, now))
        return rotated if 0 in rotated.active_generations(now) else replace(rotated, secret="")


@dataclass(frozen=True, slots=True)
class Subscription:
    """A standing request for results over an AOI; all functions go by this record."""

    id: str
    name: str
    aoi: dict[str, Any]
    """GeoJSON geometry, lon/lat degrees, as normalised by `AOI` (split at the antimeridian)."""
    tiles: tuple[str, ...]
    """MGRS tiles that the AOI touches, by which notify finds the subscription."""
    recipe: Recipe
    created: datetime
    owner: str = "local"
    level: Level = "L2A"
    max_cloud: float | None = None
    """Maximum scene cloud cover in percent; a product that states none passes."""
    min_clear: float | None = None
    """Minimum clear share in percent, of what `min_clear_of` says; None accepts any."""
    channels: tuple[Channel, ...] = ()
    state: State = "active"
    backfill: datetime | None = None
    """Start of the backfill; None starts with the next published product."""
    alerts: int = 0
    """Number of the latest alert."""
    feed_token: str = ""
    """Secret part of the feed's address: the id and a random token."""
    paused: datetime | None = None
    """Time of the pause; None once the products published meanwhile have been processed."""
    last_sensing: datetime | None = None
    """Sensing time of the latest alert."""
    last_alert: datetime | None = None
    """Time at which the latest alert was written."""
    min_coverage: float | None = None
    """Minimum coverage of the AOI in percent; None accepts any, as subscriptions of earlier versions do."""
    min_clear_of: ClearBase = "seen"
    """What `min_clear` is a percentage of; subscriptions of earlier versions mean the seen part."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.name.strip()) <= 200:
            raise InvalidInputError(
                f"a subscription's name has 1 to 200 characters, not {len(self.name.strip())}"
            )
        if self.level not in LEVELS:
            raise InvalidInputError(f"level {self.level!r} does not exist; choose {' or '.join(LEVELS)}")
        check_limits(self, self.max_cloud)

    def rejection_reason(self, product: Product) -> str | None:
        """Why a product does not meet the conditions checked without pixels; None if it does."""
        if self.state != "active":
            return f"the subscription is {self.state}"
        if product.level != self.level:
            return f"level {product.level} instead of {self.level}"
        if (
            self.max_cloud is not None
            and product.cloud_cover is not None
            and product.cloud_cover > self.max_cloud
        ):
            return f"cloud cover {product.cloud_cover:.1f} % over the product, more than {self.max_cloud:g} %"
        return None

    def pause(self, moment: datetime) -> "Subscription":
        """The subscription paused, since that moment unless it was paused before."""
        return self.with_changes(state="paused", paused=self.paused or moment)

    def has_same_definition(self, other: "Subscription") -> bool:
        """Whether name, AOI and recipe are equal: what the id is derived from at creation."""
        return (self.name, self.aoi, self.recipe.id) == (other.name, other.aoi, other.recipe.id)

    def with_changes(self, **changes: Any) -> "Subscription":
        """The same subscription with some fields changed."""
        return replace(self, **changes)


def subscription_id(owner: str, name: str, aoi: "AOI", recipe: Recipe, attempt: int = 0) -> str:
    """Id of a subscription; the same request of the same owner gives the same id.

    Args:
        owner: Id of the user.
        name: Name of the subscription.
        aoi: Area of interest.
        recipe: Recipe.
        attempt: Number of subscriptions that had this definition, were changed since, and keep their ids.
    """
    return derive_id("sub", owner, name, aoi.id, recipe.id, *([str(attempt)] if attempt else []))


def past_order_id(subscription: Subscription, cause: str, moment: datetime) -> str:
    """Id of an order over a part of a subscription's past; a repeat for the same cause is the same order."""
    return derive_id("order", subscription.id, cause, format_rfc3339(moment))


def backfill_order_id(subscription: Subscription) -> str | None:
    """Id of the order that backfills a subscription; None where it has no backfill."""
    if subscription.backfill is None:
        return None
    return past_order_id(subscription, "backfill", subscription.created)
