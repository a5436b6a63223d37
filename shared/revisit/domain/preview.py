"""What a subscription would have brought, and the extent of an area."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from revisit.domain.aoi import AOI
from revisit.domain.product import Product

MIN_CLEAR_SAMPLES = 5
"""Acquisitions whose pixels were looked at, of which a share can be told."""


@dataclass(frozen=True, slots=True)
class AoiSummary:
    """What an AOI would take."""

    aoi: AOI
    tiles: tuple[str, ...]
    passes_per_month: float | None
    """Passes expected within 30 days; None where too little is known to learn from."""
    next_pass: datetime | None
    bytes_per_pass: int
    """Read of the source for NDVI, about."""

    @property
    def vertices(self) -> int:
        """Not counting those that close a ring."""
        polygons = (
            [self.aoi.geometry["coordinates"]]
            if self.aoi.geometry["type"] == "Polygon"
            else self.aoi.geometry["coordinates"]
        )
        return sum(len(ring) - 1 for rings in polygons for ring in rings)

    @property
    def parts(self) -> int:
        return 1 if self.aoi.geometry["type"] == "Polygon" else len(self.aoi.geometry["coordinates"])

    @property
    def pixels_10m(self) -> int:
        return round(self.aoi.area_km2 * 10_000)


@dataclass(frozen=True, slots=True)
class SubscriptionPreview:
    """What a subscription would have done since a day, as far as the catalog knows."""

    start: datetime
    end: datetime
    matching: tuple[Product, ...]
    """Acquisitions that meet every condition judged without pixels, each by its best product."""
    too_cloudy: tuple[Product, ...]
    """Those over which the product states more cloud than wanted."""
    clear_count: int
    """Of the acquisitions below, those that were clear enough."""
    examined_count: int
    """Acquisitions whose pixels over the very same AOI were looked at before, by whatever subscription or
    order."""
    min_clear: float | None

    @property
    def first_sensing(self) -> datetime | None:
        """When the first acquisition known was sensed: what the catalog lacks before it cannot be told."""
        return min((product.sensing_time for product in (*self.matching, *self.too_cloudy)), default=None)

    @property
    def clear_share(self) -> float | None:
        """Of the acquisitions that were clear enough, 0 to 1; None where too few were looked at, or nobody
        asks."""
        return (
            self.clear_count / self.examined_count
            if self.min_clear is not None and self.examined_count >= MIN_CLEAR_SAMPLES
            else None
        )

    @property
    def clear_note(self) -> str:
        """What is known of the condition that needs pixels, in a sentence."""
        if self.min_clear is None:
            return "no least share of clear pixels is asked for; an acquisition without any clear pixel would not have fired"
        if self.clear_share is None:
            return f"whether {self.min_clear:g} % of the AOI was clear is seen in its pixels only, so fewer would have fired"
        return (
            f"of {self.examined_count:,} acquisitions of this AOI whose pixels were looked at, {self.clear_count:,} had {self.min_clear:g} % clear, "
            f"so about {round(self.clear_share * len(self.matching)):,} would have fired"
        )

    @property
    def monthly_counts(self) -> list[tuple[str, int, int]]:
        """Each month of the period, how many acquisitions would have fired in it, and how many there were."""
        fired = Counter(f"{product.sensing_time:%Y-%m}" for product in self.matching)
        passed = fired + Counter(f"{product.sensing_time:%Y-%m}" for product in self.too_cloudy)
        first, last = (moment.year * 12 + moment.month - 1 for moment in (self.start, self.end))
        names = [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(first, last + 1)]
        return [(name, fired[name], passed[name]) for name in names]
