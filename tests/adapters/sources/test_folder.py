"""Source folder:PATH on the real archive, real SAFE trees, and damaged folders."""

import json
import os
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data import shared_data
from product_tables import to_products
from revisit.adapters.local.backend import local_backend
from revisit.adapters.sources import open_source
from revisit.adapters.sources.folder import Folder
from revisit.chain.refresh import refresh_source
from revisit.domain.product import Product
from revisit.errors import InvalidInputError, PermanentError, TransientError
from revisit.ports.catalog import Query
from revisit.ports.catalog_schema import SCHEMA
from revisit.ports.sources import Listing
from revisit.ports.system_records import SourceState

NOW = datetime(2024, 6, 1, tzinfo=UTC)


def all_unseen(ids: Sequence[str]) -> Any:
    return np.ones(len(ids), dtype=bool)


def none_unseen(ids: Sequence[str]) -> Any:
    return np.zeros(len(ids), dtype=bool)


def unseen_but(*known: str) -> Callable[[Sequence[str]], Any]:
    return lambda ids: np.array([id not in known for id in ids])


def read(
    source: Folder, state: dict[str, Any] | None = None, unseen: Callable[[Any], Any] = all_unseen
) -> tuple[list[Product], Listing]:
    listing = source.list_products(json.loads(json.dumps(state or {})), unseen, NOW)
    tables = list(listing.batches)
    assert all(table.schema == SCHEMA and table.num_rows <= 10_000 for table in tables)
    return [product for table in tables for product in to_products(table)], listing


def folder(path: Path) -> Folder:
    source = open_source(f"folder:{path}")
    assert isinstance(source, Folder)
    return source


