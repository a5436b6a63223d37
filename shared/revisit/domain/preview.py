"""Preview of a subscription, and summary of an area."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Literal

from revisit.domain.aoi import AOI
from revisit.domain.conditions import PixelLimits, describe_limits
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
    """Past acquisitions of the catalog that match a subscription, since a day.

    Some limits are decided by pixels. Where the acquisitions over the same AOI have been processed before, by
    any subscription or order of the owner, it is known which of them met the limits; the others are estimated
    from these. `alert_count` is the one number of alerts: the months add up to it.
    """

    start: datetime
    end: datetime
    limits: PixelLimits
    matching: tuple[Product, ...]
    """Acquisitions that meet all conditions checked without pixels, each by its best product."""
    too_cloudy: tuple[Product, ...]
    """Acquisitions whose product states more cloud than allowed."""
    verdicts: dict[str, bool]
    """Id of a product in `matching` -> whether its pixels met the limits; of processed ones only."""
    met_count: int
    """Number of the `examined_count` acquisitions that met the limits."""
    examined_count: int
    """Number of acquisitions already processed over the same AOI, in any period."""
    too_little_seen: tuple[Product, ...] = ()
    """Acquisitions whose footprint covers less of the AOI than required."""
    no_match: str = ""
    """Why no acquisition matches, and what is known instead; empty where one does."""

    @property
    def acquisitions(self) -> tuple[Product, ...]:
        """All known acquisitions of the period."""
        return (*self.matching, *self.too_cloudy, *self.too_little_seen)

    @property
    def first_sensing(self) -> datetime | None:
        """Sensing time of the first known acquisition; earlier ones are not in the catalog."""
        return min((product.sensing_time for product in self.acquisitions), default=None)

    @property
    def clear_share(self) -> float | None:
        """Share of processed acquisitions that met the limits, 0 to 1; None if too few are processed."""
        return self.met_count / self.examined_count if self.examined_count >= MIN_CLEAR_SAMPLES else None

    @property
    def basis(self) -> Literal["processed", "estimated", "upper bound"]:
        """What `alert_count` rests on: the pixels of all matching acquisitions, the share of the processed
        ones that met the limits, or no pixels for some."""
        if len(self.verdicts) == len(self.matching):
            return "processed"
        return "upper bound" if self.clear_share is None else "estimated"

    @property
    def alert_count(self) -> int:
        """Number of alerts that there would have been, as far as it is known."""
        return sum(alerts for _, alerts, _ in self.monthly_counts)

    @property
    def most_alerts(self) -> int:
        """Maximum number of alerts: all matching acquisitions but those whose pixels missed a limit."""
        return sum(self.verdicts.get(product.id, True) for product in self.matching)

    @property
    def headline(self) -> str:
        """The number of alerts as text, such as "about 2 alerts since 2023-09-01"."""
        kind = {"processed": "", "estimated": "about ", "upper bound": "at most "}[self.basis]
        count = self.alert_count
        return f"{kind}{count:,} alert{'' if count == 1 else 's'} since {self.start:%Y-%m-%d}"

    @property
    def note(self) -> str:
        """How `alert_count` is known, as a sentence."""
        limits, matching = describe_limits(self.limits), len(self.matching)
        if not matching:
            return self.no_match or "no known pass meets the conditions"
        if self.basis == "processed":
            return f"all {matching:,} matching passes have been processed; {limits} was required"
        if self.basis == "estimated":
            return (
                f"of {self.examined_count:,} processed passes over this AOI, {self.met_count:,} had "
                f"{limits}; with that share there would have been about {self.alert_count:,} alerts, and "
                f"{self.most_alerts:,} at most"
            )
        return (
            f"only pixels tell whether the limits were met ({limits}), and of {matching:,} matching "
            f"passes {len(self.verdicts):,} have been processed, so there may have been fewer alerts"
        )

    @property
    def monthly_counts(self) -> list[tuple[str, int, int]]:
        """Each month of the period, the number of alerts in it, and of all acquisitions."""
        share = 1.0 if self.clear_share is None else self.clear_share
        expected = defaultdict[str, float](float)
        for product in self.matching:
            verdict = self.verdicts.get(product.id)
            expected[_month(product)] += share if verdict is None else float(verdict)
        passed = Counter(map(_month, self.acquisitions))
        first, last = (moment.year * 12 + moment.month - 1 for moment in (self.start, self.end))
        names = [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(first, last + 1)]
        # The sum so far is rounded, not each month: the months add up to the rounded total.
        so_far = [round(total, 9) for total in accumulate((expected[name] for name in names), initial=0.0)]
        return [
            (name, round(after) - round(before), passed[name])
            for name, before, after in zip(names, so_far, so_far[1:], strict=False)
        ]


def _month(product: Product) -> str:
    return f"{product.sensing_time:%Y-%m}"
