"""GDAL, set up with its doors shut before it is first used.

VRT in disguise reads any file or address, and /vsicurl waits for ever by default
(https://gdal.org/en/stable/user/configoptions.html,
https://gdal.org/en/stable/user/virtual_file_systems.html).
"""

import os
from functools import cache
from typing import Any

_FORCED_OPTIONS = {
    "GDAL_SKIP": "VRT GTI WMS WMTS STACIT STACTA HTTP",
    "GDAL_VRT_ENABLE_RAWRASTERBAND": "NO",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.tiff,.jp2",
    "GDAL_MAX_BAND_COUNT": "64",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_HTTP_NETRC": "NO",
    # What was not there a moment ago may have been stored since, by us: GDAL would remember the absence.
    "CPL_VSIL_CURL_NON_CACHED": "/vsigs/",
    # With more, tiles of a JPEG 2000 that cannot be decoded come out as zeros and nothing is raised; bands
    # are read side by side instead.
    "GDAL_NUM_THREADS": "1",
}
_DEFAULT_OPTIONS = {
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_TIMEOUT": "60",
    "GDAL_HTTP_LOW_SPEED_TIME": "15",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "100",
    "GDAL_HTTP_MAX_RETRY": "1",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_TCP_KEEPALIVE": "YES",
    # A number below 100,000 would be read as megabytes: these are bytes whichever way they are read.
    "GDAL_CACHEMAX": str(128 * 2**20),
    "CPL_VSIL_CURL_CACHE_SIZE": str(32 * 2**20),
    "VSI_CACHE": "NO",
}


@cache
def configure_gdal() -> None:
    """Put the settings into the environment; the limits among them hold for our own requests too."""
    os.environ.update(_FORCED_OPTIONS)
    for name, value in _DEFAULT_OPTIONS.items():
        os.environ.setdefault(name, value)


def gcs_options() -> dict[str, str]:
    """Settings under which /vsigs/ is opened: how GDAL finds Cloud Storage, and its token there.

    It fetches the token itself, from Google's metadata server, but does not take Cloud Run for a machine of
    Google's
    (https://gdal.org/en/stable/user/virtual_file_systems.html, CPL_MACHINE_IS_GCE).
    """
    if host := os.environ.get("STORAGE_EMULATOR_HOST"):
        return {"CPL_GS_ENDPOINT": f"{host.rstrip('/')}/", "GS_NO_SIGN_REQUEST": "YES"}
    return {"CPL_MACHINE_IS_GCE": "YES"} if "K_SERVICE" in os.environ else {}


@cache
def load_rasterio() -> Any:
    """The rasterio module, after GDAL's settings have been put where GDAL reads them: drivers register
    once."""
    configure_gdal()
    import rasterio
    import rasterio._err
    import rasterio.features
    import rasterio.io
    import rasterio.shutil

    return rasterio
