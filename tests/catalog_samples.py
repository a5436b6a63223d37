"""Products as a catalog holds them, real ones and such as a test thinks of."""

import random
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from data import shared_data
from revisit.domain.product import Product
from revisit.domain.product_name import ProductName
from revisit.errors import InvalidInputError
from revisit.geo.mgrs_tile import Tile
from revisit.ports.catalog import Page
from revisit.ports.catalog_schema import to_table

TURIN, ROME, TAVEUNI, SUVA = "32TLQ", "33TTG", "01KAB", "60KYG"
"""01KAB reaches across the antimeridian, 60KYG lies west of it and overlaps it."""
STAC_SOURCE, FOLDER_SOURCE = "stac:https://example.org/v1#sentinel-2-l2a", "folder:/archive"
TILES = (TURIN, ROME, TAVEUNI, SUVA, "32TMQ")
START = datetime(2024, 6, 1, 10, 30, tzinfo=UTC)


def product(number: int = 0, **fields) -> Product:
    tile = fields.pop("tile", TURIN)
    west, south, east, north = fields.pop("bounds", None) or bounds_of(tile)
    sensing_time = START + timedelta(days=number)
    return Product(
        **{
            "id": f"product-{number:03d}",
            "source": STAC_SOURCE,
            "level": "L2A",
            "platform": "S2A",
            "tile": tile,
            "sensing_time": sensing_time,
            "datatake": f"{sensing_time:%Y%m%dT%H%M%S}",
            "west": west,
            "south": south,
            "east": east,
            "north": north,
            **fields,
        }
    )


def bounds_of(tile: str) -> tuple[float, float, float, float]:
    parts = [shapely.bounds(part) for part in shapely.get_parts(Tile.parse(tile).footprint)]
    if len(parts) == 1:
        return tuple(map(float, parts[0]))
    return (
        max(part[0] for part in parts),
        min(part[1] for part in parts),
        min(part[2] for part in parts),
        max(part[3] for part in parts),
    )


def page_ids(page: Page) -> list[str]:
    return [found.id for found in page.products]


def add_products(catalog, *products: Product) -> int:
    return catalog.add(to_table(products))


def random_products(count: int, first: int = 0) -> list[Product]:
    rng = random.Random(first)
    return [
        product(number % 40, id=f"p{number}", tile=rng.choice(TILES), cloud_cover=float(number % 101))
        for number in range(first, first + count)
    ]


def duckdb_with(products: list[Product]) -> duckdb.DuckDBPyConnection:
    """A plain DuckDB that holds products as BigQuery does."""
    rows = to_table(products)
    rows = rows.append_column("position", pa.array(range(rows.num_rows))).append_column(
        "replaced", pa.array([False] * rows.num_rows)
    )
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    # A table of its own: filters pushed down into an Arrow table need pytz.
    connection.execute("CREATE TABLE product AS FROM rows")
    return connection


def real_products() -> list[Product]:
    """2,271 products as a real catalogue tells of them, reprocessed ones among them."""
    products = []
    for row in pq.read_table(shared_data("catalog", "cdse_products.parquet")).to_pylist():
        try:
            name = ProductName.parse(row["title"])
        except InvalidInputError:
            continue
        footprint = shapely.from_wkb(row["geometry"])
        west, south, east, north = footprint.bounds
        products.append(
            Product(
                id=str(name),
                source="stac:https://catalogue.dataspace.copernicus.eu#Sentinel2",
                level=name.level,
                platform=name.platform,
                tile=name.tile,
                sensing_time=datetime.fromisoformat(row["startDate"]),
                datatake=f"{name.datatake:%Y%m%dT%H%M%S}",
                west=west,
                south=south,
                east=east,
                north=north,
                cloud_cover=row["cloudCover"],
                relative_orbit=name.relative_orbit,
                baseline=name.baseline,
                published=datetime.fromisoformat(row["published"]),
                footprint=shapely.geometry.mapping(footprint),
            )
        )
    return products
