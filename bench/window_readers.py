"""One window, read by Revisit and by each peer; a reader imports what it needs when it is called."""

from collections.abc import Iterable

BANDS = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B11": 20, "B12": 20, "SCL": 20}
"""Band -> pixel size in metres."""
WEST, NORTH, SIDE, SKIP = 300000, 4900020, 500, 1724
"""The window starts 1,724 pixels from the tile's corner, so that it crosses four blocks in every band."""
BOUNDS = (WEST + SKIP * 10, NORTH - (SKIP + SIDE) * 10, WEST + (SKIP + SIDE) * 10, NORTH - SKIP * 10)

_KEPT: dict = {}
"""Thread pools, event loops and stores that outlive one read, by name."""


def remote_reader():
    """The reader of remote COGs that `read_revisit` uses, with its threads and connections."""
    from revisit.pixels.raster.http_settings import HttpSettings
    from revisit.pixels.raster.remote_cog import RemoteCogReader

    if "remote" not in _KEPT:
        _KEPT["remote"] = RemoteCogReader(HttpSettings.from_environment())
    return _KEPT["remote"]


def forget_headers() -> None:
    """Drop the headers that `remote_reader` has cached."""
    from revisit.pixels.raster.remote_cog import HeaderCache

    remote_reader().headers = HeaderCache()


def read_revisit(address: str, geometry: dict, bands: Iterable[str] = BANDS) -> dict:
    from revisit.domain.bands import BandFile
    from revisit.pixels.raster.read_plan import ReadPlan

    files = {band: BandFile(band, f"{address}/{band}.tif", "GTiff") for band in bands}
    with ReadPlan.open(files, geometry, remote=remote_reader()) as plan:
        return plan.read().dn


def _in_threads(read_band) -> dict:
    """The result of `read_band` for every band, a thread each."""
    from concurrent.futures import ThreadPoolExecutor

    if "threads" not in _KEPT:
        _KEPT["threads"] = ThreadPoolExecutor(len(BANDS))
    return dict(zip(BANDS, _KEPT["threads"].map(read_band, BANDS), strict=True))


def read_rasterio(address: str) -> dict:
    """Plain rasterio, a thread a band."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.windows import from_bounds

    def read_band(band: str):
        method = Resampling.nearest if band == "SCL" else Resampling.bilinear
        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
            rasterio.open(f"/vsicurl/{address}/{band}.tif", driver="GTiff") as file,
        ):
            window = from_bounds(*BOUNDS, file.transform)
            return file.read(1, window=window, out_shape=(SIDE, SIDE), resampling=method)

    return _in_threads(read_band)


def read_warped_vrt(address: str) -> dict:
    """rasterio's WarpedVRT on the 10 m grid, a thread a band."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    transform = rasterio.Affine(10, 0, BOUNDS[0], 0, -10, BOUNDS[3])

    def read_band(band: str):
        method = Resampling.nearest if band == "SCL" else Resampling.bilinear
        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
            rasterio.open(f"/vsicurl/{address}/{band}.tif", driver="GTiff") as file,
            WarpedVRT(
                file, crs=file.crs, transform=transform, width=SIDE, height=SIDE, resampling=method
            ) as warped,
        ):
            return warped.read(1)

    return _in_threads(read_band)


def read_async_geotiff(address: str, keep_headers: bool = False) -> dict:
    """async-geotiff over obstore for headers and tiles, Revisit's resampling onto the 10 m grid.

    The event loop runs in a thread of its own, as a caller without asyncio would use it.
    """
    import asyncio
    import threading

    from async_geotiff import GeoTIFF, Window
    from obstore.store import HTTPStore

    from revisit.geo.utm_grid import Grid
    from revisit.pixels.raster.resample import resample_pixels, source_window

    if "loop" not in _KEPT:
        _KEPT["loop"] = asyncio.new_event_loop()
        threading.Thread(target=_KEPT["loop"].run_forever, daemon=True).start()
    if address not in _KEPT:
        _KEPT[address] = HTTPStore.from_url(address, client_options={"allow_http": True}), {}
    store, headers = _KEPT[address]
    target = Grid("EPSG:32631", (10.0, 0.0, float(BOUNDS[0]), 0.0, -10.0, float(BOUNDS[3])), SIDE, SIDE)

    async def read_band(band: str):
        if band not in headers or not keep_headers:
            headers[band] = await GeoTIFF.open(f"{band}.tif", store=store, prefetch=16 * 1024)
        file = headers[band]
        a, b, x, d, e, y = (float(number) for number in file.transform[:6])
        whole = Grid(f"EPSG:{file.crs.to_epsg()}", (a, b, x, d, e, y), file.width, file.height)
        rows, columns = source_window(whole, target)
        window = Window(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        pixels = (await file.read(window=window)).data[0]
        origin = (a, b, x + a * columns.start, d, e, y + e * rows.start)
        return pixels, Grid(whole.crs, origin, pixels.shape[1], pixels.shape[0])

    async def read_all():
        return await asyncio.gather(*(read_band(band) for band in BANDS))

    read = asyncio.run_coroutine_threadsafe(read_all(), _KEPT["loop"]).result()
    return {
        band: pixels
        if grid == target
        else resample_pixels(pixels, grid, target, 0, "nearest" if band == "SCL" else "bilinear")
        for band, (pixels, grid) in zip(BANDS, read, strict=True)
    }


def read_odc(address: str, side: int):
    """odc-stac with a pool of 7."""
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
        fields = {
            "proj:shape": [pixels, pixels],
            "proj:transform": [resolution, 0, WEST, 0, -resolution, NORTH],
            "proj:epsg": 32631,
            "raster:bands": [{"data_type": "uint8" if band == "SCL" else "uint16", "nodata": 0}],
        }
        asset = pystac.Asset(
            f"{address}/{band}.tif", media_type=pystac.MediaType.COG, roles=["data"], extra_fields=fields
        )
        item.add_asset(band, asset)
    grid = GeoBox((SIDE, SIDE), Affine(10, 0, BOUNDS[0], 0, -10, BOUNDS[3]), "EPSG:32631")
    return odc.stac.load(
        [item], bands=list(BANDS), geobox=grid, resampling={"*": "bilinear", "SCL": "nearest"}, pool=7
    ).load()
