"""SAFE products against stactools' expected items, real file lists and their metadata."""

import csv
import json
import re
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from adapters.sources.safe_metadata_samples import IMAGE, PRODUCT, SOURCE, from_texts, metadata, reader
from data import shared_data
from revisit.adapters.sources import safe, safe_files
from revisit.adapters.sources.folder import Folder
from revisit.domain.bands import BANDS, SPECTRAL_BANDS
from revisit.domain.product import Product
from revisit.domain.product_name import OldProductName, ProductName, granule_number
from revisit.domain.selection import select_passes
from revisit.errors import NotFoundError, PermanentError
from revisit.geo.mgrs_tile import Tile

EXPECTED_KEYS = {"B02": "blue", "B04": "red", "B8A": "nir08", "B12": "swir22"}


# ---- real metadata


def real_products() -> list[Path]:
    root = shared_data("safe")
    return sorted(path.parent for path in root.rglob("MTD_MSIL*.xml"))


def test_every_real_product_is_parsed():
    roots = real_products()
    assert len(roots) == 20
    for root in roots:
        product = safe.product_of(str(root), reader(root), SOURCE)
        name = ProductName.parse(root.name)
        text = next(root.glob("MTD_MSIL*.xml")).read_text()
        assert (product.id, product.tile, product.level, product.platform) == (
            root.name.removesuffix(".SAFE"),
            name.tile,
            name.level,
            name.platform,
        )
        assert (product.baseline, product.relative_orbit, product.datatake) == (
            name.baseline,
            name.relative_orbit,
            root.name[11:26],
        )
        assert product.published == datetime.fromisoformat(re.search(r"<GENERATION_TIME>(.*?)<", text)[1])
        tile = next(root.glob("GRANULE/*/MTD_TL.xml"), None)
        if tile:
            assert product.sensing_time == datetime.fromisoformat(
                re.search(r"SENSING_TIME[^>]*>(.*?)<", tile.read_text())[1]
            )
        assert product.footprint is not None
        assert -180 <= product.west <= 180
        assert product.href == str(root)


def test_a_product_is_where_stactools_says():
    compared = 0
    for root in real_products():
        expected = root / "expected_output.json"
        if not expected.exists():
            continue
        item, product = json.loads(expected.read_text()), safe.product_of(str(root), reader(root), SOURCE)
        assert (product.west, product.south, product.east, product.north) == pytest.approx(
            item["bbox"], abs=1e-5
        )
        assert product.cloud_cover == item["properties"]["eo:cloud_cover"]
        assert product.published == datetime.fromisoformat(item["properties"]["s2:generation_time"])
        assert product.footprint["type"] == item["geometry"]["type"]
        bands = safe.bands_of(str(root), reader(root))
        for band, key in EXPECTED_KEYS.items():
            stated = item["assets"][key]["raster:bands"][0]
            assert (bands[band].scale, bands[band].offset) == (
                stated.get("scale", 0.0001),
                stated.get("offset", 0),
            )
            assert (
                bands[band].href
                == f"{root}/{item['assets'][key]['href'].split('.SAFE/')[-1].removeprefix('./')}"
            )
        compared += 1
    assert compared == 5


def test_a_footprint_across_the_antimeridian_has_its_west_east_of_its_east():
    root = shared_data(
        "safe", "stactools", "S2A_MSIL2A_20230625T234621_N0509_R073_T01WCP_20230626T022157.SAFE"
    )
    product = safe.product_of(str(root), reader(root), SOURCE)
    assert product.west == pytest.approx(178.4741, abs=1e-3)
    assert product.east == pytest.approx(-178.9662, abs=1e-3)
    assert product.footprint["type"] == "MultiPolygon"


@pytest.mark.parametrize(
    ("name", "offset"),
    [
        ("cdse_31UFS/S2A_MSIL2A_20221206T105431_N0509_R051_T31UFS_20221206T135452.SAFE", -0.1),
        ("cdse_31UFS/S2B_MSIL1C_20220125T105229_N0400_R051_T31UFS_20220125T133326.SAFE", -0.1),
        ("cdse_31UFS/S2B_MSIL2A_20210331T104619_N0300_R051_T31UFS_20210331T133112.SAFE", 0.0),
        ("cdse_31UFS/S2B_MSIL1C_20210331T104619_N0300_R051_T31UFS_20210331T122109.SAFE", 0.0),
    ],
)
def test_the_offset_is_the_one_the_metadata_states(name, offset):
    root = shared_data("safe", *name.split("/"))
    bands = safe.bands_of(str(root), reader(root))
    assert {bands[band].offset for band in bands if band in SPECTRAL_BANDS} == {offset}
    assert {bands[band].scale for band in bands if band in SPECTRAL_BANDS} == {0.0001}
    if "MSIL2A" in name:
        assert (bands["SCL"].scale, bands["SCL"].offset) == (1.0, 0.0)
        assert (bands["AOT"].scale, bands["AOT"].offset) == (0.001, 0.0)


