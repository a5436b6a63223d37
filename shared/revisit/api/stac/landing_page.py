"""The STAC landing page, the conformance classes, the collections and their queryables."""

from typing import Any

from flask import Response
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import RequestContext, Route
from revisit.api.stac.serializer import json_response, link, root_links, root_url
from revisit.domain.bands import BANDS, SPECTRAL_BANDS
from revisit.domain.product import Level
from revisit.errors import NotFoundError
from revisit.stac.cql2 import PROPERTIES
from revisit.stac.product_item import COLLECTIONS
from revisit.stac.search_query import RESULTS_COLLECTION

_STAC_API = "https://api.stacspec.org/v1.0.0"
_OGC = "http://www.opengis.net/spec"
CONFORMS_TO = (
    f"{_STAC_API}/core",
    f"{_STAC_API}/collections",
    f"{_STAC_API}/ogcapi-features",
    f"{_STAC_API}/item-search",
    f"{_STAC_API}/browseable",
    f"{_STAC_API}/item-search#fields",
    f"{_STAC_API}/item-search#sort",
    "https://api.stacspec.org/v1.0.0-rc.3/item-search#filter",
    f"{_STAC_API}/ogcapi-features#fields",
    f"{_STAC_API}/ogcapi-features#sort",
    f"{_OGC}/ogcapi-features-1/1.0/conf/core",
    f"{_OGC}/ogcapi-features-1/1.0/conf/geojson",
    f"{_OGC}/ogcapi-features-1/1.0/conf/oas30",
    f"{_OGC}/ogcapi-features-3/1.0/conf/filter",
    f"{_OGC}/ogcapi-features-3/1.0/conf/features-filter",
    f"{_OGC}/cql2/1.0/conf/cql2-text",
    f"{_OGC}/cql2/1.0/conf/cql2-json",
    f"{_OGC}/cql2/1.0/conf/basic-cql2",
    f"{_OGC}/cql2/1.0/conf/advanced-comparison-operators",
    f"{_OGC}/cql2/1.0/conf/basic-spatial-functions",
    f"{_OGC}/cql2/1.0/conf/basic-spatial-functions-plus",
    f"{_OGC}/cql2/1.0/conf/spatial-functions",
)
"""Conformance classes, each held by a test."""

_COLLECTION_TEXTS: dict[Level, tuple[str, str]] = {
    "L1C": (
        "Sentinel-2 L1C",
        "Top-of-atmosphere reflectance; one Item per product: one tile, sensing time and baseline.",
    ),
    "L2A": (
        "Sentinel-2 L2A",
        "Surface reflectance and scene classification; one Item per product, as in Sentinel-2 L1C.",
    ),
}
_SCHEMA_MEDIA_TYPE = "application/schema+json"
QUERYABLES_REL = "http://www.opengis.net/def/rel/ogc/1.0/queryables"


def landing(context: RequestContext) -> Response:
    del context
    search = f"{root_url()}/search"
    return json_response(
        {
            "type": "Catalog",
            "stac_version": "1.1.0",
            "id": "revisit",
            "title": "Revisit",
            "description": "Sentinel-2 products known to Revisit, and your results.",
            "conformsTo": list(CONFORMS_TO),
            "links": [
                *root_links(root_url()),
                link("data", f"{root_url()}/collections"),
                link("conformance", f"{root_url()}/conformance"),
                link("search", search, "application/geo+json", method="GET", title="Search"),
                link("search", search, "application/geo+json", method="POST", title="Search"),
                link(QUERYABLES_REL, f"{root_url()}/queryables", _SCHEMA_MEDIA_TYPE),
                link("service-desc", f"{root_url().removesuffix('/stac')}/openapi.json"),
                link("service-doc", f"{root_url().removesuffix('/stac')}/docs", "text/html"),
                *(
                    link("child", f"{root_url()}/collections/{one['id']}", title=one["title"])
                    for one in _collections()
                ),
            ],
        }
    )


def conformance(context: RequestContext) -> Response:
    del context
    return json_response({"conformsTo": list(CONFORMS_TO)})


def collections(context: RequestContext) -> Response:
    del context
    return json_response({"collections": _collections(), "links": root_links(f"{root_url()}/collections")})


