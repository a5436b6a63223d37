"""Files on disk that are cut off, by what their own header states."""

import numpy as np
import pytest
import rasterio

from data import shared_data
from revisit.adapters.sources.image_files import is_cut_off

FORMATS = {
    "jp2": {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"},
    "striped": {"driver": "GTiff"},
    "tiled": {"driver": "GTiff", "tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"},
    "big": {"driver": "GTiff", "BIGTIFF": "YES", "tiled": True, "blockxsize": 64, "blockysize": 64},
    "big endian": {"driver": "GTiff", "ENDIANNESS": "BIG"},
    "cog": {"driver": "COG", "compress": "deflate", "blocksize": 128},
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_cut_off_wherever_it_is_cut_and_never_when_it_is_whole(tmp_path, name):
    pixels = np.random.default_rng(1).integers(1, 9000, (300, 300)).astype("uint16")
    path = tmp_path / "image"
    with rasterio.open(
        path,
        "w",
        width=300,
        height=300,
        count=1,
        dtype="uint16",
        crs="EPSG:32631",
        transform=rasterio.Affine(10, 0, 360_000, 0, -10, 4_830_000),
        **FORMATS[name],
    ) as file:
        file.write(pixels, 1)
    assert not is_cut_off(path)
    content = path.read_bytes()
    for length in np.linspace(16, len(content) - 8, 40).astype(int):
        path.write_bytes(content[:length])
        assert is_cut_off(path), f"{length} of {len(content)} bytes"


def test_no_image_of_the_real_archives_is_cut_off():
    found = [
        path
        for folder in ("archive", "safe")
        for path in shared_data(folder).rglob("*")
        if path.suffix in (".tif", ".jp2")
    ]
    assert len(found) > 100
    assert not [path for path in found if is_cut_off(path)]


@pytest.mark.parametrize("content", [b"", b"II*\0", b"MM\0+" + b"\xff" * 60, b"no image", b"\0" * 4000])
def test_any_bytes_are_judged_without_an_error(tmp_path, content):
    path = tmp_path / "image"
    path.write_bytes(content)
    assert is_cut_off(path) in (True, False)