def test_an_unusual_offset_is_kept():
    folder = shared_data("safe", "stactools", "S2A_OPER_MSI_L2A_TL_VGS1_20220401T110010_A035382_T34LBQ")
    text = (folder / "product_metadata.xml").read_text()
    bands = safe.bands_of(
        "/a/S2A_MSIL2A_20220401T083601_N0400_R064_T34LBQ_20220401T110010.SAFE",
        from_texts(MTD_MSIL2A__xml=text),
    )
    assert {bands[band].offset for band in bands if band in SPECTRAL_BANDS} == {-0.7}


def test_bands_come_in_their_native_resolution():
    root = shared_data(
        "safe", "cdse_31UFS", "S2A_MSIL2A_20221206T105431_N0509_R051_T31UFS_20221206T135452.SAFE"
    )
    bands = safe.bands_of(str(root), reader(root))
    assert set(bands) == set(BANDS) - {"B10"}
    for name, file in bands.items():
        assert file.href.endswith(
            f"/R{BANDS[name].resolution_m}m/T31UFS_20221206T105431_{name}_{BANDS[name].resolution_m}m.jp2"
        )
        assert (file.driver, file.nodata) == ("JP2OpenJPEG", 0)


# ---- file lists


def test_band_paths_are_those_of_the_real_file_lists():
    """The metadata is written as ESA writes it for each form; the files must be those of the list."""
    lists = sorted(shared_data("safe", "layout").glob("*.csv"))
    assert len(lists) == 20
    for one in lists:
        band_files_lie_where_listed(one)


def band_files_lie_where_listed(layout: Path) -> None:
    with layout.open() as lines:
        paths = [PurePosixPath(row[1]) for row in csv.reader(lines, delimiter=";")]
    product, inside = paths[0].parts[0], [str(path.relative_to(path.parts[0])) for path in paths]
    images = [path for path in inside if "/IMG_DATA/" in path and path.endswith(".jp2")]
    level = "2A" if "MSIL2A" in product else "1C"
    tiles = sorted({re.search(r"_T(\d\d[A-Z]{3})_", path)[1] for path in images})
    old = "_PRD_" in product
    granules = sorted({path.split("/")[1] for path in images})
    listed = "".join(
        f'<{"Granules" if old else "Granule"} granuleIdentifier="{granule}" imageFormat="JPEG2000">'
        + "".join(
            f"<IMAGE_ID>{PurePosixPath(p).stem}</IMAGE_ID>"
            if old
            else f"<IMAGE_FILE>{p.removesuffix('.jp2')}</IMAGE_FILE>"
            for p in images
            if p.split("/")[1] == granule
        )
        + f"</{'Granules' if old else 'Granule'}>"
        for granule in granules
    )
    text = metadata([], level=level).replace(
        '<Granule granuleIdentifier="S2A_OPER_MSI_L2A_TL_X_T31UFS_N05.09"></Granule>', listed
    )
    asked = []

    def read(path: str) -> bytes:
        asked.append(path)
        if path not in inside and not path.startswith("MTD_"):
            raise NotFoundError(path)
        return text.encode()

    for tile in tiles:
        bands = safe.bands_of(f"/a/{product}", read, tile)
        assert set(bands) == set(BANDS) - ({"B10"} if level == "2A" else {"SCL", "AOT", "WVP"})
        for band, file in bands.items():
            path = file.href.removeprefix(f"/a/{product}/")
            assert path in images
            assert tile in path
            assert level == "1C" or path.endswith(f"_{BANDS[band].resolution_m}m.jp2")
    assert any(path in inside for path in asked) or not old


