"""Products as a catalog holds them: single ones, made catalogues and a real one."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from data import has_shared_data, shared_data
from revisit.adapters.local.catalog import LocalCatalog
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
CATALOGUE_SOURCE = "stac:https://catalogue.dataspace.copernicus.eu#Sentinel2"
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


def sample_products() -> list[Product]:
    """Some 2,300 products of many tiles and years: the real ones where the shared data is, else made ones."""
    return real_products() if has_shared_data("catalog", "cdse_products.parquet") else made_products()


def made_products() -> list[Product]:
    """2,244 products in the shape of the real ones: one tile through five years, and one further tile.

    Each acquisition has both levels, each level two processings, each footprint the edge of another swath.
    """
    rng = random.Random(7)
    first = datetime(2018, 3, 27, 10, 50, 19, tzinfo=UTC)
    acquisitions = [("31UFS", first + timedelta(days=3 * turn)) for turn in range(-220, 340)]
    acquisitions.append(("34TES", first + timedelta(days=100)))
    return [
        made
        for number, (tile, sensed) in enumerate(acquisitions)
        for made in _made_acquisition(tile, sensed, "S2A" if number % 2 else "S2B", rng)
    ]


def _made_acquisition(tile: str, sensed: datetime, platform: str, rng: random.Random) -> Iterator[Product]:
    outline = Tile.parse(tile).footprint
    west, south, east, north = shapely.bounds(outline)
    edge = west + (east - west) * rng.uniform(-0.3, 0.9)
    footprint = shapely.intersection(outline, shapely.box(edge, south, east, north))
    bounds = dict(zip(("west", "south", "east", "north"), map(float, shapely.bounds(footprint)), strict=True))
    cloud = round(rng.uniform(0, 100), 6)
    for baseline, delay in (("0206", timedelta(hours=3)), ("0500", timedelta(days=1900))):
        for level in ("L1C", "L2A"):
            made = sensed + delay
            name = ProductName.parse(
                f"{platform}_MSI{level}_{sensed:%Y%m%dT%H%M%S}_N{baseline}_R051_T{tile}_{made:%Y%m%dT%H%M%S}"
            )
            yield Product(
                id=str(name),
                source=CATALOGUE_SOURCE,
                level=level,
                platform=platform,
                tile=tile,
                sensing_time=sensed + timedelta(milliseconds=24),
                datatake=f"{sensed:%Y%m%dT%H%M%S}",
                cloud_cover=cloud,
                relative_orbit=name.relative_orbit,
                baseline=baseline,
                published=made + timedelta(hours=2),
                footprint=shapely.geometry.mapping(footprint),
                **bounds,
            )


def real_products() -> list[Product]:
    """2,271 products of a real catalogue, reprocessed ones among them."""
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
                source=CATALOGUE_SOURCE,
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


def merge_segments(catalog: LocalCatalog) -> None:
    """Merge the index of a catalog into one segment, as after many refreshes."""
    with catalog._write_lock():
        catalog._index.update(catalog._log, merge_all=True)
        catalog._log.merge_short_segments()
