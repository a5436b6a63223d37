"""What a folder may not name or hold: files outside of it, links, broken names, archives and huge items."""

import json
import os
import zipfile
from pathlib import Path

import pytest

from adapters.sources.folder_samples import NOW, all_unseen, folder, item, read
from data import shared_data
from revisit.domain.product import Product
from revisit.errors import PermanentError, TransientError


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
