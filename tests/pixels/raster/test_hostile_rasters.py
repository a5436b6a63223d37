"""Hostile, corrupt and missing rasters are refused with one sentence, and never disclose other files."""

import os
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.warp

from band_pixels import read_bands
from data import shared_data
from revisit.domain.bands import BandFile
from revisit.errors import PermanentError, TransientError
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.write_cog import write_cog

SECRET = b"root:x:0:0:a line that must not be disclosed"
SIDE = 900
GRID = Grid("EPSG:32631", (10.0, 0.0, 600000.0, 0.0, -10.0, 5000000.0), SIDE, SIDE)
AOI = {
    "type": "Polygon",
    "coordinates": [[[4.29, 45.08], [4.38, 45.08], [4.38, 45.14], [4.29, 45.14], [4.29, 45.08]]],
}

VRT = """<VRTDataset rasterXSize="{side}" rasterYSize="{side}"><SRS>EPSG:32631</SRS>
<GeoTransform>600000, 10, 0, 5000000, 0, -10</GeoTransform>
<VRTRasterBand dataType="UInt16" band="1">{source}</VRTRasterBand></VRTDataset>"""
SIMPLE = """<SimpleSource><SourceFilename relativeToVRT='0'>{name}</SourceFilename><SourceBand>1</SourceBand>
</SimpleSource>"""
RAW = """<VRTDataset rasterXSize="4" rasterYSize="4">
<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand"><SourceFilename
relativeToVRT="0">{name}</SourceFilename><ImageOffset>0</ImageOffset><PixelOffset>1</PixelOffset>
<LineOffset>4</LineOffset></VRTRasterBand></VRTDataset>"""
WMS = """<GDAL_WMS><Service name="TMS"><ServerUrl>{url}/ok/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service>
<DataWindow><UpperLeftX>600000</UpperLeftX><UpperLeftY>5000000</UpperLeftY><LowerRightX>609000</LowerRightX><LowerRightY>4991000</LowerRightY>
<SizeX>900</SizeX><SizeY>900</SizeY></DataWindow><Projection>EPSG:32631</Projection><BandsCount>1</BandsCount></GDAL_WMS>"""


