"""SAFE products against stactools' expected items, real file lists and their metadata."""

import csv
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import pytest

from data import shared_data
from revisit.adapters.sources import safe, safe_files, strict_xml
from revisit.adapters.sources.folder import Folder
from revisit.domain.bands import BANDS, SPECTRAL_BANDS
from revisit.domain.product import Product
from revisit.domain.product_name import OldProductName, ProductName, granule_number
from revisit.domain.selection import select_passes
from revisit.errors import NotFoundError, PermanentError
from revisit.geo.mgrs_tile import Tile

SOURCE = "folder:/archive"
EXPECTED_KEYS = {"B02": "blue", "B04": "red", "B8A": "nir08", "B12": "swir22"}


def reader(root: Path) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        if not (root / path).is_file():
            raise NotFoundError(path)
        return (root / path).read_bytes()

    return read


def from_texts(**files: str) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        for name, text in files.items():
            if path.endswith(name.replace("__", ".")):
                return text.encode()
        raise NotFoundError(path)

    return read


def metadata(
    images: list[str],
    granule: str = "S2A_OPER_MSI_L2A_TL_X_T31UFS_N05.09",
    level: str = "2A",
    extra: str = "",
    tag: str = "IMAGE_FILE",
) -> str:
    quantification = "BOA_QUANTIFICATION_VALUE" if level == "2A" else "QUANTIFICATION_VALUE"
    listed = "".join(f"<{tag}>{image}</{tag}>" for image in images)
    return f"""<?xml version="1.0"?><n1:Level-{level}_User_Product xmlns:n1="urn:x">
      <PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL><GENERATION_TIME>2022-12-06T13:54:52.000Z</GENERATION_TIME>
      <Granule_List><Granule granuleIdentifier="{granule}">{listed}</Granule></Granule_List>
      <{quantification}>10000</{quantification}>{extra}
      <EXT_POS_LIST>51 4 51 5 50 5 50 4 51 4</EXT_POS_LIST></n1:Level-{level}_User_Product>"""


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


# ---- bad input

PRODUCT = "/a/S2A_MSIL2A_20221206T105431_N0509_R051_T31UFS_20221206T135452.SAFE"
IMAGE = "GRANULE/L2A_T31UFS_A1_20221206T105430/IMG_DATA/R10m/T31UFS_20221206T105431_B02_10m"


@pytest.mark.parametrize(
    "image",
    [
        "../../../etc/passwd_B02_10m",
        "/etc/passwd_B02_10m",
        "GRANULE/../../x_B02_10m",
        "/vsicurl/http://127.0.0.1/x_B02_10m",
        "https://127.0.0.1/x_B02_10m",
        "GRANULE/x\\..\\y_B02_10m",
        "GRANULE/%2e%2e/x_B02_10m",
        "HTML/x_B02_10m",
        "GRANULE/a?x=/_B02_10m",
        "NETCDF:GRANULE/x_B02_10m",
        "&lt;VRTDataset&gt;/_B02_10m",
    ],
)
def test_an_image_outside_the_product_is_refused(image):
    with pytest.raises(PermanentError, match="outside the product"):
        safe.bands_of(PRODUCT, from_texts(MTD_MSIL2A__xml=metadata([IMAGE, image])))


