"""COGs read over HTTP without GDAL, against the same files read by GDAL from disk."""

import urllib.request

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from data import shared_data
from revisit.domain.bands import BandFile
from revisit.errors import PermanentError, TransientError
from revisit.pixels.raster import open_band as open_band_module
from revisit.pixels.raster.gdal import load_rasterio
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.http_settings import HttpSettings
from revisit.pixels.raster.open_band import open_band
from revisit.pixels.raster.remote_cog import RemoteBand, RemoteCogReader
from revisit.pixels.raster.tiff_header import decode_tile, parse_layout
from revisit.pixels.raster.write_cog import write_cog

SIDE = 1300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    load_rasterio()
    folder = tmp_path_factory.mktemp("remote")
    grid = Grid("EPSG:32631", (10.0, 0.0, 600000.0, 0.0, -10.0, 5000040.0), SIDE, SIDE)
    for name, dtype, low, high in (
        ("u2", "uint16", 0, 9000),
        ("i2", "int16", -3000, 3000),
        ("u1", "uint8", 0, 12),
    ):
        write_cog(
            folder / f"{name}.tif",
            np.random.default_rng(1).integers(low, high, (SIDE, SIDE)).astype(dtype),
            grid,
            0,
            ["B02"],
        )
    return folder


@pytest.fixture(autouse=True)
def reader(monkeypatch):
    """A reader that has no header cached, used wherever none is passed."""
    reader = RemoteCogReader(HttpSettings.from_environment())
    monkeypatch.setattr(open_band_module, "_shared_reader", lambda: reader)
    yield reader
    reader.close()


def requests(server):
    with urllib.request.urlopen(f"{server}/count", timeout=10) as answer:
        return int(answer.read())


def band(server, name, kind="ok"):
    return open_band(BandFile("B02", f"{server}/{kind}/{name}", "GTiff"))


def on_disk(path, rows, columns):
    with rasterio.open(path, driver="GTiff") as file:
        return file.read(1, window=Window.from_slices(rows, columns))


@pytest.mark.parametrize("name", ["u2", "i2", "u1"])
@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ((0, SIDE), (0, SIDE)),
        ((0, 1), (0, 1)),
        ((511, 513), (511, 513)),
        ((600, 900), (3, 1299)),
        ((1299, 1300), (1024, 1300)),
        ((512, 1024), (0, 512)),
    ],
)
def test_windows_are_read_as_gdal_reads_them_from_disk(folder, server, name, rows, columns):
    opened = band(server, f"{name}.tif")
    assert isinstance(opened, RemoteBand)
    read = opened.read(slice(*rows), slice(*columns))
    assert (read == on_disk(folder / f"{name}.tif", slice(*rows), slice(*columns))).all()
    assert read.dtype == opened.dtype and read.dtype.isnative


def test_real_cogs_are_read_as_gdal_reads_them(folder, server):
    archive = shared_data("archive")
    for item in ("S2A_29RKH_20200219_0_L2A", "S2B_31UFS_20230427_L2A_crop"):
        for path in sorted((archive / "sentinel-2-l2a" / item).glob("*.tif")):
            (folder / f"{item}_{path.name}").write_bytes(path.read_bytes())
            opened = band(server, f"{item}_{path.name}")
            assert isinstance(opened, RemoteBand), path.name
            with rasterio.open(path, driver="GTiff") as file:
                assert (opened.grid.crs, opened.grid.transform, opened.grid.shape) == (
                    f"EPSG:{file.crs.to_epsg()}",
                    tuple(file.transform[:6]),
                    file.shape,
                )
                assert (opened.read(slice(0, file.height), slice(0, file.width)) == file.read(1)).all(), (
                    path.name
                )


def test_a_header_is_requested_once_and_neighbouring_tiles_together(server):
    before = requests(server)
    band(server, "u2.tif").read(slice(0, 500), slice(0, 500))
    assert requests(server) - before == 2
    before = requests(server)
    band(server, "u2.tif").read(slice(0, 500), slice(0, 1300))
    assert requests(server) - before == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"tiled": False},
        {"compress": "lzw"},
        {"compress": "deflate", "BIGTIFF": "YES"},
        {"compress": "deflate", "ENDIANNESS": "BIG"},
        {"compress": "none"},
        {"compress": "deflate", "sparse_ok": True},
    ],
)
def test_other_kinds_of_tiff_give_the_same_pixels(folder, server, changes):
    profile = {
        "width": 300,
        "height": 300,
        "count": 1,
        "dtype": "uint16",
        "crs": "EPSG:32631",
        "tiled": True,
        "blockxsize": 128,
        "blockysize": 128,
    }
    values = np.zeros((300, 300), np.uint16)
    values[40:90, 150:290] = 77
    with rasterio.open(
        folder / "kind.tif",
        "w",
        driver="GTiff",
        transform=rasterio.Affine(10, 0, 6e5, 0, -10, 5e6),
        **(profile | changes),
    ) as file:
        file.write(values, 1)
    assert (band(server, "kind.tif").read(slice(0, 300), slice(0, 300)) == values).all()


def test_a_server_that_sends_whole_files_only_is_refused(server):
    with pytest.raises(PermanentError, match="does not send parts"):
        band(server, "u1.tif", "whole")


def test_a_redirect_is_not_followed(server):
    before = requests(server)
    with pytest.raises(PermanentError, match="redirects are not followed"):
        band(server, "u2.tif", "moved")
    assert requests(server) - before == 1


def test_an_answer_shorter_than_its_range_is_a_transient_error(server):
    with pytest.raises(TransientError, match="cut off"):
        band(server, "u2.tif", "short")


