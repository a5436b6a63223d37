"""Products, and the acquisitions that they are levels and reprocessings of."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Level = Literal["L1C", "L2A"]
LEVELS: tuple[Level, ...] = ("L1C", "L2A")


@dataclass(frozen=True, slots=True)
class Product:
    """One Sentinel-2 package as published: one tile, one sensing time, one level, one baseline."""

    id: str
    """The product's name without .SAFE, or the source's own id where it has none; old multi-tile names end in
    _T<tile>."""
    source: str
    """SPEC of the source it was found in, such as
    "stac:https://earth-search.aws.element84.com/v1#sentinel-2-l2a"."""
    level: Level
    platform: str
    """S2A, S2B, ..."""
    tile: str
    """MGRS tile without the T."""
    sensing_time: datetime
    """Of this tile, UTC."""
    datatake: str
    """Start of the datatake as 20220706T085611; the sensing time where the source does not state it."""
    west: float
    """Bounds of the footprint, degrees; west > east when it crosses the antimeridian."""
    south: float
    east: float
    north: float
    cloud_cover: float | None = None
    """Percent over the whole product, 0 to 100; None where the source does not state it."""
    relative_orbit: int | None = None
    baseline: str | None = None
    """Four digits, 0511; None where the source does not state it."""
    published: datetime | None = None
    """When the package was generated or published, whichever the source states."""
    size: int | None = None
    """Bytes of the package."""
    href: str = ""
    """Where the source finds its bands: the .SAFE's folder or URL, or the STAC item's."""
    footprint: dict[str, Any] | None = field(default=None)
    """GeoJSON geometry of the valid pixels, lon/lat degrees; None where the source gives bounds only."""

    @property
    def acquisition(self) -> str:
        """Id of what the satellite saw once: platform, datatake, tile."""
        return acquisition_id(self.platform, self.datatake, self.tile)

    @property
    def version(self) -> str:
        """Tells a product that was published again under the same id from its former self."""
        return f"{self.baseline or ''}|{self.published.isoformat() if self.published else ''}"

    @property
    def rank(self) -> tuple[str, str, datetime, str]:
        """The best product of an acquisition has the highest: L2A, then the newer baseline, then the newer
        package."""
        return (self.level, self.baseline or "", self.published or datetime.min.replace(tzinfo=UTC), self.id)


def acquisition_id(platform: str, datatake: str, tile: str) -> str:
    """What the satellite saw once, as S2A_20220706T085611_T33NZA."""
    return f"{platform}_{datatake}_T{tile}"


def select_best_products(products: list[Product], level: Level | None = None) -> list[Product]:
    """The best product of each acquisition, by sensing time.

    Args:
        products: Of any acquisitions, levels and baselines.
        level: The only level wanted; None prefers L2A and takes L1C where there is no L2A.
    """
    chosen: dict[str, Product] = {}
    for product in products:
        if level and product.level != level:
            continue
        rival = chosen.get(product.acquisition)
        if rival is None or product.rank > rival.rank:
            chosen[product.acquisition] = product
    return sorted(chosen.values(), key=lambda product: (product.sensing_time, product.id))
