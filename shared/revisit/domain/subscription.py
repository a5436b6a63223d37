"""Who watches which AOI, under which conditions, and wants which recipe."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from revisit.domain.clock import format_rfc3339
from revisit.domain.ids import derive_id
from revisit.domain.product import LEVELS, Level, Product
from revisit.domain.recipe import Recipe
from revisit.errors import ConflictError, InvalidInputError

if TYPE_CHECKING:
    from revisit.domain.aoi import AOI

State = Literal["active", "paused", "deleted"]

SECRET_OVERLAP = timedelta(hours=24)
"""So long the secret before still signs once a webhook has got another: time enough to tell the receiver."""
MAX_SECRETS = 5
"""Of one webhook at once; each adds 48 bytes to a header."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A way alerts are carried outward."""

    kind: Literal["webhook", "file"]
    """"webhook" posts by Standard Webhooks; "file" appends JSON lines below the data folder."""
    target: str
    """The https URL, or the file's name."""
    secret: str = ""
    """whsec_... of a webhook made before secrets were derived: its generation 0."""
    state: Literal["live", "disabled"] = "live"
    reason: str = ""
    """Why it is disabled."""
    generation: int = 0
    """Number of the present secret, which `revisit.signing_key` derives; 0 where there is none or it is in
    the record."""
    rotated: tuple[datetime, ...] = ()
    """When the secrets before the present one were replaced, the latest last; those long past are
    forgotten."""

    @property
    def id(self) -> str:
        """The same target is the same channel, whatever its secret."""
        return derive_id("channel", self.kind, self.target)

    def active_generations(self, now: datetime) -> list[int]:
        """Numbers of the secrets that sign, the present one first."""
        before = sum(now - moment < SECRET_OVERLAP for moment in self.rotated)
        return list(range(self.generation, self.generation - before - 1, -1))

    def rotate(self, now: datetime) -> "Channel":
        """The same channel with a new secret; the one before goes on signing for a day.

        Raises:
            ConflictError: So many were made today that the receiver could not be told of them all.
        """
        recent = tuple(moment for moment in self.rotated if now - moment < SECRET_OVERLAP)
        if len(recent) >= MAX_SECRETS - 1:
            raise ConflictError(
                f"{self.target} got {len(recent)} new secrets within a day; give its receiver the last one, or wait until tomorrow"
            )
        rotated = replace(self, generation=self.generation + 1, rotated=(*recent, now))
        return rotated if 0 in rotated.active_generations(now) else replace(rotated, secret="")


@dataclass(frozen=True, slots=True)
class Subscription:
    """One standing wish; its record is the truth that every function goes by."""

    id: str
    name: str
    aoi: dict[str, Any]
    """GeoJSON geometry, lon/lat degrees, as `AOI` normalised it (split at the antimeridian)."""
    tiles: tuple[str, ...]
    """MGRS tiles that the AOI touches: how notify finds the subscription."""
    recipe: Recipe
    created: datetime
    owner: str = "local"
    level: Level = "L2A"
    max_cloud: float | None = None
    """Percent over the whole product at most; a product that does not state its own passes."""
    min_clear: float | None = None
    """Percent of the AOI's valid pixels that must be clear; None takes any."""
    channels: tuple[Channel, ...] = ()
    state: State = "active"
    backfill: datetime | None = None
    """The past is worked from here on; None starts with what is published next."""
    alerts: int = 0
    """Number of the latest alert: the log's length."""
    feed_token: str = ""
    """What the secret address of its Atom feed ends in: its id and a secret."""
    paused: datetime | None = None
    """Since when; None once what was published meanwhile has been taken up."""
    last_sensing: datetime | None = None
    """When what the latest alert tells of was seen."""
    last_alert: datetime | None = None
    """When the latest alert was written."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.name.strip()) <= 200:
            raise InvalidInputError(
                f"a subscription's name has 1 to 200 characters, not {len(self.name.strip())}"
            )
        if self.level not in LEVELS:
            raise InvalidInputError(f"level {self.level!r} does not exist; choose {' or '.join(LEVELS)}")
        for label, value in (("max_cloud", self.max_cloud), ("min_clear", self.min_clear)):
            if value is not None and not 0 <= value <= 100:
                raise InvalidInputError(f"{label} is a percentage from 0 to 100, not {value}")

    def rejection_reason(self, product: Product) -> str | None:
        """Why the product does not meet the conditions judged without pixels; None where it does."""
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
        """The same subscription at rest, since that moment where it was not so before."""
        return self.with_changes(state="paused", paused=self.paused or moment)

    def has_same_definition(self, other: "Subscription") -> bool:
        """Whether both are called the same and ask the same of the same AOI: what the id is derived from when
        one is made."""
        return (self.name, self.aoi, self.recipe.id) == (other.name, other.aoi, other.recipe.id)

    def with_changes(self, **changes: Any) -> "Subscription":
        """The same subscription with some fields changed."""
        return replace(self, **changes)


def subscription_id(owner: str, name: str, aoi: "AOI", recipe: Recipe, attempt: int = 0) -> str:
    """The same wish of the same owner is the same subscription.

    Args:
        attempt: How many that began like this have been changed into something else since, and kept their
            ids.
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
