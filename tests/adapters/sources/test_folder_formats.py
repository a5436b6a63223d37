"""Source folder:PATH on the forms in which items and products arrive: read, or rejected with the reason."""

import gzip
import io
import json
import shutil
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from data import shared_data
from product_tables import to_products
from revisit.adapters.local.backend import local_backend
from revisit.adapters.sources import item_file, open_source
from revisit.adapters.sources.folder import Folder
from revisit.chain.refresh import refresh_source
from revisit.domain.product import Product
from revisit.services.operations.doctor import check_sources
from revisit.services.operations.status import source_statuses

NAME = "S2A_MSIL2A_20180101T105441_N0206_R051_T31TDH_20180101T124911.SAFE"


def item(id: str, day: int) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": id,
        "collection": "sentinel-2-l2a",
        "geometry": None,
        "bbox": [3.0, 50.0, 4.0, 51.0],
        "properties": {"datetime": f"2021-06-{day:02d}T10:30:00Z", "s2:processing_baseline": "03.00"},
        "assets": {
            "B04": {
                "href": f"https://sentinel-cogs.s3.us-west-2.amazonaws.com/{id}/B04.tif",
                "type": "image/tiff",
            }
        },
        "links": [],
    }


ITEMS = [item(f"S2B_31UES_202106{day:02d}_0_L2A", day) for day in (1, 11)]


def read(path: Path) -> tuple[list[Product], dict[str, str]]:
    source = open_source(f"folder:{path}")
    assert isinstance(source, Folder)
    listing = source.list_products({}, lambda ids: np.ones(len(ids), bool), datetime(2024, 6, 1, tzinfo=UTC))
    products = [product for table in listing.batches for product in to_products(table)]
    for product in products:
        assert source.bands(product)["B04"].href.startswith("https://"), product.id
    return products, dict(listing.rejection_examples)


def lines(values: list[Any]) -> bytes:
    return b"\n".join(json.dumps(value).encode() for value in values) + b"\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("items.ndjson", lines(ITEMS)),
        ("items.json", json.dumps({"type": "FeatureCollection", "features": ITEMS}).encode("utf-16")),
        ("items.JSONL", b"\xef\xbb\xbf" + lines(ITEMS).replace(b"\n", b"\r\n\r\n")),
        ("items.geojsons", b"".join(b"\x1e" + lines([each]) for each in ITEMS)),
        ("items.ndjson.gz", gzip.compress(lines(ITEMS))),
        (
            "items.json.gz",
            gzip.compress(json.dumps({"type": "FeatureCollection", "features": ITEMS}).encode()),
        ),
    ],
)
def test_items_one_a_line_or_packed_are_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    products, rejected = read(tmp_path)
    assert [product.id for product in products] == [each["id"] for each in ITEMS] and not rejected


def test_other_lines_are_passed_over_and_a_damaged_one_is_named(tmp_path):
    (tmp_path / "fields.ndjson").write_bytes(
        lines([{"type": "Feature", "geometry": None, "id": 1}, 7, "S2B_"])
    )
    (tmp_path / "cut.ndjson").write_bytes(lines(ITEMS)[:-40])
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(lines(ITEMS))[:-40])
    (tmp_path / "bomb.json.gz").write_bytes(gzip.compress(b" " * 30_000_000))
    products, rejected = read(tmp_path)
    assert not products and sorted(rejected) == ["bomb.json.gz", "cut.json.gz", "cut.ndjson"]
    assert rejected["cut.ndjson"].startswith("line 2 is not JSON")
    assert (
        "cut off" in rejected["cut.json.gz"]
        and "unpacked it is larger than 20 MB" in rejected["bomb.json.gz"]
    )


