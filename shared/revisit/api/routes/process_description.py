"""What OGC API Processes tells of the process `order`, and of the API at its root."""

from typing import Any

PROCESS_ID = "order"
TRANSMISSION_MODES = ("value", "reference")
EXECUTE_REL = "http://www.opengis.net/def/rel/ogc/1.0/execute"

_PERCENT = {"type": "number", "minimum": 0, "maximum": 100}
_NAMES = {"type": "array", "items": {"type": "string"}}
_DAY = {"type": "string", "description": "A day, or an instant of RFC 3339."}
_SCHEMAS: dict[str, tuple[str, dict[str, Any]]] = {
    "aoi": (
        "Where to cut: a GeoJSON geometry or Feature, lon/lat degrees",
        {"type": "object", "format": "geojson-geometry"},
    ),
    "tile": ("MGRS id of a tile that is wanted whole", {"type": "string"}),
    "products": ("Ids of exactly the products wanted", _NAMES),
    "indices": ("Spectral indices; NDVI where neither indices nor bands are named", _NAMES),
    "bands": ("Bands to deliver as they are", _NAMES),
    "resolution_m": ("Pixel size of the result", {"type": "number", "minimum": 1, "maximum": 10_000}),
    "resampling": (
        "How reflectance meets a finer grid",
        {"type": "string", "enum": ["bilinear", "nearest"], "default": "bilinear"},
    ),
    "source": ("SPEC of the only source to take products from", {"type": "string"}),
    "start": ("Sensed at or after", _DAY),
    "end": ("Sensed at or before", _DAY),
    "level": ("Only this level; by default L2A is preferred", {"type": "string", "enum": ["L1C", "L2A"]}),
    "max_cloud": ("Maximum scene cloud cover, percent", _PERCENT),
    "min_clear": ("Minimum clear share of the AOI's valid pixels, percent", _PERCENT),
    "repair": ("Whether to repair an AOI that crosses itself", {"type": "boolean", "default": False}),
}
INPUTS: dict[str, dict[str, Any]] = {
    name: {"title": title, "schema": schema, "minOccurs": 0, "maxOccurs": 1}
    for name, (title, schema) in _SCHEMAS.items()
}
"""Inputs by name; the area is given by aoi, tile or products, so none of these is required."""
OUTPUTS = {
    "items": {
        "title": "Results as STAC Items by time",
        "schema": {"type": "object", "contentMediaType": "application/geo+json"},
    }
}


def summary(root: str) -> dict[str, Any]:
    """The standard's processSummary."""
    here = f"{root}/processes/{PROCESS_ID}"
    return {
        "id": PROCESS_ID,
        "version": "1.0.0",
        "title": "Order",
        "description": "Has what Sentinel-2 saw of a place worked: bands cut out, indices computed, clouds masked.",
        "jobControlOptions": ["async-execute", "dismiss"],
        "outputTransmission": list(TRANSMISSION_MODES),
        "links": [
            {"href": here, "rel": "self", "type": "application/json"},
            {"href": f"{here}/execution", "rel": EXECUTE_REL, "type": "application/json", "title": "Execute"},
        ],
    }


def description(root: str) -> dict[str, Any]:
    """The standard's process: the summary, and what goes in and comes out."""
    return {**summary(root), "inputs": INPUTS, "outputs": OUTPUTS}


def landing_links(root: str) -> list[dict[str, str]]:
    """Of the landing page."""
    return [
        {"href": f"{root}/", "rel": "self", "type": "application/json", "title": "This document"},
        {"href": f"{root}/", "rel": "alternate", "type": "text/html", "title": "The page"},
        {
            "href": f"{root}/openapi.json",
            "rel": "service-desc",
            "type": "application/vnd.oai.openapi+json;version=3.1",
            "title": "Specification",
        },
        {"href": f"{root}/docs", "rel": "service-doc", "type": "text/html", "title": "Specification to read"},
        {
            "href": f"{root}/conformance",
            "rel": "http://www.opengis.net/def/rel/ogc/1.0/conformance",
            "type": "application/json",
            "title": "Conformance",
        },
        {
            "href": f"{root}/processes",
            "rel": "http://www.opengis.net/def/rel/ogc/1.0/processes",
            "type": "application/json",
            "title": "Processes",
        },
        {
            "href": f"{root}/jobs",
            "rel": "http://www.opengis.net/def/rel/ogc/1.0/job-list",
            "type": "application/json",
            "title": "Jobs",
        },
        {"href": f"{root}/stac", "rel": "data", "type": "application/json", "title": "STAC API"},
    ]
