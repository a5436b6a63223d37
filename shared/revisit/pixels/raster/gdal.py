"""GDAL, configured with limits before it is first used.

Without them a VRT under another name reads any file or address, and /vsicurl waits without a limit
(https://gdal.org/en/stable/user/configoptions.html,
https://gdal.org/en/stable/user/virtual_file_systems.html).

The limits are set as environment variables, not with `rasterio.Env`: off the main thread, Env sets options
for the calling thread alone, and the time-outs must hold on every thread that reads, those of GDAL included.
"""

import os
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from revisit.pixels.raster.http_settings import HttpSettings

_FORCED_OPTIONS = {
    "GDAL_SKIP": "VRT GTI WMS WMTS STACIT STACTA HTTP",
    "GDAL_VRT_ENABLE_RAWRASTERBAND": "NO",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.tiff,.jp2",
    "GDAL_MAX_BAND_COUNT": "64",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_HTTP_NETRC": "NO",
    # GDAL caches that an object does not exist; we may have stored it since.
    "CPL_VSIL_CURL_NON_CACHED": "/vsigs/",
    # With more threads, GDAL returns zeros for JPEG 2000 tiles that cannot be decoded and raises nothing.
    # We read bands in parallel instead.
    "GDAL_NUM_THREADS": "1",
}
_DEFAULT_OPTIONS = {
    "GDAL_HTTP_LOW_SPEED_LIMIT": "100",
    "GDAL_HTTP_MAX_RETRY": "1",
    "GDAL_HTTP_TCP_KEEPALIVE": "YES",
    # GDAL reads a number below 100,000 as megabytes and a larger one as bytes.
    "GDAL_CACHEMAX": str(128 * 2**20),
    "CPL_VSIL_CURL_CACHE_SIZE": str(32 * 2**20),
    "VSI_CACHE": "NO",
}


_FOREIGN_VARIABLES = ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH")
"""Where the data and drivers of a GDAL or PROJ are; another installation's have another version."""


@cache
def ignored_variables() -> dict[str, str]:
    """Variables of the environment that name another installation of GDAL or PROJ, removed from it.

    rasterio's own packages hold the data of their GDAL and PROJ. Where rasterio was built against those of
    the system, the variables may be needed, and stay.
    """
    package = find_spec("rasterio")
    folders = package.submodule_search_locations if package else None
    if not folders or not any((Path(folder) / "proj_data").is_dir() for folder in folders):
        return {}
    return {name: os.environ.pop(name) for name in _FOREIGN_VARIABLES if name in os.environ}


@cache
def configure_gdal() -> None:
    """Set GDAL's options for the whole process; those of `_DEFAULT_OPTIONS` only where they are unset."""
    ignored_variables()
    os.environ.update(_FORCED_OPTIONS)
    for name, value in (_DEFAULT_OPTIONS | HttpSettings.from_environment().gdal_options).items():
        os.environ[name] = os.environ.get(name) or value


def gcs_options() -> dict[str, str]:
    """Options under which /vsigs/ is opened: the endpoint of Cloud Storage and how GDAL authenticates.

    GDAL fetches the token itself from the metadata server, but does not recognise Cloud Run as a Google
    machine (https://gdal.org/en/stable/user/virtual_file_systems.html, CPL_MACHINE_IS_GCE).
    """
    if host := os.environ.get("STORAGE_EMULATOR_HOST"):
        return {"CPL_GS_ENDPOINT": f"{host.rstrip('/')}/", "GS_NO_SIGN_REQUEST": "YES"}
    return {"CPL_MACHINE_IS_GCE": "YES"} if "K_SERVICE" in os.environ else {}


@cache
def load_rasterio() -> Any:
    """The rasterio module, imported after `configure_gdal`: GDAL registers its drivers once."""
    configure_gdal()
    import rasterio
    import rasterio.features
    import rasterio.io
    import rasterio.shutil
    from rasterio.errors import NotGeoreferencedWarning

    # `open_band` refuses a file without a position, with a reason, and a PNG needs none. A filter for
    # one call would not be safe: bands are opened on several threads.
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    return rasterio


@cache
def gdal_errors() -> tuple[type[Exception], ...]:
    """What rasterio raises when GDAL fails, for an `except`.

    `rasterio.shutil.copy` raises GDAL's own errors, and rasterio names their base class in a private module
    only.
    """
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError

    return RasterioError, CPLE_BaseError