def test_a_real_geoparquet_file_gives_the_products_that_its_columns_state(tmp_path):
    """Expected values read from the columns by pyarrow."""
    file = shared_data("stac/pc_1000_items.parquet")
    table = pq.read_table(file).slice(0, 40)
    pq.write_table(table, tmp_path / "items.parquet")
    pq.write_table(table.drop_columns(["assets"]), tmp_path / "points.parquet")
    products, rejected = read(tmp_path)
    assert not rejected
    columns = table.to_pydict()
    assert [product.id for product in products] == columns["id"]
    assert [product.tile for product in products] == columns["s2:mgrs_tile"]
    assert [product.sensing_time for product in products] == columns["datetime"]
    assert [product.cloud_cover for product in products] == columns["eo:cloud_cover"]
    assert {product.baseline for product in products} == {"0511", "0510"} & {
        text.replace(".", "") for text in columns["s2:processing_baseline"]
    }
    assert [(product.west, product.north) for product in products] == [
        pytest.approx((box["xmin"], box["ymax"]), abs=1e-6) for box in columns["bbox"]
    ]
    source = open_source(f"folder:{tmp_path}")
    band = source.bands(products[0])["B04"]
    assert band.href == columns["assets"][0]["B04"]["href"] and band.offset == -0.1


def test_a_file_that_is_no_parquet_or_too_large_is_rejected(tmp_path, monkeypatch):
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    _, rejected = read(tmp_path)
    assert rejected["cut.parquet"].startswith("it is not GeoParquet")
    shutil.copyfile(shared_data("stac/pc_1000_items.parquet"), tmp_path / "cut.parquet")
    monkeypatch.setattr(item_file.geoparquet_items, "MAX_ROWS", 999)
    _, rejected = read(tmp_path)
    assert rejected["cut.parquet"].startswith("it has 1,000 rows") and "split it" in rejected["cut.parquet"]


def test_features_that_name_products_and_are_no_items_are_rejected(tmp_path):
    """As the OpenSearch and OData services of CDSE, and programs that save their answers, write them."""
    found = {"type": "Feature", "geometry": None, "properties": {"title": NAME}, "id": "9c1e"}
    (tmp_path / "answer.json").write_text(
        json.dumps({"type": "FeatureCollection", "features": [*ITEMS, found]})
    )
    (tmp_path / "aoi.geojson").write_text(json.dumps({**found, "properties": {"title": "North field"}}))
    products, rejected = read(tmp_path)
    assert len(products) == 2
    assert list(rejected) == ["answer.json#9c1e"] and "is no STAC item" in rejected["answer.json#9c1e"]


def packed(names: list[str], mode: str) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode=mode) as opened:
        for name in names:
            opened.addfile(tarfile.TarInfo(name))
    return archive.getvalue()


def test_every_archive_of_a_product_is_rejected_with_the_remedy(tmp_path):
    stem = NAME.removesuffix(".SAFE")
    for name in (".7z", ".rar", ".SAFE.zip", ".SAFE.tar.zst", ".tbz2", ".SAFE.gz"):
        (tmp_path / f"{stem}{name}").touch()
    (tmp_path / "download.tar").write_bytes(packed([f"{NAME}/manifest.safe"], "w:"))
    (tmp_path / "download.tar.gz").write_bytes(packed([f"./{NAME}/", f"./{NAME}/manifest.safe"], "w:gz"))
    (tmp_path / "backup.tgz").write_bytes(packed(["home/notes.txt"], "w:gz"))
    (tmp_path / "broken.tar.gz").write_bytes(b"\x1f\x8b and no more")
    _, rejected = read(tmp_path)
    assert len(rejected) == 8 and "backup.tgz" not in rejected
    assert all(reason.endswith("; unpack it") for reason in rejected.values())


def test_products_and_images_without_their_metadata_are_rejected_once(tmp_path):
    image = "GRANULE/L2A_T31TDH_A013234_20180101T105435/IMG_DATA/R10m/T31TDH_20180101T105441_B04_10m.jp2"
    for folder in (NAME, "renamed"):
        (tmp_path / folder / image).parent.mkdir(parents=True)
        (tmp_path / folder / image).touch()
        (tmp_path / folder / "manifest.safe").touch()
    (tmp_path / NAME.replace(".SAFE", ".zarr") / "measurements").mkdir(parents=True)
    (tmp_path / NAME.replace(".SAFE", ".zarr") / ".zattrs.json").write_text("{}")
    (tmp_path / "bands").mkdir()
    for name in ("T31TDH_20180101T105441_B04_10m.jp2", "T31TDH_20180101T105441_B08_10m.jp2", "dem.tif"):
        (tmp_path / "bands" / name).touch()
    (tmp_path / "cogs").mkdir()
    (tmp_path / "cogs" / "S2B_31UES_20240601_0_L2A_B04.tif").touch()
    (tmp_path / "ndvi").mkdir()
    (tmp_path / "ndvi" / "NDVI_2024.tif").touch()
    _, rejected = read(tmp_path)
    assert {name: reason.split(";")[0] for name, reason in rejected.items()} == {
        NAME: "the product has no MTD_MSIL1C.xml or MTD_MSIL2A.xml",
        "renamed": "the product has no MTD_MSIL1C.xml or MTD_MSIL2A.xml",
        NAME.replace(".SAFE", ".zarr"): "a product in Zarr is not read",
        "bands/T31TDH_20180101T105441_B04_10m.jp2": "an image alone is not read, nor 1 more in its folder",
        "cogs/S2B_31UES_20240601_0_L2A_B04.tif": "an image alone is not read",
    }


