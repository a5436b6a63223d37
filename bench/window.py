"""Seven bands over a 5 km AOI on one 10 m grid, over HTTP ranges that take 20 ms each: warm and cold.

Peers in the same run: rasterio with a thread a band, rasterio's WarpedVRT, async-geotiff with obstore, and
odc-stac. What GDAL and Revisit cache of a file is dropped before every read, except where headers are known.
CPU time is that of this process, all threads together: other load on the machine hardly changes it.
"""

import ctypes
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.common import DATA, arguments, figure, rounds, table
from bench.window_readers import (
    BANDS,
    BOUNDS,
    NORTH,
    SIDE,
    SKIP,
    WEST,
    forget_headers,
    read_async_geotiff,
    read_odc,
    read_rasterio,
    read_revisit,
    read_warped_vrt,
)


def scene(side: int) -> Path:
    """The folder of a tile in the form that Earth Search publishes: COGs of 1024 blocks, DEFLATE, predictor
    2.

    The pixels are fields, relief and noise.
    """
    import numpy as np

    from revisit.pixels.raster.gdal import load_rasterio

    library = load_rasterio()
    folder = DATA / f"window{side}"
    if (folder / "done").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, (band, resolution) in enumerate(BANDS.items()):
        rng, pixels = np.random.default_rng(number), side * 10 // resolution
        field_numbers = rng.integers(0, 6, (pixels // 40 + 1,) * 2)
        fields = np.kron(field_numbers, np.ones((40, 40), np.uint8))[:pixels, :pixels]
        values = (fields + 2).astype(np.uint8) if band == "SCL" else np.empty((pixels, pixels), np.uint16)
        if band != "SCL":
            x = np.arange(pixels)
            for row in range(0, pixels, 512):
                rows = slice(row, row + 512)
                relief = 400 * np.sin(x[rows, None] / 300) * np.cos(x[None, :] / 200)
                values[rows] = 1500 + 150 * fields[rows] + relief + rng.normal(0, 15, relief.shape)
        profile = {
            "width": pixels,
            "height": pixels,
            "count": 1,
            "dtype": values.dtype.name,
            "crs": "EPSG:32631",
            "transform": library.Affine(resolution, 0, WEST, 0, -resolution, NORTH),
            "nodata": 0,
        }
        options = {"compress": "deflate", "predictor": "YES", "blocksize": 1024, "num_threads": "2"}
        with library.open(folder / f"{band}.tif", "w", driver="COG", **profile, **options) as file:
            file.write(values, 1)
    (folder / "done").touch()
    return folder


def aoi() -> dict:
    """The window as an AOI, 2 m smaller on each side: its edges are straight in degrees, and so cross no
    other pixels."""
    from pyproj import Transformer

    to_degrees = Transformer.from_crs(32631, 4326, always_xy=True)
    west, south, east, north = BOUNDS[0] + 2, BOUNDS[1] + 2, BOUNDS[2] - 2, BOUNDS[3] - 2
    corners = ((west, south), (east, south), (east, north), (west, north), (west, south))
    return {"type": "Polygon", "coordinates": [[to_degrees.transform(*corner) for corner in corners]]}


def cold_seconds(address: str, side: int, reader: str, geometry: dict) -> float:
    """Seconds of a new interpreter that imports a reader and reads once.

    It may write bytecode, as an installed program has it.
    """
    call = {
        "revisit": f"read_revisit({address!r}, {geometry!r})",
        "odc-stac": f"read_odc({address!r}, {side})",
        "rasterio": f"read_rasterio({address!r})",
        "async-geotiff": f"read_async_geotiff({address!r})",
    }[reader]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begun = time.perf_counter()
    subprocess.run(
        # _exit: async-geotiff's threads can crash the interpreter's shutdown, which is not what is timed.
        [sys.executable, "-c", f"import os; from bench.window_readers import *; {call}; os._exit(0)"],
        check=True,
        env=environment | {"PYTHONPATH": "shared"},
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - begun


def without_cache(read):
    """A reader that drops, before each read, what GDAL and Revisit have cached of remote files."""
    from revisit.pixels.raster.gdal import load_rasterio

    library = next((Path(load_rasterio().__file__).parents[1] / "rasterio.libs").glob("libgdal*"))
    clear_gdal = ctypes.CDLL(str(library)).VSICurlClearCache

    def run():
        clear_gdal()
        forget_headers()
        return read()

    return run


def needed_bytes(folder: Path) -> tuple[int, int]:
    """Number of tiles that the window touches, and their compressed bytes."""
    from revisit.pixels.raster.gdal import load_rasterio

    tiles = total = 0
    for band, resolution in BANDS.items():
        first, last = SKIP * 10 // resolution // 1024, (SKIP + SIDE) * 10 // resolution // 1024
        with load_rasterio().open(folder / f"{band}.tif", driver="GTiff") as file:
            for row in range(first, last + 1):
                for column in range(first, last + 1):
                    total += int(file.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", 1))
                    tiles += 1
    return tiles, total


def largest_differences(expected: dict, found: dict) -> tuple[int, int]:
    """Largest absolute difference in DN: of the 10 m bands and SCL, and of the bands resampled from 20 m."""
    difference = {band: int(abs(expected[band].astype(int) - found[band]).max()) for band in BANDS}
    resampled = max(difference[band] for band in ("B11", "B12"))
    return max(difference[band] for band in BANDS if band not in ("B11", "B12")), resampled


def main() -> None:
    from bench.range_server import read_counters, run_server

    quick = arguments(__doc__).quick
    side = 4096 if quick else 10980
    folder, geometry = scene(side), aoi()
    with run_server(folder, 20) as address:
        cases = {
            "rasterio, a thread a band": without_cache(lambda: read_rasterio(address)),
            "revisit": without_cache(lambda: read_revisit(address, geometry)),
            "revisit, headers known": lambda: read_revisit(address, geometry),
            "WarpedVRT, a thread a band": without_cache(lambda: read_warped_vrt(address)),
            "async-geotiff": lambda: read_async_geotiff(address),
            "async-geotiff, headers known": lambda: read_async_geotiff(address, True),
            "odc-stac, pool of 7": without_cache(lambda: read_odc(address, side)),
        }
        tiles, size = needed_bytes(folder)
        print(f"{tiles} tiles of {size / 1e6:.2f} MB are needed")
        masked, used = read_revisit(address, geometry), {}
        # The peers interpolate without a mask, as Revisit does where it reads no scene classification.
        unmasked = masked | read_revisit(address, geometry, [band for band in BANDS if band != "SCL"])
        for name, read in cases.items():
            read_counters(address)
            found = read()
            used[name] = read_counters(address)
            line = f"  {name:30s} {used[name]['requests']:4d} requests {used[name]['bytes'] / 1e6:7.2f} MB"
            if "odc" not in name:
                expected = masked if "revisit" in name else unmasked
                native, resampled = largest_differences(expected, found)
                line += f"   differs from revisit by {native} DN, resampled bands by {resampled} DN"
                assert native == 0
                assert resampled <= 1
            print(line)
        print(f"warm, {SIDE * 10 // 1000} km, {len(BANDS)} bands, 20 ms a request")
        ratios = table(rounds(cases, 8 if quick else 16))
        print("  CPU time, all threads")
        table(rounds(cases, 4 if quick else 8, clock=time.process_time))
        cold_readers = ("rasterio", "revisit", "async-geotiff", "odc-stac")
        turns = [
            {reader: cold_seconds(address, side, reader, geometry) for reader in cold_readers}
            for _ in range(1 + (4 if quick else 9))
        ][1:]
    cold = {reader: statistics.median(turn[reader] for turn in turns) for reader in cold_readers}
    slower = statistics.median(turn["odc-stac"] / turn["revisit"] for turn in turns)
    print(
        "a fresh process, imports included: "
        + ", ".join(f"{reader} {seconds * 1e3:.0f} ms" for reader, seconds in cold.items())
    )
    figure(
        "window warm / rasterio thread per band",
        f"{ratios['revisit']:.2f}x",
        "<= 1.05x",
        ratios["revisit"] <= 1.05,
    )
    faster = ratios["odc-stac, pool of 7"] / ratios["revisit"]
    figure("window warm, odc-stac / revisit", f"{faster:.2f}x", ">= 1.4x", faster >= 1.4)
    figure(
        "window warm, headers known / rasterio",
        f"{ratios['revisit, headers known']:.2f}x",
        "<= 0.70x",
        ratios["revisit, headers known"] <= 0.7,
    )
    figure("window cold, odc-stac / revisit", f"{slower:.1f}x", ">= 5x", slower >= 5)
    extra, requests = used["revisit"]["bytes"] / size, used["revisit"]["requests"]
    figure(
        "window bytes / needed tiles",
        f"{extra:.3f}x, {requests} requests",
        f"<= 1.05x, <= {tiles + len(BANDS)} requests",
        extra <= 1.05 and requests <= tiles + len(BANDS),
    )


if __name__ == "__main__":
    main()
