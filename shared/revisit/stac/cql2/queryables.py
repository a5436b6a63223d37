"""What a filter may be about, and a search sorted by."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Property:
    """One property of items that can be filtered by."""

    name: str
    """As an Item has it."""
    kind: Literal["text", "number", "instant", "geometry"]
    title: str
    schema: dict[str, Any]
    """What JSON Schema says of its values, its type aside."""
    results_only: bool = False
    """Whether no product has it."""


_TEXTS = (
    Property("id", "text", "Id of the item", {}),
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
    Property("s2:mgrs_tile", "text", "MGRS tile, as 32TQM", {"pattern": "^[0-9]{2}[A-Z]{3}$"}),
    Property(
        "s2:processing_baseline",
        "text",
        "Processing baseline, as 05.11",
        {"pattern": "^[0-9]{2}\\.[0-9]{2}$"},
    ),
    Property(
        "revisit:acquisition",
        "text",
        "What the satellite saw once: its levels and reprocessings share it",
        {},
    ),
    Property(
        "revisit:state",
        "text",
        "How a result ended",
        {"enum": ["done", "skipped", "failed"]},
        results_only=True,
    ),
    Property("revisit:product", "text", "Product that a result was made from", {}, results_only=True),
)
_NUMBERS = (
    Property("eo:cloud_cover", "number", "Cloud cover in percent", {"minimum": 0, "maximum": 100}),
    Property("sat:relative_orbit", "number", "Relative orbit", {"minimum": 1, "maximum": 143}),
    Property(
        "revisit:clear_fraction",
        "number",
        "Share of the area that was clear",
        {"minimum": 0, "maximum": 1},
        results_only=True,
    ),
    Property(
        "revisit:coverage",
        "number",
        "Share of the area that was seen",
        {"minimum": 0, "maximum": 1},
        results_only=True,
    ),
)
_INSTANTS = (
    Property("datetime", "instant", "When it was sensed", {"format": "date-time"}),
    Property("published", "instant", "When it was published", {"format": "date-time"}),
)
GEOMETRY = Property("geometry", "geometry", "Footprint, or the area of a result", {})

PROPERTIES: dict[str, Property] = {one.name: one for one in (*_TEXTS, *_NUMBERS, *_INSTANTS, GEOMETRY)}
"""By name."""


def find_property(name: str) -> Property | None:
    """A property by its name, with or without what says that it is one of an Item's properties."""
    return PROPERTIES.get(name) or PROPERTIES.get(name.removeprefix("properties."))
