"""AOIs: polygons of interest in lon/lat degrees, checked and normalised once, when they come in.

Normalised means: split at the antimeridian (straight edges in lon/lat, as RFC 7946 has them), rounded to 7 decimals (1 cm),
outer rings counter-clockwise, parts and starting points in a fixed order. The same shape has the same id.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import msgspec

from revisit.errors import BadInput
from revisit.geojson import Ring, polygons_of, read
from revisit.ids import derived
from revisit.tile import tiles_under

MAX_AREA_KM2 = 10_000
"""What one AOI may cover unless the plan says otherwise: about one tile."""
MAX_PARTS = 50
MAX_CROSSINGS = 100
"""Edges of one AOI over the antimeridian."""
MAX_REPAIRED = 500
"""Vertices that are mended on request; more would take seconds (rules.md J2 has the measurements)."""
DECIMALS = 7


@dataclass(frozen=True)
class AOI:
    """A polygon or multipolygon of interest; made by `parse`, or by `of` from what `parse` made."""

    geometry: dict[str, Any]
    """GeoJSON Polygon or MultiPolygon, lon/lat degrees, normalised."""

    @classmethod
    def parse(cls, document: str | bytes | dict[str, Any], max_area_km2: float = MAX_AREA_KM2) -> "AOI":
        """Read a GeoJSON geometry, Feature or FeatureCollection; several polygons become their union.

        Rings left open are closed, repeated points and elevations dropped; anything else wrong is refused, never mended.

        Raises:
            BadInput: It is not a polygon on Earth, crosses itself, or is beyond a limit.
        """
        polygons = polygons_of(read(document))
        return cls._within([_polygon(rings) for rings in polygons], max_area_km2)

    @classmethod
    def repaired(cls, document: str | bytes | dict[str, Any], max_area_km2: float = MAX_AREA_KM2) -> "AOI":
        """Like `parse`, on the user's request also mending: longitudes are wrapped, self-crossing rings taken apart.

        What every ring encloses is kept, but for holes (shapely's make_valid, method "structure").

        Raises:
            BadInput: As `parse`, and above 500 vertices.
        """
        polygons = polygons_of(read(document), wrap=True)
        vertices = sum(len(ring) for rings in polygons for ring in rings)
        if vertices > MAX_REPAIRED:
            raise BadInput(f"an AOI of {vertices} vertices is too large to repair, {MAX_REPAIRED} at most; simplify it first")
        return cls._within([_polygon(rings, mend=True) for rings in polygons], max_area_km2)

    @classmethod
    def of(cls, geometry: dict[str, Any]) -> "AOI":
        """Trust a geometry that `parse` normalised, as read back from a record."""
        return cls(geometry)

    @cached_property
    def id(self) -> str:
        """Derived from the normalised geometry."""
        return derived("aoi", msgspec.json.encode(self.geometry, order="sorted").decode())

    @cached_property
    def shape(self) -> Any:
        """As a shapely geometry."""
        from shapely.geometry import shape

        return shape(self.geometry)

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees, the narrowest way round; west > east when it spans the antimeridian."""
        import shapely

        _, south, _, north = self.shape.bounds
        spans = sorted((part.bounds[0], part.bounds[2]) for part in shapely.get_parts(self.shape))
        west, east, widest = spans[0][0], max(span[1] for span in spans), 0.0
        widest = west + 360 - east
        reached = spans[0][1]
        for start, end in spans[1:]:
            if start - reached > widest:
                west, east, widest = start, reached, start - reached
            reached = max(reached, end)
        return west, south, east, north

    @cached_property
    def area_km2(self) -> float:
        """On the WGS84 ellipsoid; edges are straight in lon/lat."""
        return _area_km2(self.shape)

    @cached_property
    def tiles(self) -> tuple[str, ...]:
        """Ids of the tiles it touches, sorted."""
        return tiles_under(self.shape)

    def __hash__(self) -> int:
        return hash(self.id)

    @classmethod
    def _within(cls, shapes: list[Any], max_area_km2: float) -> "AOI":
        import shapely
        from shapely.geometry import mapping

        shape = shapes[0] if len(shapes) == 1 else shapely.union_all(shapes)
        shape = shapely.set_precision(shape, 10.0**-DECIMALS, mode="pointwise") if len(shapes) > 1 else shape
        parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 0]
        if not parts:
            raise BadInput("the AOI has no area; draw a polygon that encloses something")
        if len(parts) > MAX_PARTS:
            raise BadInput(f"the AOI has {len(parts)} parts, {MAX_PARTS} at most; split it into several AOIs")
        shape = parts[0] if len(parts) == 1 else shapely.multipolygons(parts)
        _refuse_invalid(shape)
        shape = shapely.orient_polygons(shapely.normalize(shape))
        area = _area_km2(shape)
        if area > max_area_km2:
            raise BadInput(f"the AOI covers {area:,.0f} km2, {max_area_km2:,.0f} km2 at most; draw a smaller one or split it")
        return cls(_plain(mapping(shape)))


