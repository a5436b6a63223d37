"""Products: what a source publishes, and the acquisitions and passes that they are of."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Level = Literal["L1C", "L2A"]
type LevelChoice = Literal["L1C", "L2A", "any"]
"""One level, or L2A and L1C where there is no L2A."""
LEVELS: tuple[Level, ...] = ("L1C", "L2A")
FIRST_INTERIM_BASELINE = 9900
"""Baselines from 99.00 on are interim processings of data hubs, which ESA's reprocessing replaces."""


@dataclass(frozen=True, slots=True)
class Product:
    """One Sentinel-2 package as published: one tile, one sensing time, one level, one baseline."""

    id: str
    """Name without .SAFE, or the source's own id if it has none; old multi-tile names end in _T<tile>."""
    source: str
    """SPEC of its source, such as "stac:https://earth-search.aws.element84.com/v1#sentinel-2-c1-l2a"."""
    level: Level
    platform: str
    """S2A, S2B, ..."""
    tile: str
    """MGRS tile without the T."""
    sensing_time: datetime
    """Sensing time of this tile, UTC."""
    datatake: str
    """Start of the datatake as 20220706T085611; the sensing time if the source does not state it."""
    west: float
    """Bounds of the footprint, degrees; west > east when it crosses the antimeridian."""
    south: float
    east: float
    north: float
    cloud_cover: float | None = None
    """Scene cloud cover in percent, 0 to 100; None if the source does not state it."""
    relative_orbit: int | None = None
    baseline: str | None = None
    """Processing baseline as four digits, 0511; None if the source does not state it."""
    published: datetime | None = None
    """Time of generation or publication, whichever the source states."""
    size: int | None = None
    """Size of the package in bytes."""
    href: str = ""
    """Location of its bands at the source: the .SAFE's folder or URL, or the STAC Item's."""
    footprint: dict[str, Any] | None = field(default=None)
    """GeoJSON geometry of the valid pixels, lon/lat degrees; None if the source states bounds only."""

    @property
    def reflectance(self) -> str:
        """Whose reflectance the bands hold: "surface" (L2A) or "top-of-atmosphere" (L1C)."""
        return "top-of-atmosphere" if self.level == "L1C" else "surface"

    @property
    def acquisition(self) -> str:
        """Id of the acquisition: platform, datatake, tile."""
        return acquisition_id(self.platform, self.datatake, self.tile)

    @property
    def pass_id(self) -> str:
        """Id of the pass: platform and datatake, such as S2A_20220706T085611."""
        return f"{self.platform}_{self.datatake}"

    @property
    def version(self) -> str:
        """Distinguishes a product from an earlier one published under the same id."""
        return f"{self.baseline or ''}|{self.published.isoformat() if self.published else ''}"

    @property
    def baseline_number(self) -> int:
        """The baseline as a number, such as 511; 0 for what is no version of ESA's processor: the interim
        N9999 of data hubs, 00.00, or none stated."""
        number = int(self.baseline) if self.baseline and self.baseline.isdecimal() else 0
        return number if number < FIRST_INTERIM_BASELINE else 0

    @property
    def rank(self) -> tuple[str, int, datetime, str]:
        """Sort key; the best product of an acquisition has the highest: L2A, then the highest numbered
        baseline, then the newest package."""
        published = self.published or datetime.min.replace(tzinfo=UTC)
        return (self.level, self.baseline_number, published, self.id)


def acquisition_id(platform: str, datatake: str, tile: str) -> str:
    """Id of an acquisition, such as S2A_20220706T085611_T33NZA."""
    return f"{platform}_{datatake}_T{tile}"
