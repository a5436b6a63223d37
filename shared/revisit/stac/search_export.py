"""Export of items as CSV or as GeoParquet in the layout of stac-geoparquet 1.0 (GeoParquet 1.1)."""

import dataclasses
from collections.abc import Sequence
from io import BytesIO
from itertools import islice
from typing import Any

import msgspec

from revisit.domain.clock import parse_instant
from revisit.domain.job import Job, Statistics
from revisit.errors import InvalidInputError
from revisit.ports.backend import Backend
from revisit.presenters import documents
from revisit.presenters.csv_table import to_csv
from revisit.stac.item_search import MAX_ITEMS, SearchHit, find_items
from revisit.stac.search_query import ItemQuery

CSV_COLUMNS = (
    "id",
    "collection",
    "datetime",
    "published",
    "platform",
    "s2:mgrs_tile",
    "sat:relative_orbit",
    "s2:processing_baseline",
    "eo:cloud_cover",
    "revisit:acquisition",
    "revisit:source",
    "west",
    "south",
    "east",
    "north",
    "href",
)
"""Columns of CSV."""
RESULT_COLUMNS = (
    "revisit:state",
    "revisit:level",
    "revisit:product",
    "revisit:products",
    "revisit:baselines",
    "revisit:tiles",
    "revisit:mask",
    "revisit:coverage",
    "revisit:clear_fraction",
    "revisit:clear_of_aoi",
)
"""Further columns where results are exported, before the statistics of their indices and bands."""
_STRING_COLUMNS = (
    "title",
    "platform",
    "constellation",
    "grid:code",
    "proj:code",
    "processing:level",
    "s2:mgrs_tile",
    "s2:product_type",
    "s2:processing_baseline",
    "s2:product_uri",
    "revisit:acquisition",
    "revisit:source",
    "revisit:state",
    "revisit:product",
    "revisit:level",
    "revisit:mask",
)
_NUMBER_COLUMNS = (
    "eo:cloud_cover",
    "gsd",
    "revisit:clear_fraction",
    "revisit:clear_of_aoi",
    "revisit:coverage",
)
_LIST_COLUMNS = ("revisit:products", "revisit:tiles", "revisit:baselines")


def find_all_items(backend: Backend, query: ItemQuery, owner: str) -> list[SearchHit]:
    """All items that match a query.

    Raises:
        InvalidInputError: There are more than one file may hold.
    """
    found = list(islice(find_items(backend, query, owner), MAX_ITEMS + 1))
    if len(found) > MAX_ITEMS:
        raise InvalidInputError(
            f"more than {MAX_ITEMS:,} items match, which is more than a file takes; export a smaller place "
            "or a shorter period, one after the other"
        )
    return found


def items_to_csv(hits: Sequence[SearchHit]) -> str:
    """Items as CSV, one row each; results with the statistics of each index and band, as NDVI_mean."""
    named = dict.fromkeys(name for one in hits if one.job for name in (*one.job.indices, *one.job.bands))
    fields = [field.name for field in dataclasses.fields(Statistics)]
    statistics = [f"{name}_{field}" for name in named for field in fields]
    columns = (*CSV_COLUMNS, *RESULT_COLUMNS, *statistics) if any(one.job for one in hits) else CSV_COLUMNS

    def row(one: SearchHit) -> dict[str, Any]:
        west, south, east, north = _bounds(one)
        return {
            **one.values(),
            "west": west,
            "south": south,
            "east": east,
            "north": north,
            "href": one.product.href,
            **(_statistics_columns(one.job) if one.job else {}),
        }

    return to_csv([row(one) for one in hits], columns)


def _statistics_columns(job: Job) -> dict[str, float | None]:
    return {
        f"{name}_{field}": value
        for name, values in (job.indices | job.bands).items()
        for field, value in documents.statistics(values).items()
    }


