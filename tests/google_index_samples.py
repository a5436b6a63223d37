"""Google's index of its bucket as tests write it, and what is read from it."""

import csv
import gzip
import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from data import shared_data
from product_tables import to_products
from revisit.adapters.local.catalog import LocalCatalog
from revisit.adapters.sources.google_index import GoogleIndex
from revisit.domain.product import Product

NOW = datetime(2024, 9, 1, tzinfo=UTC)
COLUMNS = [
    "GRANULE_ID",
    "PRODUCT_ID",
    "DATATAKE_IDENTIFIER",
    "MGRS_TILE",
    "SENSING_TIME",
    "TOTAL_SIZE",
    "CLOUD_COVER",
    "GEOMETRIC_QUALITY_FLAG",
    "GENERATION_TIME",
    "NORTH_LAT",
    "SOUTH_LAT",
    "WEST_LON",
    "EAST_LON",
    "BASE_URL",
]
SAFE = "S2B_MSIL2A_20220125T105229_N0400_R051_T31UFS_20220125T151458"
"""A real product, whose metadata the shared data holds."""
SAFE_PATH = f"L2/tiles/31/U/FS/{SAFE}.SAFE"
ROW = {
    "PRODUCT_ID": SAFE,
    "MGRS_TILE": "31UFS",
    "DATATAKE_IDENTIFIER": "GS2B_20220125T105229_025536_N04.00",
    "BASE_URL": f"gs://gcp-public-data-sentinel-2/{SAFE_PATH}",
}
IMAGES = "GRANULE/L2A_T31UFS_A025531_20220125T105232/IMG_DATA"


def index_row(number: int = 0, tile: str = "32TQM", **cells: str) -> dict[str, str]:
    day = f"202406{1 + number % 28:02d}"
    name = f"S2A_MSIL2A_{day}T101031_N0510_R022_T{tile}_{day}T{150000 + number}"
    return {
        "GRANULE_ID": "L2A_T32TQM_A046700_20240601T101559",
        "PRODUCT_ID": name,
        "DATATAKE_IDENTIFIER": "GS2A_20240601T101031_046700_N05.10",
        "MGRS_TILE": tile,
        "SENSING_TIME": f"2024-06-{1 + number % 28:02d}T10:15:59.123000Z",
        "TOTAL_SIZE": "976842639",
        "CLOUD_COVER": "12.5",
        "GEOMETRIC_QUALITY_FLAG": "PASSED",
        "GENERATION_TIME": "2024-06-01T15:00:00.000000Z",
        "NORTH_LAT": "45.1",
        "SOUTH_LAT": "44.1",
        "WEST_LON": "11.4",
        "EAST_LON": "12.9",
        "BASE_URL": f"gs://gcp-public-data-sentinel-2/L2/tiles/{tile[:2]}/{tile[2]}/{tile[3:]}/{name}.SAFE",
    } | cells


def index_csv(*rows: dict[str, str], columns: list[str] = COLUMNS) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def write_index(folder: Path, content: bytes, name: str = "index.csv.gz") -> GoogleIndex:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return GoogleIndex(str(folder / name))


def all_unseen(ids) -> np.ndarray:
    return np.ones(len(ids), bool)


def list_products(source: GoogleIndex, state: dict | None = None, unseen=all_unseen):
    listing = source.list_products(state or {}, unseen, NOW)
    products = [product for table in listing.batches for product in to_products(table)]
    return listing, products


def refresh_catalog(source: GoogleIndex, catalog: LocalCatalog, state: dict | None = None):
    listing = source.list_products(state or {}, lambda ids: catalog.missing_mask(source.spec, ids), NOW)
    return listing, sum(catalog.add(batch) for batch in listing.batches)


def metadata_path() -> Path:
    return shared_data("safe", "cdse_31UFS", f"{SAFE}.SAFE", "MTD_MSIL2A.xml")


def check_bands(source: GoogleIndex, product: Product, root: str) -> None:
    bands = source.bands(product)
    assert {"B02", "B03", "B04", "B08", "B11", "B12", "SCL"} <= set(bands)
    for band, folder, resolution in (("B02", "R10m", "10m"), ("B11", "R20m", "20m"), ("SCL", "R20m", "20m")):
        assert (
            bands[band].href
            == f"{root}/{SAFE_PATH}/{IMAGES}/{folder}/T31UFS_20220125T105229_{band}_{resolution}.jp2"
        )
        assert bands[band].driver == "JP2OpenJPEG"
    assert (bands["B02"].scale, bands["B02"].offset) == (0.0001, pytest.approx(-0.1))
