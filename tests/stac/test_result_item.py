"""Finished jobs as STAC Items, read back by pystac, and their receipts."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pystac
import pytest
from pystac.extensions.eo import EOExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.grid import GridExtension
from pystac.extensions.mgrs import MgrsExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.sat import SatExtension

from revisit import __version__
from revisit.domain.bands import BandFile
from revisit.domain.job import Asset, Cover, Job, Statistics
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe
from revisit.errors import ConflictError
from revisit.stac.result_item import build_receipt, build_result_item, encode_item, pixel_fields

SQUARE = {
    "type": "Polygon",
    "coordinates": [[[1.3, 43.5], [1.4, 43.5], [1.4, 43.6], [1.3, 43.6], [1.3, 43.5]]],
}
DIGEST = sha256(b"pixels").hexdigest()
NDVI = Asset(
    "NDVI",
    "ab/NDVI.tif",
    "image/tiff; application=geotiff; profile=cloud-optimized",
    1234,
    DIGEST,
    ("data",),
    {"proj:code": "EPSG:32631", "proj:shape": [20, 30], "proj:transform": [10, 0, 370000, 0, -10, 4830000]},
)
FILES = {
    "B08": BandFile("B08", "/archive/B08.tif", "GTiff", offset=-0.1),
    "B04": BandFile("B04", "/archive/B04.tif", "GTiff", offset=-0.1),
}


def product() -> Product:
    return Product(
        "S2A_MSIL2A_20240601T105031_N0510_R051_T31TCJ_20240601T150000",
        "folder:/archive",
        "L2A",
        "S2A",
        "31TCJ",
        datetime(2024, 6, 1, 10, 56, 1, tzinfo=UTC),
        "20240601T105031",
        0.5,
        43.2,
        1.9,
        44.2,
        cloud_cover=12.5,
        relative_orbit=51,
        baseline="0510",
        href="https://example.com/product.json",
    )


def job(**changes) -> Job:
    done = Job(
        "job_1",
        product(),
        SQUARE,
        Recipe(indices=("NDVI",)),
        datetime(2024, 6, 1, 20, tzinfo=UTC),
        state="done",
        finished=datetime(2024, 6, 1, 20, 5, tzinfo=UTC),
        cover=Cover(600, 400, 300, 80, 20),
        assets=(NDVI,),
        indices={"NDVI": Statistics(300, 0.6, 0.1, 0.2, 0.9, 0.61)},
    )
    done = done.with_changes(receipt=build_receipt(done, FILES))
    return replace(done, **changes)


def read(made: dict) -> pystac.Item:
    """Validated as JSON by the core schema that pystac bundles; extension schemas need a network."""
    plain = json.loads(json.dumps(made))
    pystac.Item.from_dict({**plain, "stac_extensions": []}).validate()
    return pystac.Item.from_dict(plain)


def made(found: Job) -> pystac.Item:
    return read(build_result_item(found, lambda asset: f"https://example.com/assets/{asset.path}"))


def test_a_job_is_a_valid_item_over_its_aoi_at_its_sensing_time():
    found = made(job())
    assert found.geometry == SQUARE
    assert found.bbox == [1.3, 43.5, 1.4, 43.6]
    assert found.datetime == datetime(2024, 6, 1, 10, 56, 1, tzinfo=UTC)
    assert found.properties["platform"] == "sentinel-2a"


def test_pystac_reads_the_fields_of_every_extension():
    found = made(job())
    asset = found.assets["NDVI"]
    assert asset.href == "https://example.com/assets/ab/NDVI.tif"
    assert (FileExtension.ext(asset).checksum, FileExtension.ext(asset).size) == ("1220" + DIGEST, 1234)
    assert ProjectionExtension.ext(asset).epsg == 32631
    assert ProjectionExtension.ext(asset).shape == [20, 30]
    assert EOExtension.ext(found).cloud_cover == 20.0  # 80 of 400 valid pixels
    assert SatExtension.ext(found).relative_orbit == 51
    assert GridExtension.ext(found).code == "MGRS-31TCJ"
    mgrs = MgrsExtension.ext(found)
    assert (mgrs.utm_zone, mgrs.latitude_band, mgrs.grid_square) == (31, "T", "CJ")
    assert asset.extra_fields["processing:expression"] == {
        "format": "awesome-spectral-indices",
        "expression": "(N - R) / (N + R)",
    }
    assert found.properties["processing:software"]["revisit"] == __version__
    assert found.properties["processing:datetime"] == "2024-06-01T20:05:00Z"


def test_every_extension_whose_fields_are_there_is_named_and_no_other():
    extensions = build_result_item(job(), lambda asset: asset.path)["stac_extensions"]
    assert {address.split("/")[3] for address in extensions} == {
        "eo",
        "file",
        "grid",
        "mgrs",
        "processing",
        "projection",
        "sat",
    }
    bare = build_result_item(job(assets=(), cover=None, state="failed"), lambda asset: asset.path)[
        "stac_extensions"
    ]
    assert {address.split("/")[3] for address in bare} == {"grid", "mgrs", "processing", "sat"}


def test_the_item_names_the_product_it_is_derived_from():
    links = made(job()).get_links("derived_from")
    assert [link.href for link in links] == ["https://example.com/product.json"]


def test_cover_statistics_and_receipt_are_under_our_prefix():
    properties = made(job()).properties
    assert properties["revisit:cover"] == {
        "aoi": 600,
        "valid": 400,
        "clear": 300,
        "cloud": 80,
        "shadow": 20,
        "snow": 0,
        "mask": "SCL",
        "saturated": 0,
    }
    assert (properties["revisit:coverage"], properties["revisit:clear_fraction"]) == (
        pytest.approx(2 / 3),
        0.75,
    )
    assert properties["revisit:indices"]["NDVI"] == {
        "count": 300,
        "mean": 0.6,
        "std": 0.1,
        "min": 0.2,
        "max": 0.9,
        "median": 0.61,
    }
    assert properties["revisit:receipt"]["inputs"]["B04"]["offset"] == -0.1
    assert properties["revisit:acquisition"] == "S2A_20240601T105031_T31TCJ"


def test_a_skipped_job_says_why_and_has_no_numbers_it_lacks():
    properties = made(
        job(state="skipped", reason="5 % clear, less than 60 %", assets=(), indices={"NDVI": Statistics(0)})
    ).properties
    assert properties["revisit:reason"] == "5 % clear, less than 60 %"
    assert properties["revisit:indices"] == {"NDVI": {"count": 0}}


def test_a_job_without_a_mask_states_no_cloud_cover():
    properties = made(job(cover=Cover(600, 400, 400, mask="none"))).properties
    assert "eo:cloud_cover" not in properties
    assert "not masked" in properties["processing:lineage"]


def test_an_unfinished_job_has_no_item():
    with pytest.raises(ConflictError, match="job_1 is extracted"):
        build_result_item(job(state="extracted"), lambda asset: asset.path)


def test_the_item_includes_the_links_and_the_collection_of_its_api():
    links = [
        {"rel": "collection", "href": "https://example.com/collections/results", "type": "application/json"}
    ]
    found = read(build_result_item(job(), lambda asset: asset.path, links, "results"))
    assert found.collection_id == "results"
    assert [link.rel for link in found.links] == ["collection", "derived_from"]


def test_an_aoi_across_the_antimeridian_has_a_box_across_it():
    rings = [[[[w, -5], [e, -5], [e, 5], [w, 5], [w, -5]]] for w, e in ((170, 180), (-180, -175))]
    assert made(job(aoi={"type": "MultiPolygon", "coordinates": rings})).bbox == [170, -5, -175, 5]


def test_an_asset_states_the_grid_and_the_meaning_of_its_pixels():
    about = pixel_fields(
        "EPSG:32631",
        (20, 30),
        (10.0, 0.0, 370000.0, 0.0, -10.0, 4830000.0),
        "uint16",
        {"B8A": (0.0001, -0.1), "SCL": (1.0, 0.0)},
    )
    found = made(job(assets=(replace(NDVI, name="bands", about=about),))).assets["bands"]
    assert ProjectionExtension.ext(found).transform == [10, 0, 370000, 0, -10, 4830000]
    assert found.extra_fields["bands"] == [{"name": "B8A", "eo:common_name": "nir08"}, {"name": "SCL"}]
    assert [
        (band["scale"], band["offset"], band["nodata"]) for band in found.extra_fields["raster:bands"]
    ] == [(0.0001, -0.1, 0), (1.0, 0.0, 0)]
    assert any("raster" in address for address in found.owner.stac_extensions)


def test_an_item_survives_its_file():
    whole = build_result_item(job(), lambda asset: asset.path)
    assert json.loads(encode_item(whole)) == json.loads(json.dumps(whole))


# ------------------------------------------------------------------------------------------------------------
# ---
# receipts


def test_a_receipt_contains_the_inputs():
    found = build_receipt(job(), FILES, {"B04": "1220ab"}, software={"gdal": "3.12"}, grid={"origin": [0, 0]})
    assert found["inputs"]["B04"] == {
        "href": "/archive/B04.tif",
        "checksum": "1220ab",
        "scale": 0.0001,
        "offset": -0.1,
        "nodata": 0,
    }
    assert found["inputs"]["B08"]["checksum"] is None
    assert found["baseline"] == "0510"
    assert found["formulas"] == {"NDVI": "(N - R) / (N + R)"} and found["constants"] == {}
    assert (found["catalogue"], found["reflectance"]) == ("spyndex 0.12.0", "surface")
    evi = build_receipt(job(recipe=Recipe(indices=("EVI", "x=B08 / B04"))), FILES)
    assert evi["constants"] == {"EVI": {"g": 2.5, "C1": 6.0, "C2": 7.5, "L": 1.0}}
    assert evi["formulas"]["x"] == "B08 / B04"
    assert found["mask"] == {"name": "SCL", "version": "SCL-2", "clear": [4, 5, 6, 7, 11]}
    assert found["software"] == {"revisit": __version__, "gdal": "3.12"}
    assert found["parameters"] == {"grid": {"origin": [0, 0]}}
    assert json.loads(json.dumps(found)) == found


def test_the_content_hash_follows_from_the_rest_and_from_all_of_it():
    first = build_receipt(job(), FILES)
    assert first == build_receipt(job(), dict(reversed(FILES.items())))
    rest = {name: value for name, value in first.items() if name != "content_hash"}
    assert (
        first["content_hash"]
        == sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    )
    others = [
        build_receipt(job(), FILES, mask="none"),
        build_receipt(job(), {**FILES, "B04": replace(FILES["B04"], offset=0.0)}),
        build_receipt(job(), FILES, {"B04": "1220ab"}),
        build_receipt(job(recipe=Recipe(indices=("NDWI",))), FILES),
        build_receipt(job(aoi={**SQUARE, "coordinates": []}), FILES),
        build_receipt(job(min_clear=50.0), FILES),
    ]
    assert len({first["content_hash"], *(other["content_hash"] for other in others)}) == 7