@pytest.mark.parametrize("place", ["items", ".", "images"])
def test_images_that_items_may_name_are_no_fault(tmp_path, place):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "S2B_31UES_20240601_0_L2A_B04.tif").touch()
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "item.json").write_text(json.dumps(ITEMS[0]))
    assert not read(tmp_path)[1]


def test_a_catalog_whose_items_are_elsewhere_says_so(tmp_path):
    def catalog(name: str, *hrefs: str, **members: Any) -> None:
        links = [{"rel": "item", "href": href} for href in hrefs]
        document = {
            "type": "Catalog",
            "id": "sentinel-2-l2a",
            "stac_version": "1.0.0",
            "links": links,
        } | members
        (tmp_path / name).write_text(json.dumps(document))

    (tmp_path / "items").mkdir()
    for each in ITEMS:
        (tmp_path / "items" / f"{each['id']}.json").write_text(json.dumps(each))
    (tmp_path / "items" / "plain").write_text(json.dumps(ITEMS[0]))
    catalog("whole.json", *(f"./items/{each['id']}.json" for each in ITEMS), "items")
    catalog(
        "remote.json", "https://e.org/S2B_1.json", "https://e.org/S2B_2.json", f"items/{ITEMS[0]['id']}.json"
    )
    catalog("gone.json", "./items/gone.json")
    catalog("unnamed.json", "./items/plain")
    catalog("out.json", "../../elsewhere/item.json")
    catalog("other.json", "https://e.org/LC08_1.json", id="landsat")
    catalog("odd.json", type="Collection", links=[7, {"rel": "item"}, {"rel": "item", "href": "\0"}])
    products, rejected = read(tmp_path)
    assert len(products) == 2
    assert sorted(rejected) == ["gone.json", "odd.json", "out.json", "remote.json", "unnamed.json"]
    assert rejected["remote.json"] == (
        "it links to items that are not in this folder: 'https://e.org/S2B_1.json' and 1 more; copy them "
        "below it, or name a STAC API as the source (stac:URL#collection)"
    )


def test_refresh_status_and_doctor_name_what_is_not_read_until_it_is(tmp_path):
    archive, spec = tmp_path / "archive", f"folder:{tmp_path / 'archive'}"
    archive.mkdir()
    (archive / "items.ndjson").write_bytes(lines(ITEMS)[:-40])
    (archive / NAME.replace(".SAFE", ".tar")).touch()
    backend = local_backend(tmp_path / "data", sources=(spec,))
    reason = "line 2 is not JSON"
    assert reason in dict(refresh_source(backend, spec).rejection_examples)["items.ndjson"]
    [status] = source_statuses(backend)
    assert (
        status["rejected"] == 2
        and reason in {e["row"]: e["reason"] for e in status["rejections"]}["items.ndjson"]
    )
    [finding] = check_sources(backend, (spec,), "")
    assert (
        finding.ok
        and "2 of" in finding.message
        and reason in finding.message
        and "unpack it" in finding.message
    )
    (archive / "items.ndjson").write_bytes(lines(ITEMS))
    (archive / NAME.replace(".SAFE", ".tar")).unlink()
    assert refresh_source(backend, spec).new == 2
    assert source_statuses(backend)[0]["rejections"] == []
    assert "was refreshed at" in next(check_sources(backend, (spec,), "")).message
