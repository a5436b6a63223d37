"""The demo archive: real formats, invented pixels, and expected values."""

import json
import re
import shlex
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pystac
import pytest
from rio_cogeo.cogeo import cog_validate

from import_graph import ROOT
from revisit.adapters.sources.folder import Folder
from revisit.cli import run
from revisit.demo import make_archive
from revisit.demo.acquisitions import ACQUISITIONS, TILE
from revisit.demo.landscape import Landscape, make_landscape
from revisit.demo.scene import make_scene
from revisit.domain.bands import BANDS
from revisit.domain.product_name import ProductName
from revisit.errors import InvalidInputError
from revisit.geo.mgrs_tile import Tile
from revisit.pixels.indices import index
from revisit.pixels.masks import clear_mask, count_cover, has_data
from revisit.pixels.raster.grid import aoi_mask
from revisit.pixels.raster.read_plan import ReadPlan
from revisit.pixels.statistics import compute_statistics

README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    return make_archive(tmp_path_factory.mktemp("demo") / "archive")


@pytest.fixture(scope="module")
def place() -> Landscape:
    return make_landscape(np.random.default_rng([1, 0]))


@pytest.fixture(scope="module")
def source(archive) -> Folder:
    return Folder(str(archive))


@pytest.fixture(scope="module")
def products(source) -> dict:
    listing = source.list_products({}, lambda ids: np.ones(len(ids), bool), datetime(2026, 1, 1, tzinfo=UTC))
    from product_tables import to_products

    found = [product for batch in listing.batches for product in to_products(batch)]
    assert not listing.rejection_examples
    return {product.id: product for product in found}


def truth(archive: Path) -> list[dict]:
    return json.loads((archive / "truth.json").read_text())["dates"]


def farm(archive: Path) -> dict:
    return json.loads((archive / "aoi.geojson").read_text())["geometry"]


# passes


def test_a_satellite_repeats_its_orbit_after_multiples_of_ten_days_and_its_twin_five_days_later():
    epoch = {
        "S2A": datetime(2022, 1, 20, tzinfo=UTC),
        "S2B": datetime(2022, 1, 25, tzinfo=UTC),
    }  # both on orbit 51
    for seen in ACQUISITIONS:
        day = seen.datatake.replace(hour=0, minute=0, second=0)
        if seen.relative_orbit == 8:
            day += timedelta(days=3)  # 43 orbits of 143 in ten days
        assert (day - epoch[seen.platform]).days % 10 == 0


def test_absolute_and_relative_orbits_agree():
    # S2A_..._A038944 of 2022-12-06 and S2B_..._A025531 of 2022-01-25 are of relative orbit 51.
    known = {"S2A": 38_944, "S2B": 25_531}
    for seen in ACQUISITIONS:
        assert (seen.absolute_orbit - known[seen.platform] + 51 - seen.relative_orbit) % 143 == 0


def test_names_are_valid_and_baselines_change_with_the_date():
    for seen in ACQUISITIONS:
        name = ProductName.parse(seen.name)
        assert name.tile == TILE
        assert (name.baseline, seen.offset) == (
            ("0400", -1000) if name.datatake >= datetime(2022, 1, 25, tzinfo=UTC) else ("0301", 0)
        )
    assert {(seen.package, seen.baseline) for seen in ACQUISITIONS} == {
        (p, b) for p in ("SAFE", "COG") for b in ("0301", "0400")
    }


def test_the_sun_is_low_in_december_and_high_in_june():
    zenith = {seen.datatake.month: seen.sun_angles[0] for seen in ACQUISITIONS}
    assert zenith[12] == pytest.approx(43.43 + 23.4, abs=2.5)  # an hour from noon
    assert zenith[6] == pytest.approx(43.43 - 23.3, abs=5)
    assert all(130 < seen.sun_angles[1] < 180 for seen in ACQUISITIONS)


# archive


def test_the_folder_source_lists_every_product_with_its_expected_metadata(archive, products):
    dates = truth(archive)
    assert set(products) == {date["product"] for date in dates}
    assert len(dates) == 12
    for date in dates:
        product = products[date["product"]]
        assert product.acquisition == date["acquisition"]
        assert product.baseline == date["baseline"]
        assert product.cloud_cover == pytest.approx(date["cloud_cover"], abs=1e-5)
        assert (product.tile, product.level) == (TILE, "L2A")
        assert product.sensing_time == datetime.fromisoformat(date["datetime"])