BOMB = (
    '<!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(f'<!ENTITY lol{i} "{f"&lol{i - 1 if i > 1 else str()};" * 10}">' for i in range(1, 10))
    + "]><lolz>&lol9;</lolz>"
)
PAYLOADS = {
    "billion laughs": BOMB,
    "quadratic blow-up": f'<!DOCTYPE a [<!ENTITY a "{"x" * 50_000}">]><a>{"&a;" * 50_000}</a>',
    "external entity": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "external document type": '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/evil.dtd"><a/>',
    "parameter entity": '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/evil.dtd"> %x;]><a/>',
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_an_xml_bomb_is_refused(payload):
    with pytest.raises(PermanentError, match="document type or entities"):
        safe.bands_of(PRODUCT, from_texts(MTD_MSIL2A__xml=payload))


def test_deep_and_huge_and_broken_xml_is_refused():
    with pytest.raises(PermanentError, match="nested deeper than 64"):
        strict_xml.parse(b"<a>" * 100_000, "MTD.xml")
    assert strict_xml.parse(b"<a>" * 64 + b"</a>" * 64, "MTD.xml").tag == "a"
    with pytest.raises(PermanentError, match="more than 20,000,000"):
        strict_xml.parse(b"<a>" + b" " * 20_000_000 + b"</a>", "MTD.xml")
    for broken in (b"", b"<a>", b"not xml", b"\xff\xfe<", b'<?xml version="1.0" encoding="nonsense"?><a/>'):
        with pytest.raises(PermanentError, match="is not XML"):
            strict_xml.parse(broken, "MTD.xml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("10000</BOA", "0</BOA"), "not a number above 0"),
        (("10000</BOA", "nan</BOA"), "not a number above 0"),
        (("BOA_QUANTIFICATION_VALUE", "OTHER"), "states no quantification"),
        (("Level-2A", "Level-3A"), "neither L1C nor L2A"),
        (("T31UFS_N05.09", "TXXXXX"), None),
        (("51 4 51 5 50 5 50 4 51 4", "51 4 51 5 50 5 50 4 51 nowhere"), "not a list of numbers"),
        (("51 4 51 5 50 5 50 4 51 4", "951 4 51 5 50 5 50 4 951 4"), "not a closed ring"),
        (("2022-12-06T13:54:52.000Z", "yesterday"), "not an instant"),
        (("<Granule ", "<Other "), None),
    ],
)
def test_invalid_metadata_is_rejected_with_the_reason(change, message):
    text = metadata([IMAGE]).replace(*change)
    if change[0] == "<Granule ":
        text, message = text.replace("</Granule>", "</Other>"), "lists no granule"
    if message is None:
        assert safe.product_of(PRODUCT, from_texts(MTD_MSIL2A__xml=text), SOURCE).tile == "31UFS"
        return
    with pytest.raises(PermanentError, match=message):
        safe.product_of(PRODUCT, from_texts(MTD_MSIL2A__xml=text), SOURCE)


def test_offsets_that_leave_bands_out_are_refused():
    one = metadata([IMAGE], extra='<BOA_ADD_OFFSET band_id="1">-1000</BOA_ADD_OFFSET>')
    with pytest.raises(PermanentError, match="states offsets of B02, but none of B01, B03"):
        safe.bands_of(PRODUCT, from_texts(MTD_MSIL2A__xml=one))
    with pytest.raises(PermanentError, match="BOA_ADD_OFFSET of band_id '77'"):
        safe.bands_of(
            PRODUCT,
            from_texts(
                MTD_MSIL2A__xml=metadata([IMAGE], extra='<BOA_ADD_OFFSET band_id="77">-1000</BOA_ADD_OFFSET>')
            ),
        )


def test_offsets_are_assigned_by_the_band_ids_of_the_metadata():
    extra = "".join(f'<BOA_ADD_OFFSET band_id="{i}">{-1000 - i}</BOA_ADD_OFFSET>' for i in range(13))
    images = [IMAGE, IMAGE.replace("B02", "B08"), IMAGE.replace("B02_10m", "B8A_20m").replace("R10m", "R20m")]
    bands = safe.bands_of(PRODUCT, from_texts(MTD_MSIL2A__xml=metadata(images, extra=extra)))
    assert {name: round(file.offset, 4) for name, file in bands.items()} == {
        "B02": -0.1001,
        "B08": -0.1007,
        "B8A": -0.1008,
    }


def test_digits_of_another_script_are_not_a_number():
    odd = metadata(
        [IMAGE],
        extra='<Spectral_Information bandId="\u00b2" physicalBand="B2"/><Special_Values>'
        "<SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>\u00b2</SPECIAL_VALUE_INDEX></Special_Values>",
    )
    assert safe.bands_of(PRODUCT, from_texts(MTD_MSIL2A__xml=odd))["B02"].nodata == 0


def test_a_product_without_metadata_is_not_found():
    with pytest.raises(NotFoundError, match=r"holds no MTD_MSIL2A\.xml"):
        safe.bands_of(PRODUCT, from_texts())
