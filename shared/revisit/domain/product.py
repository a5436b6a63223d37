"""Products, their names, and the acquisitions they are levels and reprocessings of.

The compact name (since 2016-12-06) is MMM_MSIXXX_YYYYMMDDHHMMSS_Nxxyy_ROOO_Txxxxx_<discriminator>; the old
one is
MMM_CCCC_MSIXXX_<site and creation>_ROOO_V<start>_<stop>. Source: ESA, Sentinel-2 Products Specification
Document.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from revisit.errors import InvalidInputError

Level = Literal["L1C", "L2A"]
LEVELS: tuple[Level, ...] = ("L1C", "L2A")

_TIMESTAMP_FORMAT = "%Y%m%dT%H%M%S"
_COMPACT_NAME = re.compile(
    r"(?P<platform>S2[A-Z])_MSI(?P<level>L1C|L2A)_(?P<datatake>\d{8}T\d{6})_N(?P<baseline>\d{4})_R(?P<orbit>\d{3})"
    r"_T(?P<tile>\d{2}[C-HJ-NP-X][A-Z]{2})_(?P<discriminator>\d{8}T\d{6})"
)
_OLD_NAME = re.compile(
    r"(?P<platform>S2[A-Z])_(?P<file_class>[A-Z]{4})_PRD_MSI(?P<level>L1C|L2A)_(?P<centre>[A-Z0-9]{4})_(?P<created>\d{8}T\d{6})"
    r"_R(?P<orbit>\d{3})_V(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})"
)


@dataclass(frozen=True, slots=True)
class ProductName:
    """A compact product name, taken apart; `str` prints it back unchanged."""

    platform: str
    """S2A, S2B, S2C, ... S2Z."""
    level: Level
    datatake: datetime
    """Start of the datatake, UTC."""
    baseline: str
    """Four digits: 0511."""
    relative_orbit: int
    """1 to 143."""
    tile: str
    """MGRS tile without the T: 32TQM."""
    discriminator: datetime
    """Tells reprocessings apart; earlier or later than the datatake."""

    @classmethod
    def parse(cls, name: str) -> "ProductName":
        """Read a compact name, with or without .SAFE.

        Raises:
            InvalidInputError: The name is not one.
        """
        found = _COMPACT_NAME.fullmatch(name.removesuffix(".SAFE"))
        if not found:
            raise InvalidInputError(
                f"{name!r} is not a compact Sentinel-2 product name such as "
                "S2A_MSIL2A_20180327T105019_N0207_R051_T31UFS_20180327T134916"
            )
        return cls(
            found["platform"],
            _parse_level(found["level"]),
            _parse_timestamp(found["datatake"]),
            found["baseline"],
            int(found["orbit"]),
            found["tile"],
            _parse_timestamp(found["discriminator"]),
        )

    def __str__(self) -> str:
        return (
            f"{self.platform}_MSI{self.level}_{self.datatake:{_TIMESTAMP_FORMAT}}_N{self.baseline}_R{self.relative_orbit:03d}"
            f"_T{self.tile}_{self.discriminator:{_TIMESTAMP_FORMAT}}"
        )


@dataclass(frozen=True, slots=True)
class OldProductName:
    """A product name from before 2016-12-06: many tiles in one package; `str` prints it back unchanged."""

    platform: str
    file_class: str
    """OPER, TEST, USER, ..."""
    level: Level
    centre: str
    """Processing centre: PDMC, EPAE, ..."""
    created: datetime
    relative_orbit: int
    start: datetime
    stop: datetime

    @classmethod
    def parse(cls, name: str) -> "OldProductName":
        """Read an old name, with or without .SAFE.

        Raises:
            InvalidInputError: The name is not one.
        """
        found = _OLD_NAME.fullmatch(name.removesuffix(".SAFE"))
        if not found:
            raise InvalidInputError(f"{name!r} is not an old-format Sentinel-2 product name")
        return cls(
            found["platform"],
            found["file_class"],
            _parse_level(found["level"]),
            found["centre"],
            _parse_timestamp(found["created"]),
            int(found["orbit"]),
            _parse_timestamp(found["start"]),
            _parse_timestamp(found["stop"]),
        )

    def __str__(self) -> str:
        return (
            f"{self.platform}_{self.file_class}_PRD_MSI{self.level}_{self.centre}_{self.created:{_TIMESTAMP_FORMAT}}"
            f"_R{self.relative_orbit:03d}_V{self.start:{_TIMESTAMP_FORMAT}}_{self.stop:{_TIMESTAMP_FORMAT}}"
        )


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


def _parse_timestamp(stamp: str) -> datetime:
    try:
        return datetime.strptime(stamp, _TIMESTAMP_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidInputError(f"{stamp!r} in a product name is not a moment in time") from None


def _parse_level(text: str) -> Level:
    return "L1C" if text == "L1C" else "L2A"
