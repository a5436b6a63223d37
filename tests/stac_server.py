"""A scripted local STAC API with items in the form of Earth Search v1.

Real answers are recorded in the shared data; `load_recording` looks for them, and is called by a test itself:
where they are missing it skips the
test, which a thread of the server cannot.
"""

import gzip
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from data import shared_data
from product_tables import to_products
from revisit.domain.product import Product
from revisit.geo.mgrs_tile import Tile
from revisit.ports.catalog_schema import SCHEMA
from revisit.ports.sources import Listing

NOW = datetime(2020, 3, 6, 12, tzinfo=UTC)
Answer = tuple[int, bytes, dict[str, str]]


class Server:
    """A STAC API on this computer that answers by a script, then by its function."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        """Method, path, body."""
        self.script: list[Answer | Callable[[Any], Answer]] = []
        """Answers given first."""
        self.answer: Callable[[str, Any], Answer] = lambda path, body: json_response(feature_collection([]))
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.reply(json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def do_GET(self) -> None:
                self.reply(None)

            def reply(self, body: Any) -> None:
                outer.requests.append((self.command, self.path, body))
                scripted = outer.script.pop(0) if outer.script else None
                status, content, headers = (
                    scripted(body) if callable(scripted) else scripted
                ) or outer.answer(self.path, body)
                self.send_response(status)
                for name, value in ({"content-length": str(len(content))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def bodies(self) -> list[Any]:
        return [body for method, _, body in self.requests if method == "POST"]


def json_response(value: Any, status: int = 200, **headers: str) -> Answer:
    return status, json.dumps(value).encode(), headers


def feature_collection(features: list[Any], **more: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features, "links": [], **more}


def load_recording(name: str) -> dict[str, Any]:
    path = shared_data("stac", name)
    read = json.loads(gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_text())
    if "response" in read:
        read = read["response"].get("body", read["response"])
        read = json.loads(read) if isinstance(read, str) else read
    return read


PASSES = (
    (datetime(2020, 3, 5, 10, 37, 41, 587_000, tzinfo=UTC), 108, 24558),
    (datetime(2020, 3, 2, 10, 27, 44, 564_000, tzinfo=UTC), 65, 24515),
)
"""When two passes were sensed at their first tile, in which relative and which absolute orbit."""
TILES = ("32TMT", "32TNT", "32UMU", "32UNU")
COGS = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/sentinel-s2-l2a-cogs"
ASSETS = {
    "blue": ("B02", 10),
    "red": ("B04", 10),
    "nir": ("B08", 10),
    "swir16": ("B11", 20),
    "scl": ("SCL", 20),
}


def item_of(
    tile: str, day: datetime, sequence: int, orbit: int = 108, absolute: int = 24558
) -> dict[str, Any]:
    """An item of our own as Earth Search v1 lays it out: the first processing has sequence 0, baseline 02.14;
    the second 1 and 05.00."""
    id = f"S2A_{tile}_{day:%Y%m%d}_{sequence}_L2A"
    baseline, made_at = (
        ("05.00", datetime(2023, 6, 30, 2, 24, 13, tzinfo=UTC))
        if sequence
        else ("02.14", day + timedelta(hours=3))
    )
    start = day.replace(second=21, minute=day.minute - 7)
    west, south, east, north = map(float, Tile.parse(tile).footprint.bounds)
    folder = f"{COGS}/{tile[:2]}/{tile[2]}/{tile[3:]}/{day.year}/{day.month}/{id}"
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": id,
        "collection": "sentinel-2-l2a",
        "bbox": [west, south, east, north],
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[west, north], [west, south], [east, south], [east, north], [west, north]]],
        },
        "properties": {
            "datetime": f"{day:%Y-%m-%dT%H:%M:%S.%fZ}",
            "created": "2024-06-29T14:00:00.000Z",
            "updated": "2024-06-29T14:00:00.000Z",
            "platform": "sentinel-2a",
            "constellation": "sentinel-2",
            "instruments": ["msi"],
            "eo:cloud_cover": 12.5,
            "proj:epsg": 32632,
            "mgrs:utm_zone": int(tile[:2]),
            "mgrs:latitude_band": tile[2],
            "mgrs:grid_square": tile[3:],
            "grid:code": f"MGRS-{tile}",
            "s2:processing_baseline": baseline,
            "s2:product_type": "S2MSI2A",
            "s2:sequence": str(sequence),
            "earthsearch:boa_offset_applied": sequence == 1,
            "s2:product_uri": f"S2A_MSIL2A_{start:%Y%m%dT%H%M%S}_N{baseline.replace('.', '')}_R{orbit:03d}"
            f"_T{tile}_{made_at:%Y%m%dT%H%M%S}.SAFE",
            "s2:datatake_id": f"GS2A_{start:%Y%m%dT%H%M%S}_{absolute:06d}_N{baseline}",
            "s2:generation_time": f"{made_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        },
        "links": [
            {
                "rel": "self",
                "type": "application/geo+json",
                "href": f"https://earth-search.aws.element84.com/v1/collections/sentinel-2-l2a/items/{id}",
            }
        ],
        "assets": {
            name: {
                "href": f"{folder}/{band}.tif",
                "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                "title": band,
                "roles": ["data", "reflectance"],
                "proj:shape": [109_800 // metres] * 2,
                "raster:bands": [
                    {"nodata": 0, "data_type": "uint8", "spatial_resolution": metres}
                    if band == "SCL"
                    else {
                        "nodata": 0,
                        "data_type": "uint16",
                        "spatial_resolution": metres,
                        "scale": 0.0001,
                        "offset": -0.1 if sequence else 0,
                    }
                ],
            }
            for name, (band, metres) in ASSETS.items()
        },
    }


ITEMS = [
    item_of(tile, sensed - timedelta(seconds=5 * place, milliseconds=1 - sequence), sequence, orbit, absolute)
    for sensed, orbit, absolute in PASSES
    for place, tile in enumerate(TILES)
    for sequence in (1, 0)
]
"""Two passes over four tiles, each processed twice: latest first."""


def paged(items: list[dict[str, Any]]) -> dict[str, Any]:
    """A page of items whose link names what comes after its last one."""
    last = items[-1]
    following = {
        "collections": ["sentinel-2-l2a"],
        "bbox": [9, 47, 10, 48],
        "next": f"{last['properties']['datetime']},{last['id']},sentinel-2-l2a",
    }
    link = {
        "rel": "next",
        "title": "Next page of Items",
        "method": "POST",
        "merge": False,
        "type": "application/geo+json",
        "href": "https://earth-search.aws.element84.com/v1/search",
        "body": following,
    }
    return feature_collection(
        items,
        links=[link],
        numberMatched=len(ITEMS),
        numberReturned=len(items),
        context={"limit": 10, "matched": len(ITEMS), "returned": len(items)},
    )


def answering(first: Any, second: Any) -> Callable[[str, Any], Answer]:
    """As Earth Search answers: two pages with tokens, whose second still names a next one, which is empty."""
    token = {None: first, first["links"][0]["body"]["next"]: second}

    def answer(path: str, body: Any) -> Answer:
        assert body["collections"] == ["sentinel-2-l2a"]
        return json_response(token.get(body.get("next"), feature_collection([])))

    return answer


answer_two_pages = answering(paged(ITEMS[:10]), paged(ITEMS[10:]))


def all_unseen(ids: Any) -> Any:
    return np.ones(len(ids), dtype=bool)


def listed_products(listing: Listing) -> list[Product]:
    tables = list(listing.batches)
    assert all(table.schema == SCHEMA and 0 < table.num_rows <= 10_000 for table in tables)
    return [product for table in tables for product in to_products(table)]


def make_item(number: int, day: datetime = NOW) -> dict[str, Any]:
    """An item that differs from others by its number."""
    item = item_of("32TMT", PASSES[0][0], 1)
    item["id"] = f"S2A_32TMT_20200305_{number}_L2A"
    item["properties"]["datetime"] = day.isoformat()
    return item
