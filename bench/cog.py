"""Time and size of writing a COG, against GDAL's COG driver and rio-cogeo's deflate profile.

int16, blocks of 512, overviews, DEFLATE with predictor 2 from libdeflate. The peers keep its level 6; Revisit
uses level 1, which gives a smaller file here.
"""

import warnings
from pathlib import Path

from bench.common import DATA, arguments, figure, rounds, table


def ndvi(side: int):
    """NDVI x 10,000 of fields and noise, int16, shape (side, side)."""
    import numpy as np

    rng = np.random.default_rng(4)
    fields = np.kron(rng.random((side // 40 + 1,) * 2, np.float32), np.ones((40, 40), np.float32))[
        :side, :side
    ]
    out = np.empty((side, side), np.int16)
    for row in range(0, side, 512):
        rows = slice(row, row + 512)
        out[rows] = np.rint((0.2 + 0.6 * fields[rows] + rng.normal(0, 0.01, fields[rows].shape)) * 1e4)
    return out


def cases(array, folder: Path) -> dict:
    """The writers by name; each writes its own file in the folder."""
    from rio_cogeo.cogeo import cog_translate
    from rio_cogeo.profiles import cog_profiles

    from revisit.pixels.raster.gdal import load_rasterio
    from revisit.pixels.raster.grid import Grid
    from revisit.pixels.raster.write_cog import write_cog

    library = load_rasterio()
    from rasterio.shutil import copy

    side = len(array)
    grid = Grid("EPSG:32631", (10.0, 0.0, 300000.0, 0.0, -10.0, 4900020.0), side, side)
    plain = {
        "driver": "GTiff",
        "width": side,
        "height": side,
        "count": 1,
        "dtype": "int16",
        "crs": grid.crs,
        "nodata": -32768,
        "transform": library.Affine(*grid.transform),
    }

    def write_with_gdal() -> None:
        with library.io.MemoryFile() as memory:
            with memory.open(**plain, tiled=True, blockxsize=512, blockysize=512) as file:
                file.write(array, 1)
            copy(
                memory.name,
                folder / "gdal.tif",
                driver="COG",
                compress="deflate",
                predictor="yes",
                blocksize=512,
                num_threads="2",
            )

    def write_with_rio_cogeo() -> None:
        with library.io.MemoryFile() as memory:
            with memory.open(**plain) as file:
                file.write(array, 1)
            with memory.open(driver="GTiff") as file:
                cog_translate(
                    file,
                    folder / "rio.tif",
                    cog_profiles.get("deflate") | {"predictor": 2},
                    in_memory=True,
                    quiet=True,
                )

    def write_with_revisit() -> None:
        write_cog(folder / "revisit.tif", array, grid, -32768, ["NDVI"], 0.0001)

    return {
        "GDAL's COG driver, 2 threads": write_with_gdal,
        "revisit": write_with_revisit,
        "rio-cogeo, its deflate profile": write_with_rio_cogeo,
    }


def main() -> None:
    quick = arguments(__doc__).quick
    warnings.filterwarnings("ignore")
    from rio_cogeo.cogeo import cog_validate

    folder = DATA / "cog"
    folder.mkdir(exist_ok=True)
    for side, count in ((500, 15), (2048, 5)) if quick else ((500, 25), (2048, 7), (10980, 3)):
        print(f"{side} x {side} int16")
        ratios = table(rounds(cases(ndvi(side), folder), count))
        size = (folder / "revisit.tif").stat().st_size / (folder / "gdal.tif").stat().st_size
        faster = ratios["rio-cogeo, its deflate profile"] / ratios["revisit"]
        valid = cog_validate(folder / "revisit.tif", strict=True)[0]
        figure(
            f"cog {side} / GDAL's driver", f"{ratios['revisit']:.2f}x", "<= 1.05x", ratios["revisit"] <= 1.05
        )
        figure(f"cog {side}, rio-cogeo / revisit", f"{faster:.2f}x", ">= 1.5x", faster >= 1.5)
        figure(
            f"cog {side} size / GDAL's driver",
            f"{size:.3f}x, valid: {valid}",
            "<= 1.02x",
            size <= 1.02 and valid,
        )


if __name__ == "__main__":
    main()