def test_products_lie_within_their_tile_and_hold_the_aoi(archive, products):
    from shapely.geometry import shape

    tile, aoi = Tile.parse(TILE).footprint, shape(farm(archive))
    for product in products.values():
        assert tile.contains(shape(product.footprint))
        assert shape(product.footprint).intersects(aoi)
        assert shape(product.footprint).contains(aoi) == (product.relative_orbit == 51)


def test_offsets_come_from_the_products_own_metadata(source, products):
    for product in products.values():
        files = source.bands(product)
        expected = 0.0 if product.baseline == "0301" else -0.1
        assert {files[band].offset for band in ("B02", "B8A", "B01")} == {expected}
        assert set(files) == {*BANDS} - {"B10", "AOT", "WVP"}


def test_values_read_over_the_aoi_equal_those_of_the_generator(archive, source, products):
    aoi = farm(archive)
    for date in truth(archive):
        files = source.bands(products[date["product"]])
        with ReadPlan.open(files, aoi, ["B04", "B08", "SCL"]) as plan:
            inside, dn = aoi_mask(plan.grid, aoi), plan.read().dn
        scl = dn.pop("SCL")
        counted = count_cover(scl, inside, has_data(dn))
        assert (counted.aoi, counted.valid, counted.clear) == (
            date["aoi_pixels"],
            date["valid_pixels"],
            date["clear_pixels"],
        )
        reflectance = {band: layer * files[band].scale + files[band].offset for band, layer in dn.items()}
        found = compute_statistics(index("NDVI").compute(reflectance), clear_mask(scl, inside, has_data(dn)))
        assert found.count == date["NDVI"]["count"]
        assert found.mean == pytest.approx(date["NDVI"].get("mean"), abs=1e-9)


def test_the_season_has_clear_partly_clear_and_overcast_dates_and_a_swath_edge(archive):
    dates = truth(archive)
    fractions = [date["clear_fraction"] for date in dates]
    assert sum(fraction > 0.95 for fraction in fractions) >= 4
    assert sum(0.1 < fraction < 0.9 for fraction in fractions) >= 3
    assert sum(fraction < 0.05 for fraction in fractions) >= 2
    assert sum(date["valid_pixels"] < date["aoi_pixels"] for date in dates) == 1


def test_the_farm_greens_in_spring_and_is_bare_after_harvest(archive):
    ndvi = {date["datetime"][:10]: date["ground_NDVI"] for date in truth(archive)}
    assert ndvi["2021-11-21"] < ndvi["2022-02-24"] < ndvi["2022-03-21"] < ndvi["2022-05-10"]
    assert ndvi["2022-05-10"] > 0.6 > 0.5 > ndvi["2022-06-14"] > ndvi["2022-09-22"]


def test_the_cogs_are_valid_and_the_catalog_is_stac(archive):
    for path in sorted(archive.glob("sentinel-2-l2a/*/*.tif"))[::9]:
        valid, errors, _ = cog_validate(path)
        assert valid, errors
    catalog = pystac.Catalog.from_file(str(archive / "catalog.json"))
    items = list(catalog.get_items(recursive=True))
    assert len(items) == 6
    for item in items:
        bare = item.clone()
        bare.stac_extensions = []
        bare.validate()
        assert all(Path(asset.get_absolute_href()).is_file() for asset in item.assets.values())
        assert item.assets["red"].extra_fields["proj:shape"] == [900, 900]
    collection = next(catalog.get_children())
    collection.validate()


def test_gdals_own_sentinel_2_driver_opens_the_safe_products(archive):
    import rasterio

    metadata = sorted(archive.glob("safe/*.SAFE/MTD_MSIL2A.xml"))
    assert len(metadata) == 6
    with rasterio.open(metadata[-1], driver="SENTINEL2") as dataset:
        assert any("10m" in name for name in dataset.subdatasets)


def test_the_archive_states_that_it_is_synthetic(archive):
    assert "Synthetic" in (archive / "README.md").read_text()
    assert "Synthetic" in json.loads((archive / "catalog.json").read_text())["description"]


# generation


def test_a_second_call_changes_nothing(archive):
    before = {path: path.stat().st_mtime_ns for path in archive.rglob("*")}
    assert make_archive(archive) == archive
    assert {path: path.stat().st_mtime_ns for path in archive.rglob("*")} == before