def test_every_tile_of_an_old_package_is_a_product():
    name = "S2A_OPER_PRD_MSIL1C_PDMC_20160910T174323_R071_V20160701T204642_20160701T204643"
    granules = [
        "S2A_OPER_MSI_L1C_TL_EPA__20160910T134133_A005359_T04MGV_N02.04",
        "S2A_OPER_MSI_L1C_TL_EPA__20160910T134133_A005359_T04MHV_N02.04",
    ]
    listed = "".join(
        f'<Granules granuleIdentifier="{granule}"><IMAGE_ID>{granule[:-7]}_B02</IMAGE_ID></Granules>'
        for granule in granules
    )
    text = metadata([], level="1C").replace(
        '<Granule granuleIdentifier="S2A_OPER_MSI_L2A_TL_X_T31UFS_N05.09"></Granule>', listed
    )
    tile = """<r><SENSING_TIME>2016-07-01T20:46:42.000Z</SENSING_TIME>
              <HORIZONTAL_CS_CODE>EPSG:32704</HORIZONTAL_CS_CODE>
              <Geoposition resolution="10"><ULX>699960</ULX><ULY>9800020</ULY></Geoposition>
              <CLOUDY_PIXEL_PERCENTAGE>12.5</CLOUDY_PIXEL_PERCENTAGE></r>"""

    def read(path: str) -> bytes:
        if path == f"{name.replace('_PRD_MSI', '_MTD_SAF')}.xml":
            return text.encode()
        if (
            path == f"GRANULE/{granules[0]}/S2A_OPER_MTD_L1C_TL_EPA__20160910T134133_A005359_T04MGV.xml"
            or "T04MHV.xml" in path
        ):
            return tile.encode()
        raise NotFoundError(path)

    products = safe.products_of(f"/a/{name}.SAFE", read, SOURCE)
    assert [product.id for product in products] == [f"{name}_T04MGV", f"{name}_T04MHV"]
    assert (
        OldProductName.parse(products[0].id.removesuffix("_T04MGV")).relative_orbit
        == products[0].relative_orbit
        == 71
    )
    assert products[0].sensing_time == datetime(2016, 7, 1, 20, 46, 42, tzinfo=UTC)
    assert products[0].cloud_cover == 12.5
    # 699,960 m east in zone 4 (159 W) is 1.8 degrees east of its meridian at the equator; the tile is one
    # degree wide.
    assert products[0].west == pytest.approx(-157.2, abs=0.02)
    assert products[0].east - products[0].west == pytest.approx(0.99, abs=0.01)
    with pytest.raises(PermanentError, match="holds 2 tiles"):
        safe.bands_of(f"/a/{name}.SAFE", read)


def test_a_tile_that_an_old_package_holds_twice_is_two_products_of_one_acquisition():
    """Two datastrips that complete a tile are two granules, each with its images; early L2A list a granule
    once for every resolution."""
    name = "S2A_OPER_PRD_MSIL1C_PDMC_20160910T174323_R071_V20160701T204642_20160701T204643"
    first, second = (
        f"S2A_OPER_MSI_L1C_TL_{centre}_20160910T134133_A005359_T04MGV_N02.04" for centre in ("EPA_", "SGS_")
    )
    listed = "".join(
        f'<Granules granuleIdentifier="{granule}"><IMAGE_ID>{granule[:-7]}_{band}</IMAGE_ID></Granules>'
        for granule, band in ((first, "B02"), (second, "B02"), (first, "B03"))
    )
    text = metadata([], level="1C").replace(
        '<Granule granuleIdentifier="S2A_OPER_MSI_L2A_TL_X_T31UFS_N05.09"></Granule>', listed
    )
    tile = """<r><HORIZONTAL_CS_CODE>EPSG:32704</HORIZONTAL_CS_CODE>
              <Geoposition resolution="10"><ULX>699960</ULX><ULY>9800020</ULY></Geoposition></r>"""

    def read(path: str) -> bytes:
        return (tile if path.startswith("GRANULE/") else text).encode()

    products = safe.products_of(f"/a/{name}.SAFE", read, SOURCE)
    assert [product.id for product in products] == [f"{name}_T04MGV", f"{name}_T04MGV_2"]
    assert products[0].acquisition == products[1].acquisition
    for product, granule, bands in zip(products, (first, second), (["B02", "B03"], ["B02"]), strict=True):
        files = safe.bands_of(f"/a/{name}.SAFE", read, product.tile, granule_number(product.id))
        assert list(files) == bands
        assert all(f"/GRANULE/{granule}/IMG_DATA/" in file.href for file in files.values())
    images = safe.image_paths(f"/a/{name}.SAFE", read, "04MGV")
    assert [image.split("/")[1] for image in images] == [first, first, second]
    (passing,) = select_passes(products, Tile.parse("04MGV").footprint)
    assert sorted(product.id for product in passing.products) == [product.id for product in products]