def _polygon(rings: list[Ring], mend: bool = False) -> Any:
    """One polygon, valid and split at the antimeridian; a polygon or multipolygon."""
    import antimeridian
    import shapely

    crossings = sum(_jumps(a[0], b[0]) for ring in rings for a, b in pairwise(ring))
    if crossings > MAX_CROSSINGS:
        raise BadInput(f"the AOI crosses the antimeridian {crossings} times, {MAX_CROSSINGS} at most; check its longitudes")
    if not crossings:
        shape = shapely.Polygon(rings[0], rings[1:])
    else:
        unrolled = [_unrolled(ring) for ring in rings]
        if all(abs(ring[0][0] - ring[-1][0]) < 1 for ring in unrolled):
            flat = shapely.Polygon(unrolled[0], unrolled[1:])
            if not mend:
                _refuse_invalid(flat)
        try:
            shape = antimeridian.fix_polygon(shapely.Polygon(rings[0], rings[1:]), fix_winding=True, great_circle=False)
        except ValueError:
            raise BadInput("the AOI cannot be split at the antimeridian; draw its parts east and west of 180 degrees") from None
        shape = shapely.set_precision(shape, 10.0**-DECIMALS, mode="pointwise")
    if mend and not shape.is_valid:
        shape = shapely.make_valid(shape, method="structure", keep_collapsed=False)
        shape = shapely.set_precision(shape, 10.0**-DECIMALS)
    _refuse_invalid(shape)
    return shape


def _jumps(a: float, b: float) -> bool:
    """Whether an edge crosses the antimeridian: over half the world, but not from edge to edge of the map."""
    return 180 < abs(a - b) < 360


def _unrolled(ring: Ring) -> Ring:
    """The ring with longitudes that go on beyond 180 instead of jumping."""
    turn, unrolled = 0.0, [ring[0]]
    for (before, _), (lon, lat) in pairwise(ring):
        if _jumps(before, lon):
            turn += 360.0 if lon < before else -360.0
        unrolled.append((lon + turn, lat))
    return unrolled


def _refuse_invalid(shape: Any) -> None:
    import shapely

    if shape.is_valid:
        return
    reason, _, place = shapely.is_valid_reason(shape).rstrip("]").partition("[")
    where = ""
    if place:
        lon, lat = (float(number) for number in place.split()[:2])
        where = f" at lon {round((lon + 180) % 360 - 180, DECIMALS):g}, lat {round(lat, DECIMALS):g}"
    what = {"Self-intersection": "crosses itself", "Ring Self-intersection": "touches itself",
            "Hole lies outside shell": "has a hole outside its outer ring", "Holes are nested": "has a hole within a hole",
            "Interior is disconnected": "is cut apart by its holes", "Nested shells": "has a part within another part",
            "Duplicate Rings": "has the same ring twice"}.get(reason.strip(), f"is not a valid polygon ({reason.strip().lower()})")
    raise BadInput(f"the AOI {what}{where}; redraw it there, or ask for it to be repaired")


def _area_km2(shape: Any) -> float:
    import shapely
    from pyproj import Geod

    step = max(0.1, shape.length / 20_000)
    area, _ = Geod(ellps="WGS84").geometry_area_perimeter(shapely.segmentize(shape, step))
    return abs(area) / 1e6


def _plain(geometry: dict[str, Any]) -> dict[str, Any]:
    """Lists instead of tuples, and coordinates to their last decimal."""
    def listed(item: Any) -> Any:
        return [listed(each) for each in item] if isinstance(item, tuple | list) else round(item, DECIMALS) + 0.0

    return {"type": geometry["type"], "coordinates": listed(geometry["coordinates"])}