def test_generation_leaves_no_other_file_behind(archive):
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]


def test_the_same_seed_gives_the_same_pixels_and_another_one_others(place):
    again = make_landscape(np.random.default_rng([1, 0]))
    assert (again.units == place.units).all()
    first, second, other = (
        make_scene(on, ACQUISITIONS[2], seed).layers["B08"]
        for on, seed in ((place, [1, 3]), (again, [1, 3]), (place, [2, 3]))
    )
    assert (first == second).all()
    assert (first != other).mean() > 0.5


def test_a_folder_with_other_content_is_not_changed(tmp_path):
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(InvalidInputError, match="holds something other than the demo archive"):
        make_archive(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_killed_run_leaves_no_archive(tmp_path):
    place = tmp_path / "archive"
    code = (
        f"from pathlib import Path; from revisit.demo import make_archive; make_archive(Path({str(place)!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while process.poll() is None and not any(tmp_path.glob(".archive.unfinished/**/*.xml")):
            time.sleep(0.05)
        process.kill()
    assert not place.exists()


# pixels


def test_clouds_are_white_and_shadows_dark_in_the_pixels_classified_as_such(place):
    seen = next(seen for seen in ACQUISITIONS if seen.datatake.month == 5 and seen.cloud_share < 0.5)
    scene = make_scene(place, seen, [1, 7])
    blue, nir = (
        (scene.layers[band].astype(float)[::2, ::2] + seen.offset) / 10_000 for band in ("B02", "B08")
    )
    classes = scene.layers["SCL"]
    assert np.median(blue[classes == 9]) > 0.4
    assert np.median(nir[classes == 3]) < 0.7 * np.median(nir[np.isin(classes, (4, 5))])
    assert (classes == 3).mean() > 0.02
    assert {4, 5, 6} <= set(np.unique(classes))


def test_beyond_the_swath_every_layer_is_0_and_nowhere_else(place):
    seen = next(seen for seen in ACQUISITIONS if seen.cut_by_swath)
    layers = make_scene(place, seen, [1, 10]).layers
    outside = layers["B01"] == 0
    assert 0.2 < outside.mean() < 0.6
    for layer in layers.values():
        times = layer.shape[0] // outside.shape[0]
        assert ((layer == 0) == outside.repeat(times, 0).repeat(times, 1)).all()


def shell_samples() -> list[list[str]]:
    """The calls of `revisit` in the README that need no network, as words."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    calls = [shlex.split(line, comments=True) for line in lines if line.startswith("revisit ")]
    return [call[1:] for call in calls if "https://" not in " ".join(call)]


def test_the_samples_of_the_readme_run_as_printed(archive, tmp_path, monkeypatch, capsys):
    """Only the port differs: the server takes a free one."""
    (tmp_path / "data" / "demo").mkdir(parents=True)
    for name in ("season", "archive"):
        (tmp_path / "data" / "demo" / name).symlink_to(archive)
    (tmp_path / "field.geojson").write_bytes((archive / "aoi.geojson").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REVISIT_DATA", str(tmp_path / "revisit"))

    def output(*words: str) -> str:
        capsys.readouterr()
        assert run(list(words)) == 0, (words, capsys.readouterr())
        return capsys.readouterr().out

    calls = shell_samples()
    place = next(number for number, call in enumerate(calls) if call[0] == "serve")
    for call in calls[:place]:
        output(*call)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    serve = [port if word == "8788" else word for word in calls[place]]
    with subprocess.Popen([sys.executable, "-m", "revisit", *serve], stdout=subprocess.DEVNULL) as server:
        try:
            end = time.monotonic() + 400
            while not json.loads(output("alerts", "North field", "--json"))["alerts"]:
                assert time.monotonic() < end
                time.sleep(0.5)
            orders = json.loads(output("orders", "list", "--json"))["orders"]
            names = {
                "ORDER": next(one["order"] for one in orders if not one["subscription"]),
                "PRODUCT": json.loads(output("search", "--aoi", "field.geojson", "--json"))["products"][0][
                    "product"
                ],
            }
            for call in calls[place + 1 :]:
                assert output(*(names.get(word, word) for word in call)), call
            (sample,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
            exec(sample.replace("8788", port), {})
            assert capsys.readouterr().out.startswith("['S2")
        finally:
            server.terminate()