def item(path: Path, id: str, band: str = "./B04.tif", **properties: Any) -> Path:
    """Write a STAC item with one band beside it."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "B04.tif").write_bytes(b"II*\0")
    square = [[[4.0, 51.0], [5.0, 51.0], [5.0, 52.0], [4.0, 52.0], [4.0, 51.0]]]
    (path / f"{id}.json").write_text(
        json.dumps(
            {
                "type": "Feature",
                "stac_version": "1.1.0",
                "id": id,
                "collection": "sentinel-2-l2a",
                "bbox": [4, 51, 5, 52],
                "links": [],
                "geometry": {"type": "Polygon", "coordinates": square},
                "properties": {
                    "datetime": "2024-06-01T10:30:00Z",
                    "platform": "sentinel-2b",
                    "grid:code": "MGRS-31UES",
                }
                | properties,
                "assets": {
                    "red": {
                        "href": band,
                        "type": "image/tiff",
                        "raster:bands": [{"scale": 1e-4, "offset": -0.1}],
                    }
                },
            }
        )
    )
    return path / f"{id}.json"


# ---- real data


def test_the_real_archive_gives_its_34_products_and_none_of_sentinel_1():
    archive = shared_data("archive")
    source = folder(archive)
    products, listing = read(source)
    assert (len(products), listing.rows, listing.rejection_count) == (34, 34, 0)
    expected = json.loads((archive / "expected.json").read_text())
    ids = {path.parent.name for path in archive.glob("sentinel-2-*/*/*.json")}
    assert {product.id for product in products} == ids
    assert "S2A_31UES_20231002_L2A_crop" in ids
    assert expected

    gfmap = {"B02", "B03", "B04", "B08", "SCL"}, {0.0}
    bands = {
        "31UES": gfmap,
        "31UFS": ({"B01", "B04", "B08", "B11", "SCL", "AOT"}, {0.0}),
        "31TDH": ({"B01"}, {0.0}),
        "29RKH": ({"B02", "B03", "B04", "B05", "B08", "B8A", "B11", "B12", "SCL", "AOT"}, {0.0}),
        "33NZA": (
            {"B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"},
            {-0.1},
        ),
    }
    assert Counter(product.tile for product in products) == {
        "31UES": 19,
        "31UFS": 12,
        "31TDH": 1,
        "29RKH": 1,
        "33NZA": 1,
    }
    for product in products:
        files = source.bands(product)
        assert (set(files), {file.offset for file in files.values()}) == bands[product.tile]
        assert all(
            Path(file.href).is_file() and Path(file.href).is_relative_to(archive.resolve())
            for file in files.values()
        )
        assert {name: file.scale for name, file in files.items() if name in ("SCL", "AOT")}.items() <= {
            "SCL": 1.0,
            "AOT": 0.001,
        }.items()
    by_tile = {product.tile: product for product in products}
    assert by_tile["33NZA"].cloud_cover is None
    assert by_tile["29RKH"].datatake == "20200219T112111"
    assert by_tile["31TDH"].published == datetime(2018, 1, 1, 12, 49, 11, tzinfo=UTC)


def test_a_second_listing_of_the_archive_reads_nothing_and_adds_nothing(monkeypatch):
    source = folder(shared_data("archive"))
    _, first = read(source)
    monkeypatch.setattr(source, "_read_directory", lambda place, _: pytest.fail(f"{place} was read again"))
    products, second = read(source, first.state, none_unseen)
    assert (products, second.rows, second.state) == ([], 34, first.state)


def test_a_catalog_that_lost_its_products_receives_them_again():
    source = folder(shared_data("archive"))
    _, first = read(source)
    products, again = read(source, first.state)
    assert (len(products), again.state) == (34, first.state)


def test_a_catalog_that_has_all_products_receives_no_batch():
    source = folder(shared_data("archive"))
    known = [product.id for product in read(source)[0]]
    products, listing = read(source, unseen=unseen_but(*known))
    assert (products, listing.rows) == ([], 34)
    assert [product.id for product in read(source, unseen=unseen_but(*known[1:]))[0]] == known[:1]


def test_a_real_safe_product_is_found_and_its_jp2_opens():
    import rasterio

    name = "S2A_MSIL1C_20180101T105441_N0206_R051_T31TDH_20180101T124911"
    source = folder(shared_data("safe", f"{name}.SAFE").parent)
    products, listing = read(source)
    assert [product.id for product in products] == [name]
    assert products[0].sensing_time == datetime(2018, 1, 1, 10, 54, 35, 457000, tzinfo=UTC)
    files = source.bands(products[0])
    assert set(files) == {"B01"}
    with rasterio.open(files["B01"].href, driver=files["B01"].driver) as band:
        assert (band.width, band.height, band.crs.to_epsg()) == (1830, 1830, 32631)
    # The other trees hold metadata without images; items of files that are not there are no better.
    assert listing.rejection_count == 24
    assert all(
        "missing" in reason or "none of the image files" in reason for _, reason in listing.rejection_examples
    )


def test_a_folder_may_hold_a_safe_tree_and_a_catalog(tmp_path):
    name = "S2A_MSIL1C_20180101T105441_N0206_R051_T31TDH_20180101T124911.SAFE"
    shutil.copytree(shared_data("safe", name), tmp_path / "2018" / "01" / name)
    archive = shared_data("archive")
    shutil.copytree(archive / "sentinel-2-l2a" / "S2A_31UES_20231002_L2A_crop", tmp_path / "items")
    (tmp_path / "notes.json").write_text('{"type": "FeatureCollection", "features": []}')
    products, listing = read(folder(tmp_path))
    assert [product.id for product in products] == [name.removesuffix(".SAFE"), "S2A_31UES_20231002_L2A_crop"]
    assert listing.rejection_count == 0


# ---- changes


def test_a_product_added_later_is_found_without_reading_the_others(tmp_path, monkeypatch):
    item(tmp_path / "a", "first")
    source = folder(tmp_path)
    _, before = read(source)
    item(tmp_path / "b" / "c", "second")
    opened = []
    monkeypatch.setattr(
        source,
        "_read_directory",
        lambda place, listing, real=source._read_directory: (
            opened.append(place.path.name) or real(place, listing)
        ),
    )
    products, after = read(source, before.state, unseen_but("first"))
    assert [product.id for product in products] == ["second"]
    assert (opened, after.rows) == (["c"], 2)


def test_a_rewritten_item_is_read_again(tmp_path):
    path = item(tmp_path / "a", "first")
    source = folder(tmp_path)
    _, before = read(source)
    item(tmp_path / "a", "first", **{"eo:cloud_cover": 7})
    os.utime(path, ns=(1, 1))
    products, _ = read(source, before.state)
    assert products[0].cloud_cover == 7


def test_a_safe_product_still_being_copied_is_found_when_its_images_are_there(tmp_path):
    name = "S2A_MSIL1C_20180101T105441_N0206_R051_T31TDH_20180101T124911.SAFE"
    shutil.copytree(shared_data("safe", name), tmp_path / name, ignore=shutil.ignore_patterns("*.jp2"))
    source = folder(tmp_path)
    products, before = read(source)
    assert (products, before.rejection_examples[0][0]) == ([], name)
    image = next(shared_data("safe", name).rglob("*.jp2"))
    (tmp_path / name / image.relative_to(shared_data("safe", name))).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(image, tmp_path / name / image.relative_to(shared_data("safe", name)))
    assert len(read(source, before.state)[0]) == 1


def test_a_broken_item_is_reported_by_every_listing_and_skipped(tmp_path):
    item(tmp_path / "a", "good")
    (tmp_path / "a" / "broken.json").write_text('{"type": "Feature", "stac')
    (tmp_path / "a" / "binary.json").write_bytes(b"\xff\xfe\0")
    (tmp_path / "a" / "deep.json").write_text("[" * 100_000)
    item(tmp_path / "a", "timeless", datetime="never")
    item(tmp_path / "a", "bandless", "./gone.tif")
    source = folder(tmp_path)
    products, listing = read(source)
    assert [product.id for product in products] == ["good"]
    assert {Path(name).name for name, _ in listing.rejection_examples} == {
        "broken.json",
        "binary.json",
        "deep.json",
        "timeless.json",
        "bandless.json",
    }
    again, second = read(source, listing.state, unseen_but("good"))
    assert (again, second.rows, second.rejection_count) == ([], 1, 5)


def test_an_emptied_folder_is_an_error_and_an_empty_one_is_not(tmp_path):
    source = folder(tmp_path)
    products, listing = read(source)
    assert (products, listing.rows) == ([], 0)
    item(tmp_path / "a", "first")
    _, before = read(source, listing.state)
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(PermanentError, match="had 1 products before"):
        read(source, before.state)
    tmp_path.rmdir()
    with pytest.raises(PermanentError, match="there is no folder"):
        read(source, before.state)


# ---- limits


@pytest.mark.parametrize(
    "href",
    [
        "../outside/B04.tif",
        "/etc/hosts.tif",
        "a/../../outside/B04.tif",
        "link/B04.tif",
        "http://127.0.0.1:9/B04.tif",
        "https://evil.example/B04.tif",
        "/vsicurl/https://evil.example/B04.tif",
        "file:///etc/hosts.tif",
        "NETCDF:B04.tif",
        "B04\0.tif",
        "~/B04.tif",
        "x" * 5000 + ".tif",
        "loop/B04.tif",
    ],
)
def test_a_band_outside_the_folder_is_refused(tmp_path, href):
    inside = tmp_path / "inside"
    item(tmp_path / "outside", "elsewhere")
    path = item(inside / "a", "first", href)
    (inside / "a" / "link").symlink_to(tmp_path / "outside")
    (inside / "a" / "loop").symlink_to(inside / "a" / "loop")
    products, listing = read(folder(inside))
    assert products == []
    assert any(name.endswith(path.name) for name, _ in listing.rejection_examples)
    with pytest.raises(PermanentError, match=r"no band of first\.json can be read"):
        folder(inside).bands(Product("first", "", "L2A", "S2B", "31UES", NOW, "", 0, 0, 0, 0, href=str(path)))


def test_a_band_in_a_public_bucket_may_be_named_by_a_local_item(tmp_path):
    item(
        tmp_path,
        "first",
        "https://sentinel-cogs.s3.us-west-2.amazonaws.com/sentinel-s2-l2a-cogs/31/U/ES/x/B04.tif",
    )
    source = folder(tmp_path)
    (product,), _ = read(source)
    assert source.bands(product)["B04"].href.startswith("https://sentinel-cogs.")


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    item(tmp_path / "outside", "elsewhere")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "linked").symlink_to(tmp_path / "outside")
    (tmp_path / "inside" / "item.json").symlink_to(tmp_path / "outside" / "elsewhere.json")
    products, listing = read(folder(tmp_path / "inside"))
    assert products == []
    assert dict(listing.rejection_examples).keys() == {"linked", "item.json"}
    with pytest.raises(PermanentError, match="leads out"):
        folder(tmp_path / "inside").bands(
            Product(
                "x",
                "",
                "L2A",
                "S2B",
                "31UES",
                NOW,
                "",
                0,
                0,
                0,
                0,
                href=str(tmp_path / "outside" / "elsewhere.json"),
            )
        )


def test_a_folder_that_may_not_be_read_is_reported_and_a_disk_that_fails_is_a_retry(tmp_path, monkeypatch):
    """The tests may run as root, who may read everything: the refusal comes from a stand-in."""
    item(tmp_path / "a", "good")
    (tmp_path / "z").mkdir()
    outcome = [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")]
    real = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("/z"):
            raise type(outcome[0])(outcome[0].errno, outcome[0].strerror, os.fspath(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    products, listing = read(folder(tmp_path))
    assert ([product.id for product in products], listing.rejection_examples) == (
        ["good"],
        [("z", "the folder is not readable; grant this user access")],
    )
    outcome.pop(0)
    with pytest.raises(TransientError, match="z cannot be read: Input/output error"):
        read(folder(tmp_path))


def test_names_that_are_not_utf8_are_reported_and_skipped(tmp_path):
    item(tmp_path / "good", "S2B_31UES_20240601_0_L2A")
    item(Path(os.fsdecode(bytes(tmp_path) + b"/\xff")), "S2B_31UES_20240602_0_L2A")
    (tmp_path / "good" / os.fsdecode(b"\xfe.json")).write_text("{}")
    found, listing = read(folder(tmp_path))
    assert [product.id for product in found] == ["S2B_31UES_20240601_0_L2A"]
    assert sorted(listing.rejection_examples) == [
        ("good/\ufffd.json", "its name is not UTF-8; rename it"),
        ("\ufffd", "its name is not UTF-8; rename it"),
    ]


def test_a_zipped_product_is_reported_with_the_remedy(tmp_path):
    (tmp_path / "S2A_MSIL2A_20180101T105441_N0206_R051_T31TDH_20180101T124911.SAFE.zip").touch()
    _, listing = read(folder(tmp_path))
    assert "unpack it" in listing.rejection_examples[0][1]


def test_nothing_that_is_meant_as_a_product_is_passed_over_in_silence(tmp_path):
    name = "S2A_MSIL2A_20180101T105441_N0206_R051_T31TDH_20180101T124911.SAFE"
    (tmp_path / "whole" / name).mkdir(parents=True)
    for target, entry in (
        (name, f"{name}/INSPIRE.xml"),
        ("download.zip", f"{name}/"),
        ("other.zip", "a.txt"),
    ):
        with zipfile.ZipFile(tmp_path / target, "w") as archive:
            archive.writestr(entry, "")
    (tmp_path / name.replace(".SAFE", ".tar.gz")).touch()
    (tmp_path / name.replace("S2A", "S2B")).touch()
    _, listing = read(folder(tmp_path))
    assert {path: reason.split(";")[0] for path, reason in listing.rejection_examples} == {
        name: "a zipped product is not read",
        "download.zip": "a zipped product is not read",
        name.replace(".SAFE", ".tar.gz"): "a packed product is not read",
        name.replace("S2A", "S2B"): "a product is a folder, and this is a file",
        f"whole/{name}": "the product has no MTD_MSIL1C.xml or MTD_MSIL2A.xml",
    }


def test_items_of_a_saved_search_and_of_geojson_files_are_read(tmp_path):
    first = json.loads(item(tmp_path, "S2B_31UES_20240601_0_L2A").read_text())
    second = json.loads(
        item(tmp_path, "S2B_31UES_20240611_0_L2A", datetime="2024-06-11T10:30:00Z").read_text()
    )
    broken, other = {**first, "id": "S2B_31UES_20240621_0_L2A", "bbox": 1, "geometry": None}, {**first}
    other |= {"id": "LC08", "collection": "landsat", "properties": {"datetime": "2024-06-01T00:00:00Z"}}
    for path in tmp_path.glob("*.json"):
        path.unlink()
    found = {"type": "FeatureCollection", "features": [first, broken, other, second, {"type": "Feature"}]}
    (tmp_path / "search.GeoJSON").write_text(json.dumps(found))
    (tmp_path / "aoi.geojson").write_text('{"type": "Polygon", "coordinates": []}')
    source = folder(tmp_path)
    products, listing = read(source)
    assert [product.id for product in products] == [first["id"], second["id"]]
    assert [row for row, _ in listing.rejection_examples] == [f"search.GeoJSON#{broken['id']}"]
    second["assets"]["red"]["href"] = "./other.tif"
    (tmp_path / "other.tif").write_bytes(b"II*\0")
    (tmp_path / "search.GeoJSON").write_text(json.dumps(found))
    assert [Path(source.bands(one)["B04"].href).name for one in products] == ["B04.tif", "other.tif"]
    assert [source.files(one)[0].href[-8:] for one in products] == ["/B04.tif"[-8:], "ther.tif"]
    (tmp_path / "search.GeoJSON").write_text(json.dumps({**found, "features": [first, first]}))
    with pytest.raises(PermanentError, match="no longer holds"):
        source.bands(products[1])


def test_a_product_may_itself_be_the_folder():
    name = "S2A_MSIL1C_20180101T105441_N0206_R051_T31TDH_20180101T124911"
    source = folder(shared_data("safe", f"{name}.SAFE"))
    (product,), _ = read(source)
    assert (product.id, set(source.bands(product))) == (name, {"B01"})


def test_items_of_other_missions_are_skipped_silently(tmp_path):
    item(tmp_path, "LC08_L2SP", platform="landsat-8", constellation="landsat")
    path = tmp_path / "LC08_L2SP.json"
    path.write_text(path.read_text().replace("sentinel-2-l2a", "landsat-c2-l2"))
    products, listing = read(folder(tmp_path))
    assert (products, listing.rejection_count) == ([], 0)


def test_a_huge_item_is_refused(tmp_path):
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(20_000_001)
    _, listing = read(folder(tmp_path))
    assert "larger than 20 MB" in listing.rejection_examples[0][1]


def test_many_items_come_in_batches(tmp_path, monkeypatch):
    from revisit.adapters.sources import batches

    first = item(tmp_path / "a", "item0")
    for number in range(1, 25):
        (tmp_path / "a" / f"item{number}.json").write_text(
            first.read_text().replace("item0", f"item{number}")
        )
    monkeypatch.setattr(batches.batch_unseen, "__defaults__", (10,))
    listing = folder(tmp_path).list_products({}, all_unseen, NOW)
    assert [table.num_rows for table in listing.batches] == [10, 10, 5]
    assert listing.rows == 25


# ---- spec


def test_a_spec_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert open_source("folder:data").spec == f"folder:{tmp_path}/data"
    assert open_source(f"folder:{tmp_path}/data/").spec == f"folder:{tmp_path}/data"
    assert open_source("folder:~/data").spec == "folder:/home/somebody/data"
    assert open_source(" stac:https://example.org/v1/#a-b ").spec == "stac:https://example.org/v1#a-b"


def test_the_check_of_a_local_source_fails_when_it_is_missing(tmp_path):
    open_source(f"folder:{tmp_path}").check()
    (tmp_path / "index.csv").write_text("not,an,index\n")
    (tmp_path / "cut.csv.gz").write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(TransientError):
        open_source(f"google-index:{tmp_path}/cut.csv.gz").check()
    for spec, sentence in (
        (f"folder:{tmp_path}/none", "there is no folder"),
        (f"google-index:{tmp_path}/none.csv.gz", "there is no index file"),
        (f"google-index:{tmp_path}/index.csv", "lacks the columns"),
    ):
        with pytest.raises(PermanentError, match=sentence):
            open_source(spec).check()


@pytest.mark.parametrize("spec", ["folder:~nobody-of-that-name/x", "google-index:~nobody-of-that-name/x"])
def test_the_home_folder_of_an_unknown_user_is_refused(spec):
    with pytest.raises(InvalidInputError, match="write the whole path"):
        open_source(spec)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "stac:https://[#c",
        "folder:a\0b",
        "folder",
        "folder:",
        "https://example.org",
        "ftp:x",
        "/data",
        "stac:https://example.org",
        "stac:example.org#c",
        "stac:file:///etc/passwd#c",
        "stac:https://user@example.org#c",
        "stac:https://example.org#a/../b",
    ],
)
def test_an_invalid_source_is_refused_with_the_valid_forms(spec):
    with pytest.raises(
        InvalidInputError,
        match=r"folder:PATH, google-index:PATH-or-URL or stac:URL#collection|write stac:https?://",
    ):
        open_source(spec)


# ---- products that are taken out


@pytest.fixture
def refresh(tmp_path):
    """Refreshes a folder, and returns what the catalog then has, with the place of each."""
    backend = local_backend(tmp_path / "data")
    spec = f"folder:{tmp_path}/archive"

    def run(removed: int) -> dict[str, str]:
        assert refresh_source(backend, spec).removed == removed
        found = backend.catalog().search(Query(source=spec)).products
        return {one.id: os.path.relpath(one.href, tmp_path / "archive") for one in found}

    return run


def test_what_is_taken_out_of_a_folder_is_forgotten_and_what_moved_or_returns_is_found(tmp_path, refresh):
    archive = tmp_path / "archive"
    ids = [f"S2B_31UES_202406{day:02d}_0_L2A" for day in (1, 2, 3, 4)]
    for id, place in zip(ids, ("flat", "flat", "own/3", "own/4"), strict=True):
        item(archive / place, id)
    everything = {
        id: f"{place}/{id}.json" for id, place in zip(ids, ("flat", "flat", "own/3", "own/4"), strict=True)
    }
    assert refresh(0) == everything
    aside = shutil.move(archive / "own" / "3", tmp_path / "3")
    (archive / "flat" / f"{ids[0]}.json").rename(archive / "flat" / "renamed.json")
    (archive / "own" / "4").rename(archive / "moved")
    expected = everything | {ids[0]: "flat/renamed.json", ids[3]: f"moved/{ids[3]}.json"}
    del expected[ids[2]]
    (archive / "own").rmdir()
    # The moved ones are removed, and found again at their new place.
    assert refresh(3) == expected and refresh(0) == expected
    shutil.move(aside, archive / "again")
    assert refresh(0) == expected | {ids[2]: f"again/{ids[2]}.json"}
    saved = {"type": "FeatureCollection", "features": []}
    for name in (f"flat/{ids[1]}.json", "flat/renamed.json"):
        saved["features"].append(json.loads((archive / name).read_text()))
        (archive / name).unlink()
    (archive / "flat" / "saved.json").write_text(json.dumps(saved))
    assert refresh(2)[ids[0]] == "flat/saved.json"
    del saved["features"][0]
    (archive / "flat" / "saved.json").write_text(json.dumps(saved))
    assert ids[1] not in refresh(1)


def test_a_copy_takes_the_place_of_a_product_that_is_taken_out(tmp_path, refresh):
    archive, id = tmp_path / "archive", "S2B_31UES_20240601_0_L2A"
    item(archive / "a", id)
    item(archive / "other", "S2B_31UES_20240602_0_L2A")
    refresh(0)
    item(archive / "b", id)
    assert refresh(0)[id] == f"a/{id}.json"
    shutil.rmtree(archive / "a")
    assert refresh(1)[id] == f"b/{id}.json"


def test_a_disk_that_is_not_mounted_leaves_the_catalog_as_it_is(tmp_path, refresh):
    archive = tmp_path / "archive"
    item(archive / "disk" / "1", "S2B_31UES_20240601_0_L2A")
    item(archive / "here", "S2B_31UES_20240602_0_L2A")
    before = refresh(0)
    shutil.move(archive / "disk" / "1", tmp_path / "1")
    for _ in (1, 2):
        assert refresh(0) == before
        _, listing = read(folder(archive), {"read": {"disk/1": ["x", 1]}, "notes_removals": True})
        assert listing.rejection_examples == [
            ("disk", "the folder is empty, but had 1 products; check that its disk is mounted, or delete it")
        ]
    shutil.move(tmp_path / "1", archive / "disk" / "1")
    assert refresh(0) == before
    shutil.rmtree(archive / "disk")
    assert list(refresh(1)) == ["S2B_31UES_20240602_0_L2A"]
    shutil.rmtree(archive / "here")
    with pytest.raises(PermanentError, match="disk is mounted"):
        refresh(0)


def test_products_that_an_earlier_version_left_behind_are_forgotten(tmp_path, refresh):
    backend = local_backend(tmp_path / "data")
    spec = f"folder:{tmp_path}/archive"
    left = item(tmp_path / "archive" / "a", "S2B_31UES_20240601_0_L2A")
    item(tmp_path / "archive" / "b", "S2B_31UES_20240602_0_L2A")
    refresh(0)
    state = backend.records.get(SourceState, spec)
    earlier = replace(state, listing={key: state.listing[key] for key in ("rows", "witnesses")})
    earlier.listing["read"] = {"b": state.listing["read"]["b"]}
    backend.commit(lambda commit: commit.put(earlier), completes_event=False)
    shutil.rmtree(left.parent)
    assert list(refresh(1)) == ["S2B_31UES_20240602_0_L2A"]
