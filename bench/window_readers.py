"""One window, read by us and by the peers. Imports nothing by itself, so that a fresh process pays for its
reader alone."""

BANDS = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B11": 20, "B12": 20, "SCL": 20}
WEST, NORTH, SIDE, SKIP = 300000, 4900020, 500, 1724
"""The window begins 1,724 pixels from the tile's corner, so that it crosses four blocks in every band."""
BOUNDS = (WEST + SKIP * 10, NORTH - (SKIP + SIDE) * 10, WEST + (SKIP + SIDE) * 10, NORTH - SKIP * 10)

POOL: list = []
"""Of the threads that `read_rasterio` keeps."""


def read_revisit(address: str, geometry: dict) -> dict:
    from revisit.domain.bands import BandFile
    from revisit.pixels.raster.read_plan import read_bands

    return read_bands({band: BandFile(band, f"{address}/{band}.tif", "GTiff") for band in BANDS}, geometry).dn


def read_rasterio(address: str) -> dict:
    """Plain rasterio, a thread a band."""
    from concurrent.futures import ThreadPoolExecutor

    import rasterio
    from rasterio.enums import Resampling
    from rasterio.windows import from_bounds

    def one(band: str):
        how = Resampling.nearest if band == "SCL" else Resampling.bilinear
        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
            rasterio.open(f"/vsicurl/{address}/{band}.tif", driver="GTiff") as file,
        ):
            return file.read(
                1, window=from_bounds(*BOUNDS, file.transform), out_shape=(SIDE, SIDE), resampling=how
            )

    if not POOL:
        POOL.append(ThreadPoolExecutor(len(BANDS)))
    return dict(zip(BANDS, POOL[0].map(one, BANDS), strict=True))


def read_odc(address: str, side: int):
    import datetime

    import odc.stac
    import pystac
    from odc.geo.geobox import GeoBox
    from rasterio import Affine

    box = {"type": "Polygon", "coordinates": [[[-1, 42], [3, 42], [3, 46], [-1, 46], [-1, 42]]]}
    item = pystac.Item(
        "bench",
        box,
        [-1, 42, 3, 46],
        datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC),
        {"proj:code": "EPSG:32631", "proj:epsg": 32631},
    )
    item.stac_extensions.append("https://stac-extensions.github.io/projection/v1.1.0/schema.json")
    for band, resolution in BANDS.items():
        pixels = side * 10 // resolution
        about = {
            "proj:shape": [pixels, pixels],
            "proj:transform": [resolution, 0, WEST, 0, -resolution, NORTH],
            "proj:epsg": 32631,
            "raster:bands": [{"data_type": "uint8" if band == "SCL" else "uint16", "nodata": 0}],
        }
        item.add_asset(
            band,
            pystac.Asset(
                f"{address}/{band}.tif", media_type=pystac.MediaType.COG, roles=["data"], extra_fields=about
            ),
        )
    grid = GeoBox((SIDE, SIDE), Affine(10, 0, BOUNDS[0], 0, -10, BOUNDS[3]), "EPSG:32631")
    return odc.stac.load(
        [item], bands=list(BANDS), geobox=grid, resampling={"*": "bilinear", "SCL": "nearest"}, pool=7
    ).load()