def collection(context: RequestContext, id: str) -> Response:
    del context
    return json_response(
        next((one for one in _collections() if one["id"] == id), None) or _raise_not_found(id)
    )


def queryables(context: RequestContext, id: str = "") -> ResponseReturnValue:
    """The properties that a filter can name, as a JSON schema."""
    del context
    if id and id not in (*COLLECTIONS.values(), RESULTS_COLLECTION):
        _raise_not_found(id)
    known = {
        one.name: one for one in PROPERTIES.values() if id in ("", RESULTS_COLLECTION) or not one.results_only
    }
    types = {
        "text": {"type": "string"},
        "number": {"type": "number"},
        "instant": {"type": "string"},
        "geometry": {"$ref": "https://geojson.org/schema/Geometry.json"},
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{root_url()}/{f'collections/{id}/' if id else ''}queryables",
        "type": "object",
        "title": f"Queryables of {id or 'all collections'}",
        "properties": {
            name: {"title": one.title, **types[one.kind], **one.schema} for name, one in known.items()
        },
        "additionalProperties": False,
    }
    return json_response(schema, _SCHEMA_MEDIA_TYPE)


def _raise_not_found(id: str) -> Any:
    raise NotFoundError(f"there is no collection {id[:80]!r}; /stac/collections lists them")


def _collections() -> list[dict[str, Any]]:
    return [
        *(_product_collection(level) for level in reversed(_COLLECTION_TEXTS)),
        _collection_document(
            RESULTS_COLLECTION,
            "Results",
            "Your results: one Item per finished job.",
            {"platform": [], "constellation": ["sentinel-2"], "instruments": ["msi"]},
        ),
    ]


def _product_collection(level: Level) -> dict[str, Any]:
    title, description = _COLLECTION_TEXTS[level]
    bands = [
        name
        for name in BANDS
        if (level == "L2A" and name != "B10") or (name in SPECTRAL_BANDS and level == "L1C")
    ]
    assets = {
        name: {
            "title": name,
            "type": "image/jp2",
            "roles": ["data"],
            "gsd": BANDS[name].resolution_m,
            "bands": [
                {"name": name}
                | ({"eo:common_name": BANDS[name].common_name} if name in SPECTRAL_BANDS else {})
            ],
        }
        for name in bands
    }
    document = _collection_document(
        COLLECTIONS[level],
        title,
        description,
        {
            "constellation": ["sentinel-2"],
            "instruments": ["msi"],
            "gsd": [10, 20, 60],
            "s2:product_type": [f"S2MSI{level[1:]}"],
        },
    )
    return document | {
        "keywords": ["sentinel", "copernicus", "esa", "satellite", level.lower()],
        "item_assets": assets,
        "providers": [
            {
                "name": "ESA",
                "roles": ["producer", "processor", "licensor"],
                "url": "https://sentinels.copernicus.eu",
            },
            {"name": "Revisit", "roles": ["host"]},
        ],
    }


def _collection_document(
    id: str, title: str, description: str, summaries: dict[str, list[Any]]
) -> dict[str, Any]:
    collection_url = f"{root_url()}/collections/{id}"
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": id,
        "title": title,
        "description": description,
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[-180.0, -90.0, 180.0, 90.0]]},
            "temporal": {"interval": [["2015-06-23T00:00:00Z", None]]},
        },
        "summaries": {name: values for name, values in summaries.items() if values},
        "links": [
            *root_links(collection_url),
            link("parent", root_url()),
            link("items", f"{collection_url}/items", "application/geo+json"),
            link(QUERYABLES_REL, f"{collection_url}/queryables", _SCHEMA_MEDIA_TYPE),
            *(
                [
                    link(
                        "license",
                        "https://sentinels.copernicus.eu/documents/247904/690755/Sentinel_Data_Legal_Notice",
                        "application/pdf",
                    )
                ]
                if id != RESULTS_COLLECTION
                else []
            ),
        ],
    }


ROUTES = (
    Route("GET", "/stac", landing),
    Route("GET", "/stac/conformance", conformance),
    Route("GET", "/stac/collections", collections),
    Route("GET", "/stac/collections/<id>", collection),
    Route("GET", "/stac/queryables", queryables),
    Route("GET", "/stac/collections/<id>/queryables", queryables),
)
