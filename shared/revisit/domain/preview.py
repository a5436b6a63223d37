"""Preview of a subscription, and summary of an area."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from revisit.domain.aoi import AOI
from revisit.domain.product import Product

MIN_CLEAR_SAMPLES = 5
"""Minimum number of processed acquisitions for a clear share to be stated."""


@dataclass(frozen=True, slots=True)
class AoiSummary:
    """Size, tiles and expected cost of an AOI."""

    aoi: AOI
    tiles: tuple[str, ...]
    passes_per_month: float | None
    """Passes expected within 30 days; None if the catalog has too little to predict from."""
    next_pass: datetime | None
    bytes_per_pass: int
    """Approximate bytes read from the source for NDVI."""

    @property
    def vertices(self) -> int:
        """Number of vertices without those that close a ring."""
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
    """Past acquisitions of the catalog that match a subscription, since a day."""

    start: datetime
    end: datetime
    matching: tuple[Product, ...]
    """Acquisitions that meet all conditions checked without pixels, each by its best product."""
    too_cloudy: tuple[Product, ...]
    """Acquisitions whose product states more cloud than allowed."""
    clear_count: int
    """Number of the `examined_count` acquisitions that were clear enough."""
    examined_count: int
    """Number of acquisitions already processed over the same AOI, by any subscription or order."""
    min_clear: float | None

    @property
    def first_sensing(self) -> datetime | None:
        """Sensing time of the first known acquisition; earlier ones are not in the catalog."""
        return min((product.sensing_time for product in (*self.matching, *self.too_cloudy)), default=None)

    @property
    def clear_share(self) -> float | None:
        """Share of acquisitions that were clear enough, 0 to 1; None if too few are processed, or
        without a clear limit."""
        return (
            self.clear_count / self.examined_count
            if self.min_clear is not None and self.examined_count >= MIN_CLEAR_SAMPLES
            else None
        )

    @property
    def clear_note(self) -> str:
        """What is known about the clear limit, which needs pixels, as a sentence."""
        if self.min_clear is None:
            return "no minimum clear share is set, so also passes without a clear pixel are counted as alerts"
        if self.clear_share is None:
            return (
                f"whether {self.min_clear:g} % of the AOI was clear is known only from its pixels, "
                "so there would have been fewer alerts"
            )
        return (
            f"of {self.examined_count:,} processed acquisitions of this AOI, "
            f"{self.clear_count:,} had {self.min_clear:g} % clear, "
            f"so there would have been about {round(self.clear_share * len(self.matching)):,} alerts"
        )

    @property
    def monthly_counts(self) -> list[tuple[str, int, int]]:
        """Each month of the period, the number of matching acquisitions in it, and of all."""
        fired = Counter(f"{product.sensing_time:%Y-%m}" for product in self.matching)
        passed = fired + Counter(f"{product.sensing_time:%Y-%m}" for product in self.too_cloudy)
        first, last = (moment.year * 12 + moment.month - 1 for moment in (self.start, self.end))
        names = [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(first, last + 1)]
        return [(name, fired[name], passed[name]) for name in names]
