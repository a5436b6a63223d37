"""COGs in a bucket, read by GDAL in byte ranges, against the same files on disk."""

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import rasterio

from data import shared_data
from emulators.storage import create_bucket, set_faults
from revisit.errors import PermanentError, TransientError
from revisit.pixels.raster.gdal import gcs_options
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.read_cog import read_cog
from revisit.pixels.raster.write_cog import MEDIA_TYPE, write_cog

BANDS = ("B02", "B03", "B04", "B08")
SIDE = 2048


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """An incompressible COG of 45 MB: its bytes and its pixels."""
    file = tmp_path_factory.mktemp("noise") / "x.tif"
    pixels = np.random.default_rng(7).integers(0, 2**16, (len(BANDS), SIDE, SIDE), np.uint16)
    write_cog(file, pixels, Grid("EPSG:32632", (10, 0, 500_000, 0, -10, 5_000_000), SIDE, SIDE), 0, BANDS)
    return file.read_bytes(), pixels


@pytest.fixture
def stored(assets, noise, tmp_path):
    """The COG in the bucket: its path, its bytes and its pixels."""
    (tmp_path / "x.tif").write_bytes(noise[0])
    assets.store(tmp_path / "x.tif", "jobs/j/bands.tif", MEDIA_TYPE)
    return assets.locate("jobs/j/bands.tif"), *noise


@pytest.fixture
def read_by_gdal(server):
    """Returns the requests that GDAL sends while a function runs."""

    def during(work):
        before = len(server.request_log())
        work()
        return [line for line in server.request_log()[before:] if line["agent"].startswith("GDAL")]

    return during


def test_real_bands_are_read_from_the_bucket_bit_for_bit(assets, tmp_path):
    files = (
        sorted(shared_data("archive", "sentinel-2-l2a").glob("*/*.tif"))[:12]
        + sorted(shared_data("cog_29RKH").glob("B0*.tif"))[:3]
    )
    assert len(files) == 15
    for number, file in enumerate(files):
        path = f"jobs/j{number}/{file.name}"
        assets.store(shutil.copy(file, tmp_path) and tmp_path / file.name, path, MEDIA_TYPE)
        arrays, grid, _ = read_cog(assets.locate(path))
        with rasterio.open(file) as original:
            assert np.array_equal(np.stack(list(arrays.values())), original.read())
            assert grid.shape == original.shape
            assert grid.transform == tuple(original.transform)[:6]
            assert next(iter(arrays.values())).dtype == original.dtypes[0]
        assert assets.read(path) == file.read_bytes()


def test_one_band_of_four_is_read_by_ranges_without_the_others(stored, read_by_gdal):
    path, content, pixels = stored
    read = []
    requests = read_by_gdal(lambda: read.append(read_cog(path, ("B04",))[0]["B04"]))
    assert np.array_equal(read[0], pixels[2])
    assert all(line["status"] == 206 and line["range"] for line in requests)
    assert SIDE * SIDE * 2 <= sum(line["sent"] for line in requests) < 0.21 * len(content), (
        "one band of the four and their overviews, which are 5.3 bands' worth of bytes"
    )
    assert len(requests) <= 4


def test_a_window_is_read_by_ranges_alone(stored, read_by_gdal):
    path, content, pixels = stored

    def work():
        with rasterio.Env(**gcs_options()), rasterio.open(path, driver="GTiff") as file:
            assert np.array_equal(
                file.read(2, window=((600, 700), (900, 1000))), pixels[1, 600:700, 900:1000]
            )

    requests = read_by_gdal(work)
    assert all(line["status"] == 206 and line["range"] for line in requests)
    assert sum(line["sent"] for line in requests) < 0.05 * len(content)


def test_an_asset_that_was_missing_is_read_after_it_is_stored(assets, stored, tmp_path):
    with pytest.raises(PermanentError, match=r"late\.tif cannot be read.*404"):
        read_cog(assets.locate("a/late.tif"))
    (tmp_path / "late.tif").write_bytes(stored[1])
    assets.store(tmp_path / "late.tif", "a/late.tif", MEDIA_TYPE)
    assert np.array_equal(read_cog(assets.locate("a/late.tif"), ("B02",))[0]["B02"], stored[2][0])


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (503, TransientError),
        (500, TransientError),
        (429, TransientError),
        (408, TransientError),
        (403, PermanentError),
        (404, PermanentError),
    ],
)
def test_the_status_of_a_bucket_decides_whether_an_error_is_transient(stored, server, status, outcome):
    set_faults(server.host, {"target": "bands.tif", "status": status, "times": 100})
    with pytest.raises(outcome, match=str(status)):
        read_cog(stored[0])
    set_faults(server.host)
    assert read_cog(stored[0], ("B02",))[0]["B02"].shape == (SIDE, SIDE), "GDAL does not cache the failure"


def test_a_bucket_that_fails_in_the_middle_of_a_file_is_a_transient_error(stored, server):
    set_faults(
        server.host, {"target": "bands.tif", "times": 1}, {"target": "bands.tif", "status": 503, "times": 100}
    )
    with pytest.raises(TransientError, match="cannot be read now"):
        read_cog(stored[0])


def test_an_object_that_is_no_raster_is_refused(assets, tmp_path):
    (tmp_path / "a.tif").write_bytes(b"<VRTDataset/>" * 100)
    assets.store(tmp_path / "a.tif", "a/a.tif", MEDIA_TYPE)
    with pytest.raises(PermanentError, match="not recognized"):
        read_cog(assets.locate("a/a.tif"))


def test_an_unreachable_bucket_is_a_transient_error(stored, server):
    server.stop()
    try:
        with pytest.raises(TransientError, match="cannot be read now"):
            read_cog(stored[0])
    finally:
        server.start()


class MetadataServer(BaseHTTPRequestHandler):
    """The tokens of Google's metadata server
    (https://cloud.google.com/compute/docs/access/authenticate-workloads)."""

    def do_GET(self):
        assert self.headers["Metadata-Flavor"] == "Google"
        body = json.dumps(
            {"access_token": "of-the-machine", "expires_in": 3599, "token_type": "Bearer"}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


READING = """
import sys
from revisit.pixels.raster.read_cog import read_cog
print(read_cog(sys.argv[1], ('B02',))[0]['B02'].sum())
"""


def test_gdal_reads_a_private_bucket_with_the_machines_token_on_cloud_run(server, assets, stored, tmp_path):
    _, content, pixels = stored
    create_bucket(server.host, "private-one", iamConfiguration={"publicAccessPrevention": "enforced"})
    assets._client.bucket("private-one").blob("x.tif").upload_from_string(content)
    metadata = ThreadingHTTPServer(("127.0.0.1", 0), MetadataServer)
    threading.Thread(target=metadata.serve_forever, daemon=True).start()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CPL_GS_ENDPOINT": f"{server.host}/",
        "CPL_GCE_CREDENTIALS_URL": f"http://127.0.0.1:{metadata.server_port}/computeMetadata/v1/instance/service-accounts/default/token",
    }
    try:
        on_cloud_run, elsewhere = (
            subprocess.run(
                [sys.executable, "-c", READING, "/vsigs/private-one/x.tif"],
                env=environment | more,
                capture_output=True,
                text=True,
            )
            for more in ({"K_SERVICE": "index"}, {})
        )
    finally:
        metadata.shutdown()
    assert on_cloud_run.stdout.strip() == str(pixels[0].astype(np.uint64).sum())
    assert elsewhere.returncode and "credentials" in elsewhere.stderr
