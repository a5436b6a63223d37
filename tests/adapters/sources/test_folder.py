"""Source folder:PATH on the real archive, real SAFE trees, and damaged folders."""

import json
import os
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.sources.folder_samples import folder, item, none_unseen, read, unseen_but
from data import shared_data
from revisit.adapters.sources import open_source
from revisit.errors import InvalidInputError, PermanentError, TransientError

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
