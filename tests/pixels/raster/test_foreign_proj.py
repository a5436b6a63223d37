"""Environment variables that another installation of GDAL and PROJ left."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, tempfile
from pathlib import Path
from pyproj import Transformer
from revisit.pixels.raster.gdal import load_rasterio
from revisit.services.operations.doctor import check_projections
rasterio = load_rasterio()
easting = Transformer.from_crs(4326, 32631).transform(0, 3)[0]
print(rasterio.crs.CRS.from_epsg(32631).to_epsg(), round(easting))
print(check_projections().ok, check_projections().message)
print([name for name in ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA") if name in os.environ])
"""


@pytest.mark.parametrize("names", [(), ("PROJ_LIB",), ("PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH")])
def test_the_data_of_another_proj_is_not_used_and_doctor_names_the_variable(names, tmp_path):
    (tmp_path / "proj.db").touch()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PROJ_", "GDAL_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment | dict.fromkeys(names, str(tmp_path)),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    crs, doctor, left = done.stdout.splitlines()
    # 3 degrees east of Greenwich is the central meridian of zone 31, whose false easting is 500 km.
    assert crs == "32631 500000" and left == "[]"
    assert doctor.startswith("True") and all(f"{name}={tmp_path}" in doctor for name in names)