def pixels(seed=1):
    return np.random.default_rng(seed).integers(1, 9000, (SIDE, SIDE)).astype(np.uint16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a good file and corrupt ones made from it."""
    folder = tmp_path_factory.mktemp("rasters")
    write_cog(folder / "good.tif", pixels(), GRID, 0, ["B02"])
    whole = (folder / "good.tif").read_bytes()
    (folder / "cut.tif").write_bytes(whole[: len(whole) // 2])
    (folder / "head.tif").write_bytes(whole[:200])
    (folder / "empty.tif").write_bytes(b"")
    (folder / "lies.jp2").write_bytes(whole)
    (folder / "secret.txt").write_bytes(SECRET)
    return folder


def requests(server):
    with urllib.request.urlopen(f"{server}/count", timeout=10) as answer:
        return int(answer.read())


def refused(href, driver="GTiff", error=PermanentError):
    """The message of the error with which a file is refused."""
    with pytest.raises(error) as caught:
        read_bands({"B02": BandFile("B02", str(href), driver)}, AOI)
    sentence = str(caught.value)
    assert "B02" in sentence and "\n" not in sentence and len(sentence) < 600
    return sentence


@pytest.mark.parametrize("suffix", ["tif", "jp2"])
@pytest.mark.parametrize("kind", ["raw", "local", "remote", "wms"])
def test_a_description_of_other_files_is_refused_under_a_raster_name(folder, server, kind, suffix):
    text = {
        "raw": RAW.format(name=folder / "secret.txt"),
        "local": VRT.format(side=SIDE, source=SIMPLE.format(name=folder / "good.tif")),
        "remote": VRT.format(side=SIDE, source=SIMPLE.format(name=f"/vsicurl/{server}/ok/good.tif")),
        "wms": WMS.format(url=server),
    }[kind]
    disguised = folder / f"{kind}.{suffix}"
    disguised.write_text(text)
    before = requests(server)
    for href in (disguised, f"{server}/ok/{disguised.name}"):
        sentence = refused(href, "GTiff" if suffix == "tif" else "JP2OpenJPEG")
        assert "cannot be read as" in sentence and "root:x" not in sentence
    fetched = requests(server) - before
    assert fetched <= 4, "only the disguised file itself may be requested"


@pytest.mark.parametrize(
    "href",
    [
        VRT.format(side=4, source=SIMPLE.format(name="/etc/hostname")),
        "<VRTDataset/>.tif",
        "/vsicurl/http://127.0.0.1/x.tif",
        "/vsimem/x.tif",
        "/vsizip//tmp/x.zip/x.tif",
        "//vsicurl/http://127.0.0.1/x.tif",
        "/vsicurl?url=http://127.0.0.1/x.tif",
        "vrt:///tmp/x.tif",
        "GTIFF_DIR:1:/tmp/x.tif",
        "NETCDF:/tmp/x.nc:band.tif",
        "relative/x.tif",
        "file:///tmp/x.tif",
        "ftp://127.0.0.1/x.tif",
        "gs://bucket/x.tif",
        "",
        "/tmp/x\n.tif",
        "<x>/tmp/x.tif",
    ],
)
def test_only_absolute_paths_and_http_urls_are_opened(href):
    assert "neither an absolute local path nor an HTTP URL" in refused(href)


def test_a_url_with_a_user_or_without_a_host_is_refused_without_its_password():
    assert "hunter2" not in refused("https://me:hunter2@127.0.0.1/x.tif")
    refused("https:///x.tif")
    refused("http://127.0.0.1/a b.tif")


def test_a_name_that_does_not_match_its_driver_is_refused(folder, server):
    before = requests(server)
    for href in (
        "/etc/passwd",
        f"{server}/ok/secret.txt",
        folder / "good.jp2",
        f"{server}/ok/secret.txt?x=.tif",
    ):
        assert "does not end in .tif" in refused(href)
    for driver in ("VRT", "WMS", "HTTP", "", "gtiff", "GTiff,VRT"):
        assert "only GTiff and JP2OpenJPEG are opened" in refused(folder / "good.tif", driver)
    assert requests(server) == before


def test_a_file_of_another_format_is_refused(folder):
    assert "cannot be read as JP2OpenJPEG" in refused(folder / "lies.jp2", "JP2OpenJPEG")
    assert "cannot be read as GTiff" in refused(folder / "empty.tif")


def test_a_truncated_file_is_refused_from_disk_and_over_http(folder, server):
    for name in ("cut.tif", "head.tif"):
        assert "cannot be read as GTiff" in refused(folder / name)
        assert "cut off" in refused(f"{server}/ok/{name}") or name == "head.tif"


def test_a_truncated_jpeg_2000_is_refused_rather_than_read_as_zeros(folder, server):
    product = shared_data("safe", "S2A_MSIL1C_20180101T105441_N0206_R051_T31TDH_20180101T124911.SAFE")
    whole = next(product.rglob("*_B01.jp2")).read_bytes()
    (folder / "cut.jp2").write_bytes(whole[:-3000])
    with rasterio.open(next(product.rglob("*_B01.jp2")), driver="JP2OpenJPEG") as file:
        west, south, east, north = rasterio.warp.transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    aoi = {
        "type": "Polygon",
        "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
    }
    for href in (folder / "cut.jp2", f"{server}/ok/cut.jp2"):
        with pytest.raises(PermanentError, match="cannot be read as JP2OpenJPEG"):
            read_bands({"B01": BandFile("B01", str(href), "JP2OpenJPEG")}, aoi)


def test_a_header_with_too_many_layers_a_wrong_dtype_or_large_blocks_is_refused(folder):
    shape = {
        "driver": "GTiff",
        "count": 1,
        "dtype": "uint16",
        "crs": "EPSG:32631",
        "sparse_ok": True,
        "transform": rasterio.Affine(10, 0, 6e5, 0, -10, 5e6),
    }
    for name, changes, sentence in (
        ("layers", {"width": 900, "height": 900, "count": 9, "tiled": True}, "holds 9 layers"),
        ("doubles", {"width": 900, "height": 900, "dtype": "float64"}, "holds float64 values"),
        (
            "blocks",
            {"width": 900, "height": 900, "tiled": True, "blockxsize": 8192, "blockysize": 8192},
            "blocks of 8192 x 8192",
        ),
    ):
        with rasterio.open(folder / f"{name}.tif", "w", **{**shape, **changes}):
            pass
        assert sentence in refused(folder / f"{name}.tif")


def test_a_decompression_bomb_is_refused_without_allocating_memory(folder):
    profile = {
        "count": 1,
        "width": 200_000,
        "height": 200_000,
        "dtype": "uint16",
        "crs": "EPSG:32631",
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "sparse_ok": True,
        "bigtiff": "YES",
    }
    with rasterio.open(
        folder / "bomb.tif",
        "w",
        driver="GTiff",
        transform=rasterio.Affine(10, 0, 6e5, 0, -10, 5e6),
        **profile,
    ):
        pass
    assert (folder / "bomb.tif").stat().st_size < 5_000_000
    output = child(f"""
        import resource
        read_bands({{"B02": BandFile("B02", {str(folder / "good.tif")!r}, "GTiff")}}, AOI)
        def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        before, begun = peak(), time.perf_counter()
        attempt({str(folder / "bomb.tif")!r})
        print("megabytes", int(peak() - before), "milliseconds", int((time.perf_counter() - begun) * 1000))
    """)
    assert "PermanentError band B02" in output and "declares 200000 x 200000 pixels" in output
    words = output.split()
    assert int(words[words.index("megabytes") + 1]) < 50


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, PermanentError),
        (403, PermanentError),
        (410, PermanentError),
        (429, TransientError),
        (500, TransientError),
        (503, TransientError),
    ],
)
def test_the_status_of_an_answer_decides_whether_an_error_is_transient(server, status, error):
    sentence = refused(f"{server}/{status}/good.tif?sig=HUSH", error=error)
    assert f"answers {status}" in sentence and "HUSH" not in sentence


def test_an_unreachable_server_is_a_transient_error():
    assert "does not answer" in refused("http://127.0.0.1:1/good.tif?sig=HUSH", error=TransientError)


def test_an_answer_that_is_cut_off_is_a_transient_error(server):
    assert "was cut off" in refused(f"{server}/cut/good.tif", error=TransientError)


def test_a_secret_in_a_url_is_in_no_message(folder, server):
    for name in ("good.tif", "cut.tif"):
        (folder / "plain.tif").write_bytes((folder / name).read_bytes())
        address = f"{server}/ok/plain.tif?X-Signature=HUSH&b=c"
        if name == "good.tif":
            assert read_bands({"B02": BandFile("B02", address, "GTiff")}, AOI).dn["B02"].any()
        else:
            assert "HUSH" not in refused(f"{server}/ok/{name}?X-Signature=HUSH&b=c")


@pytest.mark.parametrize(("name", "driver"), [("good.tif", "GTiff"), ("good.jp2", "JP2OpenJPEG")])
def test_a_server_that_hangs_times_out(server, name, driver):
    begun = time.monotonic()
    output = child(
        f"attempt('{server}/hang/{name}', '{driver}')",
        GDAL_HTTP_TIMEOUT="1",
        GDAL_HTTP_CONNECTTIMEOUT="1",
        GDAL_HTTP_RETRY_DELAY="0.1",
    )
    assert output.startswith("TransientError") and "does not answer" in output
    assert time.monotonic() - begun < 30


def test_gdal_has_limits_before_it_is_first_used():
    output = child(
        """
        from revisit.pixels.raster.gdal import load_rasterio
        library = load_rasterio()
        from rasterio.drivers import raster_driver_extensions
        with library.Env() as env:
            drivers = env.drivers()
        print(sorted(set(drivers) & {"VRT", "GTI", "WMS", "WMTS", "STACIT", "STACTA", "HTTP"}), "GTiff" in
        drivers, "COG" in drivers)
        print(*(name for name in ("GDAL_HTTP_TIMEOUT", "GDAL_HTTP_CONNECTTIMEOUT", "GDAL_HTTP_MAX_RETRY") if
        not os.environ.get(name)))
    """,
        GDAL_SKIP="",
    )
    assert output.split("\n")[:2] == ["[] True True", ""]


def test_every_raster_is_opened_with_a_stated_driver():
    package = Path(__file__).parents[3] / "shared" / "revisit"
    lines = [line for path in package.rglob("*.py") for line in path.read_text().splitlines()]
    opens = [
        line
        for line in lines
        if "library.open(" in line or "rasterio.open(" in line or "memory.open(" in line
    ]
    assert len(opens) >= 4
    assert all("driver=" in line or "**profile" in line for line in opens)
    users = {
        path.parent.name
        for path in package.rglob("*.py")
        if "import rasterio" in path.read_text() or "from rasterio" in path.read_text()
    }
    assert users <= {"raster"}


def child(script, **environment):
    """What a script prints in a new interpreter."""
    begin = textwrap.dedent(f"""
        import os, sys, time
        from revisit.domain.bands import BandFile
        from revisit.errors import PermanentError, TransientError
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        from band_pixels import read_bands
        AOI = {AOI!r}
        def attempt(href, driver="GTiff"):
            try:
                read_bands({{"B02": BandFile("B02", href, driver)}}, AOI)
            except (PermanentError, TransientError) as error:
                print(type(error).__name__, error)
    """)
    ran = subprocess.run(
        [sys.executable, "-c", begin + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_file_without_a_position_is_refused_without_a_warning(tmp_path):
    path = tmp_path / "B04.tif"
    shape = {"driver": "GTiff", "width": 16, "height": 16, "count": 1, "dtype": "uint16"}
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(path, "w", **shape) as out:
        out.write(np.ones((1, 16, 16), np.uint16))
    script = (
        "from revisit.domain.bands import BandFile\n"
        "from revisit.pixels.raster.open_band import open_band\n"
        f"open_band(BandFile('B04', {str(path)!r}, 'GTiff'))"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "always", "-c", script], capture_output=True, text=True, check=False
    )
    assert "is not in a projected CRS" in ran.stderr
    assert "NotGeoreferencedWarning" not in ran.stderr


def test_a_folder_may_have_angle_brackets_in_its_name(tmp_path):
    """Only text that begins with a bracket is XML to GDAL."""
    file = tmp_path / "archive <2024>" / "B04.tif"
    file.parent.mkdir()
    options = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 1, "dtype": "uint16"}
    options |= {"crs": GRID.crs, "transform": rasterio.Affine(*GRID.transform), "tiled": True}
    with rasterio.open(file, "w", blockxsize=256, blockysize=256, **options) as band:
        band.write(np.full((SIDE, SIDE), 7, np.uint16), 1)
    read = read_bands({"B04": BandFile("B04", str(file), "GTiff", 1.0, 0.0)}, AOI)
    assert set(np.unique(read.dn["B04"])) == {7}
