"""COGs and previews: valid, read back as written, and written atomically."""

import os
import resource
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from revisit.errors import InvalidInputError, PermanentError
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.read_cog import read_cog
from revisit.pixels.raster.write_cog import write_cog, write_preview, write_rgb_preview

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")  # a PNG is not georeferenced

GRID = Grid("EPSG:32631", (10.0, 0.0, 600000.0, 0.0, -10.0, 5000040.0), 1100, 700)


def noise(*shape, dtype="int16"):
    return np.random.default_rng(5).integers(-3000, 3000, shape).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "nodata", "predictor"),
    [("int16", -32768, "2"), ("uint16", 0, "2"), ("uint8", 0, "2"), ("float32", np.nan, "3")],
)
def test_a_cog_is_valid_and_states_names_scale_offset_and_nodata(tmp_path, dtype, nodata, predictor):
    path, array = tmp_path / "x.tif", noise(2, 700, 1100, dtype=dtype)
    write_cog(path, array, GRID, nodata, ["B02", "NDVI"], [0.0001, 1.0], [-0.1, 0.0], {"MASK": "SCL"})
    valid, errors, warnings = cog_validate(path, strict=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(path, driver="GTiff") as file:
        assert (file.read() == array).all()
        assert file.descriptions == ("B02", "NDVI")
        assert (file.scales, file.offsets) == ((0.0001, 1.0), (-0.1, 0.0))
        assert file.nodata == nodata or (np.isnan(nodata) and np.isnan(file.nodata))
        assert file.tags()["MASK"] == "SCL"
        assert file.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "DEFLATE"
        assert file.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == predictor
        assert file.block_shapes == [(512, 512)] * 2
        assert file.overviews(1) == [2, 4]
        assert file.crs.to_epsg() == 32631
        assert tuple(file.transform[:6]) == GRID.transform


def test_a_small_cog_has_no_overviews(tmp_path):
    write_cog(tmp_path / "x.tif", noise(40, 30), Grid(GRID.crs, GRID.transform, 30, 40), -32768, ["NDVI"])
    assert cog_validate(tmp_path / "x.tif", strict=True)[0]
    with rasterio.open(tmp_path / "x.tif", driver="GTiff") as file:
        assert file.overviews(1) == []


def test_a_cog_is_read_back_as_it_was_written(tmp_path):
    array = noise(3, 700, 1100)
    write_cog(tmp_path / "x.tif", array, GRID, -32768, ["B02", "B03", "B04"], 0.0001, -0.1, {"a": "b"})
    arrays, grid, meta = read_cog(tmp_path / "x.tif", ("B04", "B02"))
    assert list(arrays) == ["B04", "B02"]
    assert (arrays["B04"] == array[2]).all() and (arrays["B02"] == array[0]).all()
    assert grid == GRID
    assert meta.scale == dict.fromkeys(["B02", "B03", "B04"], 0.0001) and meta.offset["B03"] == -0.1
    assert meta.nodata == -32768 and meta.tags == {"a": "b"}


def test_reading_a_missing_band_or_file_or_a_corrupt_file_is_refused(tmp_path):
    write_cog(tmp_path / "x.tif", noise(700, 1100), GRID, -32768, ["NDVI"])
    with pytest.raises(PermanentError, match="no band EVI; it has NDVI"):
        read_cog(tmp_path / "x.tif", ("EVI",))
    with pytest.raises(PermanentError, match=r"none\.tif"):
        read_cog(tmp_path / "none.tif")
    whole = (tmp_path / "x.tif").read_bytes()
    (tmp_path / "x.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PermanentError, match="cannot be read"):
        read_cog(tmp_path / "x.tif")


def test_arrays_grids_and_names_that_do_not_match_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="does not fit a grid"):
        write_cog(tmp_path / "x.tif", noise(10, 10), GRID, None, ["a"])
    with pytest.raises(InvalidInputError, match="1 bands need 1 names, not a, b"):
        write_cog(tmp_path / "x.tif", noise(700, 1100), GRID, None, ["a", "b"])
    with pytest.raises(InvalidInputError, match="need 1 scales or offsets, not 2"):
        write_cog(tmp_path / "x.tif", noise(700, 1100), GRID, None, ["a"], [1.0, 2.0])
    assert list(tmp_path.iterdir()) == []


def test_a_file_over_the_size_limit_leaves_nothing(tmp_path):
    """In a child process, because the limit cannot be raised again."""
    script = textwrap.dedent(f"""
        import resource, sys
        import numpy as np
        from revisit.errors import PermanentError, TransientError
        from revisit.pixels.raster.grid import Grid
        from revisit.pixels.raster.write_cog import write_cog
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            pixels = np.random.default_rng(1).integers(0, 9999, (500, 500)).astype("int16")
            write_cog({str(tmp_path / "x.tif")!r}, pixels,
                      Grid("EPSG:32631", (10.0, 0.0, 6e5, 0.0, -10.0, 5e6), 500, 500), 0, ["a"])
        except (PermanentError, TransientError) as error:
            print(type(error).__name__, error)
    """)
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert output.startswith("PermanentError") and "cannot be written: File too large" in output
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 50_000


def test_a_full_disk_is_a_transient_error_and_keeps_the_previous_file(tmp_path, monkeypatch):
    from revisit.errors import TransientError

    (tmp_path / "x.tif").write_bytes(b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TransientError, match=r"disk is full.*free some space"):
        write_cog(tmp_path / "x.tif", noise(700, 1100), GRID, -32768, ["NDVI"])
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.tif", b"old")]


def test_a_missing_or_read_only_folder_is_named(tmp_path):
    with pytest.raises(PermanentError, match=r"nowhere/x\.tif cannot be written: No such file"):
        write_cog(tmp_path / "nowhere" / "x.tif", noise(700, 1100), GRID, -32768, ["NDVI"])
    with pytest.raises(PermanentError, match="cannot be written"):
        write_cog("/proc/x.tif", noise(700, 1100), GRID, -32768, ["NDVI"])


def test_a_preview_is_transparent_where_it_is_masked_or_nan(tmp_path):
    value = np.linspace(-1, 1, 1100)[None, :].repeat(700, axis=0)
    value[:10] = np.nan
    mask = np.ones((700, 1100), bool)
    mask[:, 550:] = False
    write_preview(tmp_path / "x.png", value, mask, -1, 1)
    with rasterio.open(tmp_path / "x.png", driver="PNG") as file:
        red, green, blue, alpha = file.read()
    assert max(alpha.shape) <= 512
    assert (alpha[:, alpha.shape[1] // 2 + 1 :] == 0).all() and (
        alpha[5:, : alpha.shape[1] // 2 - 1] == 255
    ).all()
    assert (alpha[:3] == 0).all()
    assert (red[-1, 0], green[-1, 0], blue[-1, 0]) == (68, 45, 96)
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_values_beyond_the_range_have_the_first_or_last_colour(tmp_path):
    write_preview(tmp_path / "x.png", np.array([[-9.0, 0.0, 9.0]]), np.ones((1, 3), bool), 0, 1)
    with rasterio.open(tmp_path / "x.png", driver="PNG") as file:
        colours = file.read()[:3, 0].T.tolist()
    assert colours[0] == colours[1] == [68, 45, 96]
    assert colours[2] == [8, 72, 46]


def test_an_empty_range_and_a_mask_of_another_shape_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="minimum 1 must be below its maximum 1"):
        write_preview(tmp_path / "x.png", np.ones((3, 3)), np.ones((3, 3), bool), 1, 1)
    with pytest.raises(InvalidInputError, match="does not fit a mask"):
        write_preview(tmp_path / "x.png", np.ones((3, 3)), np.ones((3, 4), bool), 0, 1)


def test_true_colour_is_white_at_its_maximum_and_black_at_zero(tmp_path):
    band = np.array([[0.0, 0.3, 5.0]])
    write_rgb_preview(tmp_path / "x.png", band, band, band, np.array([[True, True, False]]))
    with rasterio.open(tmp_path / "x.png", driver="PNG") as file:
        assert file.read()[:, 0].T.tolist() == [[0, 0, 0, 255], [255, 255, 255, 255], [0, 0, 0, 0]]