def test_a_file_replaced_after_its_header_was_read_is_a_transient_error(folder, server):
    (folder / "new.tif").write_bytes((folder / "u2.tif").read_bytes())
    opened = band(server, "new.tif")
    (folder / "new.tif").write_bytes((folder / "i2.tif").read_bytes())
    with pytest.raises(TransientError, match="was replaced"):
        opened.read(slice(0, 500), slice(0, 500))
    assert band(server, "new.tif").dtype == "int16"


def test_a_corrupt_tile_is_detected(folder, server):
    content = bytearray((folder / "u2.tif").read_bytes())
    layout = parse_layout(bytes(content[:16384]))
    for position in (layout.counts[0] // 2, layout.counts[0] - 2):
        bad = content.copy()
        bad[layout.offsets[0] + position] ^= 0x55
        (folder / "bad.tif").write_bytes(bad)
        with pytest.raises(PermanentError, match="a tile of band B02"):
            band(server, "bad.tif").read(slice(0, 500), slice(0, 500))


def test_a_tile_beyond_the_end_of_the_file_is_refused(folder, server):
    content = (folder / "u2.tif").read_bytes()
    (folder / "cut.tif").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(PermanentError, match="cut off"):
        band(server, "cut.tif").read(slice(0, SIDE), slice(0, SIDE))


def test_a_tile_that_decompresses_to_another_size_is_refused():
    import zlib

    layout = layout_of_one_tile()
    with pytest.raises(PermanentError, match="does not hold"):
        decode_tile(layout, zlib.compress(bytes(50_000_000)), "it")
    with pytest.raises(PermanentError, match="does not hold"):
        decode_tile(layout, zlib.compress(bytes(10)), "it")


def layout_of_one_tile():
    from revisit.pixels.raster.tiff_header import Layout

    grid = Grid("EPSG:32631", (10.0, 0.0, 600000.0, 0.0, -10.0, 5000040.0), 16, 16)
    return Layout(grid, "uint16", (16, 16), 1, (0,), (0,))


@given(st.data())
def test_a_corrupt_header_never_raises(folder, data):
    head = bytearray((folder / "u1.tif").read_bytes()[:2000])
    for position in data.draw(st.lists(st.integers(0, 600), max_size=8)):
        head[position] = data.draw(st.integers(0, 255))
    parse_layout(bytes(head[: data.draw(st.integers(0, 2000))]))


@given(st.binary(max_size=400))
def test_a_tile_of_random_bytes_is_refused(raw):
    with pytest.raises(PermanentError):
        decode_tile(layout_of_one_tile(), raw, "it")


def test_bytes_read_are_those_of_the_header_and_the_tiles(folder, server):
    """From disk, only the tiles are counted."""
    with rasterio.open(folder / "u2.tif", driver="GTiff") as file:
        tiles = sum(
            int(file.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", 1))
            for row in (1, 2)
            for column in (0, 1)
        )
    opened = band(server, "u2.tif")
    assert opened.bytes_read == 16 * 1024
    opened.read(slice(512, 1300), slice(0, 600))
    gaps = opened.bytes_read - 16 * 1024 - tiles
    assert 0 <= gaps <= 4 * 4096, "the gaps between neighbouring tiles are read along with them"
    again = band(server, "u2.tif")
    assert again.bytes_read == 0, "its header is cached"
    local = open_band(BandFile("B02", str(folder / "u2.tif"), "GTiff"))
    local.read(slice(512, 1300), slice(0, 600))
    assert local.bytes_read == tiles


@pytest.mark.parametrize(("dtype", "tag"), [("int16", -1), ("uint16", 65535), ("uint16", 0), ("int16", 0)])
def test_the_nodata_of_a_file_is_read_over_http_as_from_disk(folder, server, dtype, tag):
    name = f"nodata_{dtype}_{tag}.tif"
    pixels = np.random.default_rng(2).integers(-3 if dtype == "int16" else 0, 5, (600, 600)).astype(dtype)
    pixels[:300] = tag
    grid = Grid("EPSG:32631", (10.0, 0.0, 600000.0, 0.0, -10.0, 5000040.0), 600, 600)
    write_cog(folder / name, pixels, grid, tag, ["B02"])
    local = open_band(BandFile("B02", str(folder / name), "GTiff"))
    remote = band(server, name)
    with rasterio.open(folder / name) as file:
        expected = file.read(1, masked=True) * 0.0001
    for each in (local, remote):
        found = each.read(slice(0, 600), slice(0, 600))
        assert each.file.nodata == 0
        assert ((found == 0) == expected.mask).all()
        values = found * each.file.scale + each.file.offset
        assert values[~expected.mask] == pytest.approx(expected.compressed(), abs=1e-12)


def test_a_tile_that_was_never_written_has_no_data_whatever_the_item_states(folder, server):
    name, side = "sparse_nodata.tif", 1024
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "uint16", "tiled": True}
    shape = {"blockxsize": 512, "blockysize": 512, "crs": "EPSG:32631", "compress": "deflate"}
    place = rasterio.Affine(10, 0, 600000, 0, -10, 5000040)
    with rasterio.open(folder / name, "w", transform=place, sparse_ok=True, **profile, **shape) as file:
        file.write(np.ones((512, 512), "uint16"), 1, window=Window(0, 0, 512, 512))
    for stated, inside in ((65535, 2), (-9999, 1)):  # with 65535, 0 would be a value: all move up by 1
        item = BandFile("B02", f"{server}/ok/{name}", "GTiff", nodata=stated, nodata_stated=True)
        read = open_band(item).read(slice(0, side), slice(0, side))
        assert read[:512, :512].min() == read[:512, :512].max() == inside
        assert not read[512:].any()
