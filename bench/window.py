"""Seven bands over a 5 km AOI on one 10 m grid, over HTTP ranges that take 20 ms each; warm, and from a fresh
process.

Peers in the same run: rasterio with a thread a band, odc-stac. What GDAL and Revisit remember of a file is
forgotten before every
read, but for the case that says it is known.
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
from bench.window_readers import BANDS, BOUNDS, NORTH, SIDE, SKIP, WEST, read_odc, read_rasterio, read_revisit


def scene(side: int) -> Path:
    """A tile as Earth Search publishes one: COGs of 1024 blocks, DEFLATE and predictor 2; fields, relief and
    noise."""
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
        fields = np.kron(rng.integers(0, 6, (pixels // 40 + 1,) * 2), np.ones((40, 40), np.uint8))[
            :pixels, :pixels
        ]
        values = (fields + 2).astype(np.uint8) if band == "SCL" else np.empty((pixels, pixels), np.uint16)
        if band != "SCL":
            for row in range(0, pixels, 512):
                part = slice(row, row + 512)
                slope = (
                    400
                    * np.sin(np.arange(pixels)[part, None] / 300)
                    * np.cos(np.arange(pixels)[None, :] / 200)
                )
                values[part] = 1500 + 150 * fields[part] + slope + rng.normal(0, 15, slope.shape)
        profile = {
            "width": pixels,
            "height": pixels,
            "count": 1,
            "dtype": values.dtype.name,
            "crs": "EPSG:32631",
            "nodata": 0,
        }
        transform = library.Affine(resolution, 0, WEST, 0, -resolution, NORTH)
        options = {"compress": "deflate", "predictor": "YES", "blocksize": 1024, "num_threads": "2"}
        with library.open(
            folder / f"{band}.tif", "w", driver="COG", transform=transform, **profile, **options
        ) as file:
            file.write(values, 1)
    (folder / "done").touch()
    return folder


def aoi() -> dict:
    """The window as an AOI: 2 m smaller, so that its edges, straight in degrees, stay within the same
    pixels."""
    from pyproj import Transformer

    back = Transformer.from_crs(32631, 4326, always_xy=True)
    west, south, east, north = BOUNDS[0] + 2, BOUNDS[1] + 2, BOUNDS[2] - 2, BOUNDS[3] - 2
    return {
        "type": "Polygon",
        "coordinates": [
            [
                back.transform(*p)
                for p in ((west, south), (east, south), (east, north), (west, north), (west, south))
            ]
        ],
    }


def cold_seconds(address: str, side: int, reader: str, geometry: dict) -> float:
    """Seconds of a new interpreter that imports and reads once, and may keep what it compiles of Python, as
    installed programs do."""
    call = {
        "ours": f"read_revisit({address!r}, {geometry!r})",
        "odc": f"read_odc({address!r}, {side})",
        "threads": f"read_rasterio({address!r})",
    }[reader]
    surroundings = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    } | {"PYTHONPATH": "shared"}
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", f"from bench.window_readers import *; {call}"],
        check=True,
        env=surroundings,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - begun


def with_cleared_cache(work, clear_more=lambda: None):
    """Run after GDAL, and who else is named, has dropped what it holds of remote files."""
    from revisit.pixels.raster.gdal import load_rasterio

    library = next((Path(load_rasterio().__file__).parents[1] / "rasterio.libs").glob("libgdal*"))
    forget = ctypes.CDLL(str(library)).VSICurlClearCache

    def run():
        forget()
        clear_more()
        return work()

    return run


def needed_bytes(folder: Path) -> tuple[int, int]:
    """Tiles that the window touches, and their bytes."""
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


def main() -> None:
    from bench.range_server import read_counters, run_server
    from revisit.pixels.raster import remote_cog

    quick = arguments(__doc__).quick
    side = 4096 if quick else 10980
    folder, geometry = scene(side), aoi()
    with run_server(folder, 20) as address:
        mine, peer = read_revisit(address, geometry), read_rasterio(address)
        assert all((mine[band] == peer[band]).all() for band in ("B02", "B03", "B04", "B08", "SCL"))
        tiles, size = needed_bytes(folder)
        used = {}
        for name, work in {
            "ours": lambda: read_revisit(address, geometry),
            "rasterio": lambda: read_rasterio(address),
            "odc-stac": lambda: read_odc(address, side),
        }.items():
            read_counters(address)
            with_cleared_cache(work, remote_cog.clear_cache)()
            used[name] = read_counters(address)
            print(
                f"  {name:10s} {used[name]['requests']:4d} requests {used[name]['bytes'] / 1e6:7.2f} MB; {tiles} tiles of {size / 1e6:.2f} MB needed"
            )
        print(f"warm, {SIDE * 10 // 1000} km, {len(BANDS)} bands, 20 ms a request")
        cases = {
            "rasterio, a thread a band": with_cleared_cache(lambda: read_rasterio(address)),
            "revisit": with_cleared_cache(lambda: read_revisit(address, geometry), remote_cog.clear_cache),
            "revisit, headers known": lambda: read_revisit(address, geometry),
            "odc-stac, pool of 7": with_cleared_cache(lambda: read_odc(address, side)),
        }
        ratios = table(rounds(cases, 8 if quick else 16))
        turns = [
            {who: cold_seconds(address, side, who, geometry) for who in ("threads", "ours", "odc")}
            for _ in range(1 + (4 if quick else 9))
        ][1:]
    cold = {who: statistics.median(turn[who] for turn in turns) for who in turns[0]}
    slower = statistics.median(turn["odc"] / turn["ours"] for turn in turns)
    print(
        "a fresh process, imports included: "
        + ", ".join(f"{who} {seconds * 1e3:.0f} ms" for who, seconds in cold.items())
    )
    figure(
        "window warm / rasterio thread per band",
        f"{ratios['revisit']:.2f}x",
        "<= 1.05x",
        ratios["revisit"] <= 1.05,
    )
    faster = ratios["odc-stac, pool of 7"] / ratios["revisit"]
    figure("window warm, odc-stac / ours", f"{faster:.2f}x", ">= 1.4x", faster >= 1.4)
    figure(
        "window warm, headers known / rasterio",
        f"{ratios['revisit, headers known']:.2f}x",
        "<= 0.70x",
        ratios["revisit, headers known"] <= 0.7,
    )
    figure("window cold, odc-stac / ours", f"{slower:.1f}x", ">= 5x", slower >= 5)
    extra = used["ours"]["bytes"] / size
    figure(
        "window bytes / needed tiles",
        f"{extra:.3f}x, {used['ours']['requests']} requests",
        f"<= 1.05x, <= {tiles + len(BANDS)} requests",
        extra <= 1.05 and used["ours"]["requests"] <= tiles + len(BANDS),
    )


if __name__ == "__main__":
    main()
