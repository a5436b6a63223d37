"""Product names and product ids: the only place that knows how they are spelled.

Compact name (since 2016-12-06): MMM_MSIXXX_YYYYMMDDHHMMSS_Nxxyy_ROOO_Txxxxx_<discriminator>.
Old name: MMM_CCCC_PRD_MSIXXX_<centre>_<creation>_ROOO_V<start>_<stop>, a package of many tiles.
Source: ESA, Sentinel-2 Products Specification Document.

The patterns hold for `re` and for RE2, which pyarrow and BigQuery use. Every field has a fixed width, so
`field_span` also gives the offsets that a SQL statement needs.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from revisit.domain.product import Level
from revisit.errors import InvalidInputError

TIMESTAMP_FORMAT = "%Y%m%dT%H%M%S"
TILE_PATTERN = r"[0-9]{2}[C-HJ-NP-X][A-Z]{2}"
"""An MGRS tile without the T: 32TQM."""
_TIMESTAMP = r"[0-9]{8}T[0-9]{6}"

MAX_GRANULES = 9
"""Most granules of one tile that the ids of a package tell apart; two were seen."""

COMPACT_PATTERN = (
    r"(?P<platform>S2[A-Z])_MSI(?P<level>L1C|L2A)"
    rf"_(?P<datatake>{_TIMESTAMP})_N(?P<baseline>[0-9]{{4}})_R(?P<orbit>[0-9]{{3}})"
    rf"_T(?P<tile>{TILE_PATTERN})_(?P<discriminator>{_TIMESTAMP})"
)
COMPACT_EXAMPLE = "S2A_MSIL2A_20180327T105019_N0207_R051_T31UFS_20180327T134916"
COMPACT_LENGTH = len(COMPACT_EXAMPLE)
OLD_PATTERN = (
    r"(?P<platform>S2[A-Z])_(?P<file_class>[A-Z]{4})_PRD_MSI(?P<level>L1C|L2A)"
    rf"_(?P<centre>[A-Z0-9]{{4}})_(?P<created>{_TIMESTAMP})_R(?P<orbit>[0-9]{{3}})"
    rf"_V(?P<start>{_TIMESTAMP})_(?P<stop>{_TIMESTAMP})"
)
OLD_EXAMPLE = "S2A_OPER_PRD_MSIL1C_PDMC_20160318T145513_R008_V20160318T094740_20160318T094740"
OLD_MARK = "_PRD_MSI"
"""Only old names hold it."""
DATATAKE_PATTERN = (
    rf"GS2[A-Z]_(?P<datatake>{_TIMESTAMP})_[0-9]{{6}}_N(?P<major>[0-9]{{2}})\.(?P<minor>[0-9]{{2}})"
)
"""A datatake identifier; major and minor are the baseline."""
DATATAKE_EXAMPLE = "GS2A_20180327T105019_014427_N02.07"
SHORT_ID_PATTERN = (
    r"(?P<platform>S2[A-Z])_T?(?P<tile>[0-9]{1,2}[C-HJ-NP-X][A-HJ-NP-Z]{2})"
    r"_(?P<day>[0-9]{8})(?P<sequence>\S*)_(?P<level>L1C|L2A)"
)
"""An item id of Earth Search: S2A_31UFS_20180327_0_L2A."""

_COMPACT = re.compile(COMPACT_PATTERN)
_OLD = re.compile(OLD_PATTERN)
_OLD_TILE = re.compile(rf"(?P<package>{OLD_PATTERN})_T(?P<tile>{TILE_PATTERN})(?:_(?P<granule>[2-9]))?")
_SHORT_ID = re.compile(SHORT_ID_PATTERN)
_ACQUISITION = re.compile(rf"(?P<platform>S2[A-Z])_(?P<datatake>{_TIMESTAMP})_T(?P<tile>{TILE_PATTERN})")


def field_span(pattern: str, example: str, field: str) -> tuple[int, int]:
    """Offset, counted from 0, and length of a field in every text that matches a pattern of fixed width.

    Args:
        pattern: `COMPACT_PATTERN`, `OLD_PATTERN` or `DATATAKE_PATTERN`.
        example: A text that matches it.
        field: Name of a group.
    """
    match = re.fullmatch(pattern, example)
    if match is None:
        raise ValueError(f"{example!r} does not match {pattern!r}")
    return match.start(field), len(match[field])


def old_product_id(name: str, tile: str, granule: int = 1) -> str:
    """Id of a tile of a package with an old name: S2A_OPER_PRD_..._T31TCJ, and ..._T31TCJ_2 for its second
    granule of that tile.

    Args:
        name: Name of the package without .SAFE.
        tile: MGRS tile without the T.
        granule: Number of the granule among those of the tile, counted from 1.
    """
    return numbered_id(f"{name}_T{tile}", granule)


def numbered_id(id: str, granule: int) -> str:
    """Id of a granule by that of the first of its tile in its package; `granule` is counted from 1."""
    return id if granule == 1 else f"{id}_{granule}"


def id_of_file_name(text: str) -> str:
    """Id of a product by the name of its folder or archive as people paste it: without blanks and slashes
    around it, and without .SAFE and .zip."""
    return re.sub(r"(?:\.SAFE|\.zip)+$", "", text.strip().rstrip("/"), flags=re.IGNORECASE)


def granule_number(id: str) -> int:
    """Number of the granule among those of its tile in its package, which `old_product_id` appends; 1 for any
    other id."""
    match = _OLD_TILE.fullmatch(id)
    return int(match["granule"] or 1) if match else 1


def package_name(id: str) -> str:
    """Name of the package that a product is a tile of; the id itself where it is the only one."""
    match = _OLD_TILE.fullmatch(id)
    return match["package"] if match else id


@dataclass(frozen=True, slots=True)
class IdParts:
    """What the id of a product states, whichever form it has."""

    tile: str
    day: date
    """Of the datatake, or of the sensing time in an id of Earth Search; UTC."""


def parse_id(id: str) -> IdParts | None:
    """Tile and day of a product id; None where the id has another form or its date does not exist."""
    match = _COMPACT.match(id) or _OLD_TILE.fullmatch(id) or _SHORT_ID.fullmatch(id)
    if match is None:
        return None
    fields = match.groupdict()
    if "sequence" in fields and not (
        len(fields["tile"]) == 5 and re.fullmatch("_[0-9]+", fields["sequence"])
    ):
        return None
    day = fields.get("day") or fields.get("datatake") or fields["start"]
    try:
        return IdParts(fields["tile"], datetime.strptime(day[:8], "%Y%m%d").replace(tzinfo=UTC).date())
    except ValueError:
        return None


def parse_short_id(id: str) -> tuple[str, str] | None:
    """Platform and tile of an item id of Earth Search, which may have a suffix; else None."""
    match = re.match(rf"{SHORT_ID_PATTERN}\b", id)
    return (match["platform"], match["tile"]) if match else None


def is_sentinel_2_id(id: str) -> bool:
    """Whether an item id begins like those of Sentinel-2 products."""
    return parse_short_id(id) is not None or re.match("S2[A-Z]_MSI", id) is not None


def parse_datatake_id(text: str) -> str | None:
    """The timestamp of a datatake identifier, whose baseline may lack its dot; else None."""
    match = re.fullmatch(DATATAKE_PATTERN.replace(r"\.", r"\.?"), text)
    return match["datatake"] if match else None


def parse_acquisition_id(id: str) -> tuple[str, str, str] | None:
    """Platform, datatake and tile of an acquisition id (`product.acquisition_id`); else None."""
    match = _ACQUISITION.fullmatch(id)
    return (match["platform"], match["datatake"], match["tile"]) if match else None


@dataclass(frozen=True, slots=True)
class ProductName:
    """A compact product name; `str` returns it unchanged."""

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
    """Distinguishes reprocessings; earlier or later than the datatake."""

    @classmethod
    def parse(cls, name: str) -> "ProductName":
        """Parse a compact name, with or without .SAFE.

        Raises:
            InvalidInputError: `name` has another form.
        """
        found = _COMPACT.fullmatch(name.removesuffix(".SAFE"))
        if not found:
            raise InvalidInputError(
                f"{name!r} is not a compact Sentinel-2 product name such as {COMPACT_EXAMPLE}"
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
            f"{self.platform}_MSI{self.level}_{self.datatake:{TIMESTAMP_FORMAT}}_N{self.baseline}"
            f"_R{self.relative_orbit:03d}_T{self.tile}_{self.discriminator:{TIMESTAMP_FORMAT}}"
        )


@dataclass(frozen=True, slots=True)
class OldProductName:
    """A product name from before 2016-12-06, of a package of many tiles; `str` returns it unchanged."""

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
        """Parse an old name, with or without .SAFE.

        Raises:
            InvalidInputError: `name` has another form.
        """
        found = _OLD.fullmatch(name.removesuffix(".SAFE"))
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
            f"{self.platform}_{self.file_class}_PRD_MSI{self.level}_{self.centre}_{self.created:{TIMESTAMP_FORMAT}}"
            f"_R{self.relative_orbit:03d}_V{self.start:{TIMESTAMP_FORMAT}}_{self.stop:{TIMESTAMP_FORMAT}}"
        )


def parse_name(name: str) -> ProductName | OldProductName:
    """Parse a compact or an old name, with or without .SAFE.

    Raises:
        InvalidInputError: `name` has neither form.
    """
    return OldProductName.parse(name) if OLD_MARK in name else ProductName.parse(name)


def _parse_timestamp(stamp: str) -> datetime:
    try:
        return datetime.strptime(stamp, TIMESTAMP_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidInputError(f"{stamp!r} in a product name is not a date and time") from None


def _parse_level(text: str) -> Level:
    return "L1C" if text == "L1C" else "L2A"
