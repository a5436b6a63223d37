"""Queryables: the properties that a search can filter and sort by."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Property:
    """A property of items that a search can filter and sort by."""

    name: str
    """Its name in an Item."""
    kind: Literal["text", "number", "instant", "geometry"]
    title: str
    schema: dict[str, Any]
    """JSON Schema of its values, without the type."""
    results_only: bool = False
    """Whether only results have it, no product."""
    column: str = ""
    """Field of `Product` and column of the catalog that holds the same value; empty where there is none."""


_TEXTS = (
    Property("id", "text", "Id of the item", {}, column="id"),
    Property(
        "collection",
        "text",
        "Collection of the item",
        {"enum": ["sentinel-2-l1c", "sentinel-2-l2a", "results"]},
    ),
    Property("platform", "text", "Satellite", {"pattern": "^sentinel-2[a-z]$"}),
    Property("constellation", "text", "Constellation", {"enum": ["sentinel-2"]}),
    Property("mission", "text", "Mission", {"enum": ["sentinel-2"]}),
    Property("grid:code", "text", "MGRS tile, as MGRS-32TQM", {"pattern": "^MGRS-[0-9]{2}[A-Z]{3}$"}),
    Property("s2:mgrs_tile", "text", "MGRS tile, as 32TQM", {"pattern": "^[0-9]{2}[A-Z]{3}$"}, column="tile"),
    Property(
        "s2:processing_baseline",
        "text",
        "Processing baseline, as 05.11",
        {"pattern": "^[0-9]{2}\\.[0-9]{2}$"},
    ),
    Property(
        "revisit:acquisition",
        "text",
        "Acquisition: shared by its levels and reprocessings",
        {},
    ),
    Property(
        "revisit:state",
        "text",
        "Final state of a result",
        {"enum": ["done", "skipped", "failed"]},
        results_only=True,
    ),
    Property("revisit:product", "text", "Product that a result was computed from", {}, results_only=True),
    Property(
        "revisit:level",
        "text",
        "Level of the product of a result",
        {"enum": ["L1C", "L2A"]},
        results_only=True,
    ),
    Property("revisit:mask", "text", "Cloud mask of a result", {"enum": ["SCL", "none"]}, results_only=True),
)
_NUMBERS = (
    Property(
        "eo:cloud_cover",
        "number",
        "Cloud cover in percent",
        {"minimum": 0, "maximum": 100},
        column="cloud_cover",
    ),
    Property(
        "sat:relative_orbit",
        "number",
        "Relative orbit",
        {"minimum": 1, "maximum": 143},
        column="relative_orbit",
    ),
    Property(
        "revisit:clear_fraction",
        "number",
        "Clear share of the seen part of the area",
        {"minimum": 0, "maximum": 1},
        results_only=True,
    ),
    Property(
        "revisit:clear_of_aoi",
        "number",
        "Clear share of the area",
        {"minimum": 0, "maximum": 1},
        results_only=True,
    ),
    Property(
        "revisit:coverage",
        "number",
        "Seen share of the area",
        {"minimum": 0, "maximum": 1},
        results_only=True,
    ),
)
_INSTANTS = (
    Property("datetime", "instant", "Sensing time", {"format": "date-time"}, column="sensing_time"),
    Property("published", "instant", "Publication time", {"format": "date-time"}, column="published"),
)
GEOMETRY = Property("geometry", "geometry", "Footprint of a product, or area of a result", {})

PROPERTIES: dict[str, Property] = {known.name: known for known in (*_TEXTS, *_NUMBERS, *_INSTANTS, GEOMETRY)}
"""By name."""


def find_property(name: str) -> Property | None:
    """A property by its name, with or without the prefix "properties."."""
    return PROPERTIES.get(name) or PROPERTIES.get(name.removeprefix("properties."))