def items_to_geoparquet(items: Sequence[dict[str, Any]]) -> bytes:
    """Items as GeoParquet, one row each: properties as columns, the geometry as WKB, nested values as
    structs."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import shapely
    from shapely.geometry import shape

    shapes = [shape(one["geometry"]) for one in items]
    box = pa.struct([(name, pa.float64()) for name in ("xmin", "ymin", "xmax", "ymax")])
    properties = [one["properties"] for one in items]
    columns: dict[str, Any] = {
        "type": pa.array(["Feature"] * len(items), pa.string()),
        "stac_version": pa.array([one["stac_version"] for one in items], pa.string()),
        "stac_extensions": pa.array([one["stac_extensions"] for one in items], pa.list_(pa.string())),
        "id": pa.array([one["id"] for one in items], pa.string()),
        "collection": pa.array([one["collection"] for one in items], pa.string()),
        "geometry": pa.array([shapely.to_wkb(one) for one in shapes], pa.binary()),
        "bbox": pa.array(
            [dict(zip(("xmin", "ymin", "xmax", "ymax"), one["bbox"], strict=True)) for one in items], box
        ),
        "links": pa.array(
            [
                [{name: link.get(name) for name in ("rel", "href", "type", "title")} for link in one["links"]]
                for one in items
            ],
            pa.list_(pa.struct([(name, pa.string()) for name in ("rel", "href", "type", "title")])),
        ),
        "assets": _assets_column(items),
    }
    for name in ("datetime", "published", "created"):
        columns[name] = pa.array(
            [parse_instant(one[name]) if one.get(name) else None for one in properties],
            pa.timestamp("us", "UTC"),
        )
    columns["instruments"] = pa.array([one.get("instruments") for one in properties], pa.list_(pa.string()))
    columns["sat:relative_orbit"] = pa.array(
        [one.get("sat:relative_orbit") for one in properties], pa.int32()
    )
    for names, kind in (
        (_STRING_COLUMNS, pa.string()),
        (_NUMBER_COLUMNS, pa.float64()),
        (_LIST_COLUMNS, pa.list_(pa.string())),
    ):
        columns |= {
            name: pa.array([one.get(name) for one in properties], kind)
            for name in names
            if any(name in one for one in properties)
        }
    kept = {
        name: column
        for name, column in columns.items()
        if name not in ("published", "created") or column.null_count < len(items)
    }
    metadata = {
        b"geo": msgspec.json.encode(
            {
                "version": "1.1.0",
                "primary_column": "geometry",
                "columns": {
                    "geometry": {
                        "encoding": "WKB",
                        "geometry_types": sorted({one.geom_type for one in shapes}),
                        "edges": "planar",
                        "covering": {
                            "bbox": {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}
                        },
                    }
                },
            }
        ),
        b"stac-geoparquet": msgspec.json.encode({"version": "1.0.0"}),
    }
    file = BytesIO()
    pq.write_table(pa.table(kept).replace_schema_metadata(metadata), file, compression="zstd")
    return file.getvalue()


def _assets_column(items: Sequence[dict[str, Any]]) -> Any:
    """Struct of the members that any item has, each a text."""
    import pyarrow as pa

    members = ("href", "type", "title")
    asset = pa.struct([*((name, pa.string()) for name in members), ("roles", pa.list_(pa.string()))])
    names = sorted({name for one in items for name in one["assets"]})
    if not names:
        return pa.nulls(len(items), pa.struct([("product", asset)]))
    rows = [
        {
            name: {member: known.get(member) for member in (*members, "roles")}
            if (known := one["assets"].get(name))
            else None
            for name in names
        }
        for one in items
    ]
    return pa.array(rows, pa.struct([(name, asset) for name in names]))


def _bounds(hit: SearchHit) -> tuple[float, float, float, float]:
    if hit.job:
        from revisit.domain.aoi import AOI

        return AOI.from_normalized(hit.job.aoi).bounds
    product = hit.product
    return product.west, product.south, product.east, product.north
