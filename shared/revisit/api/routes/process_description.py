"""The OGC API Processes description of the process `order`, and the links of the landing page."""

from typing import Any

PROCESS_ID = "order"
TRANSMISSION_MODES = ("value", "reference")
EXECUTE_REL = "http://www.opengis.net/def/rel/ogc/1.0/execute"

_PERCENT = {"type": "number", "minimum": 0, "maximum": 100}
_NAMES = {"type": "array", "items": {"type": "string"}}
_DAY = {"type": "string", "description": "A date, or an RFC 3339 instant."}
_SCHEMAS: dict[str, tuple[str, dict[str, Any]]] = {
    "aoi": (
        "Area of interest: a GeoJSON geometry or Feature, longitude and latitude in degrees",
        {"type": "object", "format": "geojson-geometry"},
    ),
    "tile": ("MGRS id of a tile to process completely", {"type": "string"}),
    "products": ("Ids of exactly the products to process", _NAMES),
    "indices": (
        "Spectral indices, by name or as name=formula; NDVI by default, unless bands are named",
        _NAMES,
    ),
    "bands": ("Bands to deliver as reflectance", _NAMES),
    "resolution_m": ("Pixel size of the result", {"type": "number", "minimum": 1, "maximum": 10_000}),
    "resampling": (
        "Resampling of reflectance to a finer grid",
        {"type": "string", "enum": ["bilinear", "nearest"], "default": "bilinear"},
    ),
    "source": ("SPEC of the only source to take products from", {"type": "string"}),
    "start": ("Sensed at or after", _DAY),
    "end": ("Sensed at or before", _DAY),
    "level": (
        "Only this level, or any: L1C where there is no L2A; by default L2A, or L1C where no L2A is known",
        {"type": "string", "enum": ["L1C", "L2A", "any"]},
    ),
    "max_cloud": ("Maximum scene cloud cover, percent", _PERCENT),
    "min_clear": ("Minimum clear share, percent, of what min_clear_of says", _PERCENT),
    "min_clear_of": (
        "What min_clear is a percentage of: all pixels of the AOI, or the seen ones",
        {"type": "string", "enum": ["aoi", "seen"], "default": "aoi"},
    ),
    "min_coverage": ("Minimum share of the AOI that was seen, percent", _PERCENT),
    "per_tile": (
        "Whether each tile of a pass is a result of its own, instead of one result a pass",
        {"type": "boolean", "default": False},
    ),
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
    """The processSummary of the standard."""
    here = f"{root}/processes/{PROCESS_ID}"
    return {
        "id": PROCESS_ID,
        "version": "1.0.0",
        "title": "Order",
        "description": "Processes Sentinel-2 acquisitions over an area: bands, indices, cloud masks.",
        "jobControlOptions": ["async-execute", "dismiss"],
        "outputTransmission": list(TRANSMISSION_MODES),
        "links": [
            {"href": here, "rel": "self", "type": "application/json"},
            {"href": f"{here}/execution", "rel": EXECUTE_REL, "type": "application/json", "title": "Execute"},
        ],
    }


def description(root: str) -> dict[str, Any]:
    """The process of the standard: its summary, inputs and outputs."""
    return {**summary(root), "inputs": INPUTS, "outputs": OUTPUTS}


def landing_links(root: str) -> list[dict[str, str]]:
    """Links of the landing page."""
    return [
        {"href": f"{root}/", "rel": "self", "type": "application/json", "title": "This document"},
        {"href": f"{root}/", "rel": "alternate", "type": "text/html", "title": "Web page"},
        {
            "href": f"{root}/openapi.json",
            "rel": "service-desc",
            "type": "application/vnd.oai.openapi+json;version=3.1",
            "title": "OpenAPI document",
        },
        {"href": f"{root}/docs", "rel": "service-doc", "type": "text/html", "title": "API reference"},
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