@pytest.mark.parametrize("place", ["", "R20m/", "beside"])
def test_layers_of_old_l2a_packages_are_found_where_their_names_have_them(tmp_path, place):
    # Sen2Cor 2.0 to 2.3: SNAP's file templates, and GDAL's autotest/gdrivers/data/sentinel2/fake_l2a.
    name = "S2A_USER_PRD_MSIL2A_PDMC_20160616T104721_R051_V20160615T100608_20160615T101802"
    granule = "S2A_USER_MSI_L2A_TL_SGS__20160615T152456_A005124_T31TCJ_N02.04"
    base = granule.removesuffix("_N02.04")
    layers = {kind: f"{base.replace('_MSI_', f'_{kind}_')}_20m" for kind in ("SCL", "AOT", "WVP")}
    images = [f"{base}_B04_10m", f"{base}_B8A_20m", *layers.values()]
    text = metadata(images, granule, tag="IMAGE_ID_2A").replace("BOA_Q", "L2A_BOA_Q")
    folder = tmp_path / f"{name}.SAFE"
    for image in images:
        resolution = "" if place == "beside" else f"R{image[-3:]}/"
        inner = resolution if "_MSI_" in image or place == "beside" else place
        path = folder / "GRANULE" / granule / "IMG_DATA" / inner / f"{image}.jp2"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (folder / f"{name.replace('_PRD_MSI', '_MTD_SAF')}.xml").write_text(text)
    product = Product(
        "x", SOURCE, "L2A", "S2A", "31TCJ", datetime.now(UTC), "x", 0, 0, 1, 1, href=str(folder)
    )
    found = Folder(str(tmp_path)).bands(product)
    assert set(found) == {"B04", "B8A", *layers}
    assert all(Path(file.href).is_file() for file in found.values())
    listed = {file.band: file.path for file in safe_files.list_folder(folder, lambda path: path)}
    assert {band for band in listed if band} == {"B04", "B8A", *layers}
    assert listed["SCL"].endswith(f"{layers['SCL']}.jp2")


def test_metadata_that_sen2cor_named_with_a_small_letter_is_found():
    read = from_texts(MTD_MSIL2a__xml=metadata([IMAGE]))
    assert safe.is_metadata("MTD_MSIL2a.xml")
    assert safe.product_of(PRODUCT, read, SOURCE).level == "L2A"


@pytest.mark.parametrize("height", ["0", "12.5", "43.1"])
@pytest.mark.parametrize("corners", [4, 5])
def test_heights_in_the_list_of_positions_are_left_out(height, corners):
    ring = [(43.0, 1.0), (44.0, 1.0), (44.0, 2.0), (43.5, 2.1), (43.0, 2.0)][-corners:]
    listed = " ".join(f"{lat} {lon} {height}" for lat, lon in [*ring, ring[0]])
    text = re.sub("<EXT_POS_LIST>.*</EXT", f"<EXT_POS_LIST>{listed}</EXT", metadata([IMAGE]))
    product = safe.product_of(PRODUCT, from_texts(MTD_MSIL2A__xml=text), SOURCE)
    assert product.footprint["coordinates"] == [[[lon, lat] for lat, lon in [*ring, ring[0]]]]


@pytest.mark.parametrize(
    "listed",
    ["51,4,51,5,50,5,50,4,51,4", "51, 4 51, 5 50, 5 50, 4 51, 4", "51 4 51 5 50 5 50 4 51.00000001 4"],
)
def test_a_list_of_positions_with_commas_or_closed_but_for_rounding_is_read(listed):
    stated = "51 4 51 5 50 5 50 4 51 4"
    texts = [metadata([IMAGE]).replace(stated, each) for each in (stated, listed)]
    assert texts[0] != texts[1]
    found = [safe.product_of(PRODUCT, from_texts(MTD_MSIL2A__xml=text), SOURCE).footprint for text in texts]
    assert found[0] == found[1]
