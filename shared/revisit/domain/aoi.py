"""AOIs: polygons of interest in lon/lat degrees, validated and normalised once, on input.

A normalised AOI is split at the antimeridian (straight edges in lon/lat, RFC 7946), rounded to 7 decimals
(1 cm), has counter-clockwise outer rings, and its parts and start points in a fixed order. The same shape has
the same id.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from revisit.domain.ids import derive_id
from revisit.errors import InvalidGeometryError
from revisit.geo.bounds import Bounds, bounds_of
from revisit.geo.equal_area import area_m2
from revisit.geo.geojson import (
    MAX_HOLES,
    MAX_POLYGONS,
    MAX_VERTICES,
    Polygon,
    extract_polygons,
    parse_document,
)
from revisit.geo.mgrs_tile import tiles_under
from revisit.geo.polygon import (
    DECIMALS,
    build_multipolygon,
    build_polygon,
    limit_crossings,
    make_valid,
    round_coordinates,
)

MAX_AREA_KM2 = 10_000
"""Default maximum area of one AOI, about one tile; plans may set another."""
MAX_REPAIR_VERTICES = 500
"""Maximum number of vertices of an AOI that can be repaired."""


@dataclass(frozen=True)
class AOI:
    """A polygon or multipolygon of interest; made by `parse`, or by `from_normalized` from a stored one."""

    geometry: dict[str, Any]
    """GeoJSON Polygon or MultiPolygon, lon/lat degrees, normalised."""

    @classmethod
    def parse(cls, document: str | bytes | dict[str, Any], max_area_km2: float = MAX_AREA_KM2) -> "AOI":
        """Parse a GeoJSON geometry, Feature or FeatureCollection; several geometries become their union.

        Open rings are closed, repeated points and elevations dropped. Any other fault is rejected, never
        repaired.

        Raises:
            InvalidGeometryError: It is not a polygon on Earth, crosses itself, or exceeds a limit.
        """
        found = extract_polygons(parse_document(document))
        faults: list[InvalidGeometryError] = []
        parts = [_build_polygons(polygons, faults) for polygons in found]
        if faults:
            raise InvalidGeometryError(
                str(faults[0]), *dict.fromkeys(fault for each in faults for fault in each.errors)
            )
        shapes = [build_multipolygon(each) for each in parts]
        if len(shapes) > 1:
            limit_crossings([ring for polygons in found for rings in polygons for ring in rings])
        return cls._from_shapes(shapes, max_area_km2)

    @classmethod
    def parse_repaired(
        cls, document: str | bytes | dict[str, Any], max_area_km2: float = MAX_AREA_KM2
    ) -> "AOI":
        """Parse as `parse`, and repair faults at the user's request.

        Longitudes are wrapped, overlapping parts merged, and a ring that crosses itself becomes everything
        that it encloses (shapely's make_valid, method "structure").

        Raises:
            InvalidGeometryError: As `parse`, and above 500 vertices or 5,000 crossings.
        """
        polygons = [
            rings
            for each in extract_polygons(parse_document(document), wrap_longitudes=True)
            for rings in each
        ]
        every = [ring for rings in polygons for ring in rings]
        if sum(len(ring) - 1 for ring in every) > MAX_REPAIR_VERTICES:
            raise InvalidGeometryError(
                f"an AOI of more than {MAX_REPAIR_VERTICES} vertices is too large to repair; simplify it "
                "first"
            )
        limit_crossings(every)
        return cls._from_shapes([make_valid(rings) for rings in polygons], max_area_km2)

    @classmethod
    def parse_or_repair(
        cls, document: str | bytes | dict[str, Any], repair: bool, max_area_km2: float = MAX_AREA_KM2
    ) -> "AOI":
        """`parse_repaired` if `repair` is set, else `parse`, whose error says whether a repair would help.

        Raises:
            InvalidGeometryError: As these.
        """
        if repair:
            return cls.parse_repaired(document, max_area_km2)
        try:
            return cls.parse(document, max_area_km2)
        except InvalidGeometryError as error:
            # A fault without a coordinate cannot be repaired.
            error.repairable = any(place for place, _ in error.errors) and cls._is_repairable(
                document, max_area_km2
            )
            raise

    @classmethod
    def _is_repairable(cls, document: str | bytes | dict[str, Any], max_area_km2: float) -> bool:
        try:
            cls.parse_repaired(document, max_area_km2)
        except InvalidGeometryError:
            return False
        return True

    @classmethod
    def from_normalized(cls, geometry: dict[str, Any]) -> "AOI":
        """An AOI from a geometry that `parse` has normalised, as read from a record; it is not
        checked again."""
        return cls(geometry)

    @cached_property
    def id(self) -> str:
        """Id derived from the normalised geometry."""
        return derive_id("aoi", msgspec.json.encode(self.geometry, order="sorted").decode())

    @cached_property
    def shape(self) -> Any:
        """The geometry as a shapely object."""
        from shapely.geometry import shape

        return shape(self.geometry)

    @cached_property
    def bounds(self) -> Bounds:
        """West, south, east, north in degrees, the narrowest box; west > east across the antimeridian."""
        return bounds_of(self.shape)

    @cached_property
    def area_km2(self) -> float:
        """Area on the WGS84 ellipsoid; edges are straight in lon/lat."""
        return area_m2(self.shape) / 1e6

    @cached_property
    def tiles(self) -> tuple[str, ...]:
        """Ids of the tiles that it touches, sorted."""
        return tiles_under(self.shape)

    def __hash__(self) -> int:
        return hash(self.id)

    @classmethod
    def _from_shapes(cls, shapes: list[Any], max_area_km2: float) -> "AOI":
        import shapely

        shape = shapes[0] if len(shapes) == 1 else round_coordinates(shapely.union_all(shapes))
        parts = [part for part in shapely.get_parts(shape) if part.area > 0]
        if not parts:
            raise InvalidGeometryError("the AOI has no area; draw a polygon that encloses something")
        for count, limit, what in (
            (len(parts), MAX_POLYGONS, "parts"),
            (max(shapely.get_num_interior_rings(parts)), MAX_HOLES, "holes in a part"),
            (shapely.get_num_coordinates(parts).sum() - _count_rings(parts), MAX_VERTICES, "vertices"),
        ):
            if count > limit:
                raise InvalidGeometryError(
                    f"put together the AOI has {count:,} {what}, {limit:,} at most; simplify it or split it "
                    "into several"
                )
        # Parts that are valid alone and together remain so without parts of no area; validating again would
        # take longest.
        shape = parts[0] if len(parts) == 1 else shapely.multipolygons(parts)
        area = area_m2(shape) / 1e6
        if area > max_area_km2:
            raise InvalidGeometryError(
                f"the AOI covers {area:,.0f} km2, {max_area_km2:,.0f} km2 at most; draw a smaller one or "
                "split it"
            )
        made = cls(_to_geojson(shapely.orient_polygons(shapely.normalize(shape))))
        vars(made)["area_km2"] = area
        return made


def _build_polygons(polygons: list[Polygon], faults: list[InvalidGeometryError]) -> list[Any]:
    """The valid polygons of a geometry; errors of the others are appended to `faults`."""
    shapes = []
    for rings in polygons:
        try:
            shapes.append(build_polygon(rings))
        except InvalidGeometryError as error:
            faults.append(error)
    return shapes


def _count_rings(parts: list[Any]) -> int:
    import shapely

    return len(parts) + int(shapely.get_num_interior_rings(parts).sum())


def _to_geojson(shape: Any) -> dict[str, Any]:
    """GeoJSON with lists instead of tuples, and coordinates rounded to their last decimal."""
    import shapely

    polygons = [
        [(shapely.get_coordinates(ring).round(DECIMALS) + 0.0).tolist() for ring in shapely.get_rings(part)]
        for part in shapely.get_parts(shape)
    ]
    return {"type": shape.geom_type, "coordinates": polygons[0] if shape.geom_type == "Polygon" else polygons}
