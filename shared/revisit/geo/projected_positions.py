"""Positions in a projection or on a national datum as lon/lat degrees on WGS84."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from revisit.errors import InvalidInputError

MAX_POSITIONS = 20_000
"""Maximum number of positions of one conversion; an AOI has at most 2,000 vertices."""
MAX_CRS_LENGTH = 10_000
"""Maximum length of a CRS as text."""
MAX_ERROR_M = 20.0
"""Maximum stated error of a datum shift in metres; two pixels of 10 m."""

_WKT = re.compile(
    r"\s*(PROJCS|GEOGCS|COMPD_CS|PROJCRS|PROJECTEDCRS|GEOGCRS|GEODCRS|GEOGRAPHICCRS|BOUNDCRS|COMPOUNDCRS)\s*\[",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"\s*(?:urn:(?:x-)?ogc:def:crs:|https?://www\.opengis\.net/def/crs/)?"
    r"(?P<authority>EPSG|ESRI|IGNF|OGC)(?::|:[\d.]*:|/[\d.]+/)(?P<code>\w{4,20})\s*",
    re.IGNORECASE | re.ASCII,
)
"""A code of an authority that PROJ knows, alone or as a URN or URL of OGC."""
_NAMES_FILES = re.compile(r"GRIDS|PARAMETERFILE|PROJ4", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ConvertedPositions:
    """Positions in lon/lat degrees, and what they were converted from."""

    positions: list[tuple[float, float]]
    """Lon, lat in degrees on WGS84, to 7 decimals (1 cm)."""
    crs: str
    """Name of the CRS, such as "Amersfoort / RD New"."""
    error_m: float | None
    """Stated error of the datum shift in metres; None where the datum is WGS84."""


def convert_to_lon_lat(crs: str, positions: Sequence[Sequence[float]]) -> ConvertedPositions:
    """Convert positions to lon/lat degrees on WGS84.

    Args:
        crs: WKT of any version, such as the content of a .prj file, or a code such as "EPSG:28992", of EPSG,
            ESRI, IGNF or OGC, also as a URN or URL.
        positions: x, y in the units of the CRS; longitude or easting first, whatever order the CRS states.

    Raises:
        InvalidInputError: The CRS is none, its datum has no published shift to WGS84 within `MAX_ERROR_M`
            metres, or a position is in degrees or lies outside of what it can express.
    """
    meant = _parse_crs(crs)
    if not positions or len(positions) > MAX_POSITIONS:
        raise InvalidInputError(
            f"there are {len(positions):,} positions; give at least one, and {MAX_POSITIONS:,} at most"
        )
    if meant.is_projected and all(abs(at[0]) <= 360 and abs(at[1]) <= 90 for at in positions):
        raise InvalidInputError(
            f"position {positions[0][0]:.10g}, {positions[0][1]:.10g} looks like degrees, and the CRS "
            f"{meant.name!r} has none; check which CRS the coordinates are in"
        )
    convert, lon, lat, error_m = _transform(meant, positions)
    if error_m is not None and error_m > MAX_ERROR_M:
        raise InvalidInputError(
            f"the published shift from {_datum_name(meant)!r}, the datum of {meant.name!r}, to WGS84 is "
            f"right to {error_m:g} m only; export the layer in WGS84 (EPSG:4326)"
        )
    found = [(round(x, 7), round(y, 7)) for x, y in zip(lon, lat, strict=True)]
    back = zip(*convert.transform(lon, lat, direction="INVERSE"), strict=True)
    for given, returned in zip(positions, back, strict=True):
        # Far outside of its area a projection gives positions that do not lead back.
        if not all(abs(was - now) <= 1 + 1e-6 * abs(was) for was, now in zip(given, returned, strict=True)):
            raise InvalidInputError(
                f"position {given[0]:.10g}, {given[1]:.10g} lies outside of {meant.name!r}; "
                "check that the coordinates are in that CRS"
            )
    return ConvertedPositions(found, meant.name, error_m)


def _parse_crs(text: str) -> Any:
    """The horizontal CRS of a text; never one that names files."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    code = _CODE.fullmatch(text) if len(text) <= MAX_CRS_LENGTH else None
    if len(text) > MAX_CRS_LENGTH or not (code or _WKT.match(text)) or _NAMES_FILES.search(text):
        raise InvalidInputError(
            f"{text[:60]!r} is no CRS that is read here; give WKT, such as the content of a .prj file, or an "
            "EPSG code"
        )
    try:
        if code:
            crs = CRS.from_authority(code["authority"].upper(), code["code"].upper())
        else:
            crs = CRS.from_wkt(text.strip())
    except CRSError:
        raise InvalidInputError(
            f"the CRS {text.strip()[:60]!r} cannot be read; export the layer in WGS84 (EPSG:4326)"
        ) from None
    return crs.sub_crs_list[0] if crs.is_compound else crs.to_2d()


def _transform(crs: Any, positions: Sequence[Sequence[float]]) -> tuple[Any, Any, Any, float | None]:
    """The transformation, longitudes, latitudes, and the stated error in metres.

    A datum has several shifts, each for a region, so the positions are converted first to learn where they
    lie.
    """
    from pyproj.aoi import AreaOfInterest

    x, y = [at[0] for at in positions], [at[1] for at in positions]
    convert = _find_shift(crs)
    if convert is None:
        raise InvalidInputError(
            f"no published shift leads from {_datum_name(crs)!r}, the datum of {crs.name!r}, to WGS84; "
            "export the layer in WGS84 (EPSG:4326)"
        )
    lon, lat = convert.transform(x, y)
    near = [(a, b) for a, b in zip(lon, lat, strict=True) if abs(a) <= 180 and abs(b) <= 90]
    if not near:
        return convert, lon, lat, None
    lons, lats = [at[0] for at in near], [at[1] for at in near]
    convert = _find_shift(crs, AreaOfInterest(min(lons), min(lats), max(lons), max(lats))) or convert
    lon, lat = convert.transform(x, y)
    error_m = _accuracy_of(convert)
    return convert, lon, lat, error_m if error_m >= 0 else None


def _accuracy_of(convert: Any) -> float:
    """Stated error in metres of what was used last; below 0 where none is stated."""
    from pyproj.exceptions import ProjError

    try:
        return float(convert.get_last_used_operation().accuracy)
    except ProjError:  # it changes nothing, as from ETRS89
        return float(convert.accuracy)


def _find_shift(crs: Any, region: Any = None) -> Any:
    """The transformation to lon/lat on WGS84, the best for a region; None if it would leave out the shift of
    the datum."""
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    try:
        return Transformer.from_crs(crs, 4326, always_xy=True, allow_ballpark=False, area_of_interest=region)
    except ProjError:
        return None


def _datum_name(crs: Any) -> str:
    return str(crs.datum.name) if crs.datum else "an unknown datum"
