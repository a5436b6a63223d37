"""Signed requests: S3 signatures by AWS's published example, tokens, and bands read through both."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from revisit.adapters.sources import download
from revisit.adapters.sources.allowed_hosts import require_allowed_url
from revisit.adapters.sources.stac_assets import band_files, files
from revisit.domain.bands import BandFile, SourceFile
from revisit.errors import PermanentError, TransientError
from revisit.net import signed_buckets
from revisit.net.signed_buckets import BucketSigner, S3Bucket, SasBucket, presign_s3
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.http_settings import HttpSettings
from revisit.pixels.raster.jp2 import write_jp2
from revisit.pixels.raster.open_band import open_band
from revisit.pixels.raster.remote_cog import RemoteCogReader

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
KEYS = {"ACCESS": "AKIDEXAMPLE", "SECRET": "wJalrXUtnFEMI"}
PIXELS = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) + 1000


def image(folder, name):
    """A file of `PIXELS`, as GeoTIFF or JPEG 2000 by its name."""
    grid = Grid("EPSG:32631", (10.0, 0.0, 600_000.0, 0.0, -10.0, 5_700_000.0), 64, 64)
    if name.endswith("jp2"):
        write_jp2(folder / name, PIXELS, grid, 64)
    else:
        profile = {
            "driver": "GTiff",
            "width": 64,
            "height": 64,
            "count": 1,
            "dtype": "uint16",
            "crs": grid.crs,
        }
        profile |= {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
        with rasterio.open(folder / name, "w", transform=Affine(*grid.transform), **profile) as out:
            out.write(PIXELS, 1)
    return (folder / name).read_bytes()


class SignedServer:
    """A token endpoint and two buckets that answer signed GET requests only, with ranges."""

    def __init__(self, folder):
        self.files = {
            "/blob/B04_10m.tif": image(folder, "B04_10m.tif"),
            "/eodata/B04_10m.jp2": image(folder, "B04_10m.jp2"),
        }
        self.tokens, self.token_answer, self.requests = 0, None, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.reply(403, b"")  # S3 signatures are for one method

            def do_GET(self):
                outer.requests.append(self.path)
                parts = urlsplit(self.path)
                if parts.path == "/token":
                    self.reply(*outer.next_token())
                elif parts.path in outer.files and outer.is_signed(self.path, self.headers["Host"]):
                    self.send(outer.files[parts.path])
                else:
                    self.reply(403, b"<Error>AccessDenied</Error>")

            def send(self, content):
                asked = self.headers.get("Range")
                if not asked:
                    self.reply(200, content)
                    return
                first, _, last = asked.removeprefix("bytes=").partition("-")
                begin = int(first) if first else len(content) - int(last)
                end = min(int(last), len(content) - 1) if first and last else len(content) - 1
                self.reply(
                    206, content[begin : end + 1], {"Content-Range": f"bytes {begin}-{end}/{len(content)}"}
                )

            def reply(self, status, content, headers=None):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def next_token(self):
        if self.token_answer:
            return self.token_answer
        self.tokens += 1
        body = {
            "msft:expiry": "2026-05-01T12:45:00Z",
            "token": f"se=2026-05-01T12%3A45Z&sig=secret{self.tokens}",
        }
        return 200, json.dumps(body).encode()

    def is_signed(self, path, host):
        query = parse_qs(urlsplit(path).query)
        if path.startswith("/blob/"):
            return query.get("sig", [""])[0] == f"secret{self.tokens}"
        signed_at = datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        extra = {"x-suffix": query["x-suffix"][0]} if "x-suffix" in query else {}
        url = f"http://{host}{urlsplit(path).path}"
        return (
            presign_s3(url, tuple(KEYS.values()), "default", signed_at, timedelta(hours=1), extra)
            == f"http://{host}{path}"
        )


@pytest.fixture
def server(tmp_path):
    made = SignedServer(tmp_path)
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def clock():
    return [NOW]


@pytest.fixture
def signer(server, clock, monkeypatch):
    buckets = (
        SasBucket(f"{server.url}/blob/", f"{server.url}/token"),
        S3Bucket(f"{server.url}/eodata/", "CDSE", "default", "ACCESS", "SECRET"),
    )
    made = BucketSigner(buckets, KEYS, lambda: clock[-1])
    monkeypatch.setattr(signed_buckets, "shared_signer", lambda: made)
    monkeypatch.setattr(signed_buckets, "SIGNED_PREFIXES", tuple(bucket.prefix for bucket in buckets))
    return made


def test_s3_signatures_are_those_of_the_published_example():
    """AWS, Authenticating Requests: Using Query Parameters (AWS Signature Version 4)."""
    signed = presign_s3(
        "https://examplebucket.s3.amazonaws.com/test.txt",
        ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        "us-east-1",
        datetime(2013, 5, 24, tzinfo=UTC),
        timedelta(days=1),
    )
    query = parse_qs(urlsplit(signed).query)
    assert query["X-Amz-Signature"] == ["aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"]
    assert query["X-Amz-Credential"] == ["AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"]


def test_a_token_is_kept_until_shortly_before_it_expires(signer, server, clock):
    url = f"{server.url}/blob/B04_10m.tif"
    assert signer.sign(url) == signer.sign(url) == f"{url}?se=2026-05-01T12%3A45Z&sig=secret1"
    clock.append(NOW + timedelta(minutes=41))
    assert signer.sign(url).endswith("sig=secret2")
    assert signer.sign(f"{server.url}/other/B04.tif") == f"{server.url}/other/B04.tif"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, b"{}"), PermanentError),
        ((200, b"<html>"), PermanentError),
        ((200, b'{"token": "a b", "msft:expiry": "2026-05-01T12:45:00Z"}'), PermanentError),
        ((200, b'{"token": "sig=x", "msft:expiry": "soon"}'), PermanentError),
        ((503, b""), TransientError),
    ],
)
def test_an_answer_that_is_no_token_is_an_error_that_names_the_endpoint(
    signer, server, monkeypatch, answer, error
):
    server.token_answer = answer
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(error, match=r"/token (answers|does not answer)"):
        signer.sign(f"{server.url}/blob/B04_10m.tif")


def test_missing_keys_are_named(server):
    signer = BucketSigner((S3Bucket(f"{server.url}/eodata/", "CDSE", "default", "ACCESS", "SECRET"),), {})
    with pytest.raises(PermanentError, match="set the environment variables ACCESS and SECRET"):
        signer.sign(f"{server.url}/eodata/B04_10m.jp2")


@pytest.mark.usefixtures("signer")
@pytest.mark.parametrize(
    ("path", "driver"), [("/blob/B04_10m.tif", "GTiff"), ("/eodata/B04_10m.jp2", "JP2OpenJPEG")]
)
def test_a_band_is_read_through_signed_requests(server, path, driver):
    remote = RemoteCogReader(HttpSettings())
    band = open_band(BandFile("B04", server.url + path, driver), remote)
    read = band.read(slice(0, 64), slice(0, 64))
    band.close()
    remote.close()
    assert (read == PIXELS).all()


@pytest.mark.usefixtures("signer")
def test_no_secret_stands_in_an_error_or_a_log(server, caplog, capfd):
    server.files = {"/eodata/B04_10m.jp2": b"no image", "/blob/B04_10m.tif": b"no image"}
    for path, driver in (("/blob/B04_10m.tif", "GTiff"), ("/eodata/B04_10m.jp2", "JP2OpenJPEG")):
        with pytest.raises(PermanentError) as refused:
            open_band(BandFile("B04", server.url + path, driver))
        printed = capfd.readouterr()
        for text in (str(refused.value), caplog.text, printed.out, printed.err):
            assert "secret" not in text
            assert "X-Amz" not in text


@pytest.mark.usefixtures("signer")
def test_a_download_is_signed(server, tmp_path):
    for path in server.files:
        download.download_file(SourceFile("x", server.url + path), tmp_path / "down" / path[-7:])
        assert (tmp_path / "down" / path[-7:]).read_bytes() == server.files[path]


CDSE_ITEM = {
    "id": "S2B_MSIL2A_20250302T095029_N0511_R079_T33UXP_20250302T104753",
    "properties": {"processing:version": "05.11", "datetime": "2025-03-02T09:50:29Z"},
    "assets": {
        key: {
            "href": f"s3://eodata/Sentinel-2/MSI/L2A/2025/03/02/S2B.SAFE/IMG_DATA/{key}.jp2",
            "type": "image/jp2",
            "auth:refs": ["s3"],
            "bands": [{"name": key[:3]}],
            "raster:scale": 0.0001,
            "raster:offset": -0.1,
            "nodata": 0,
            "alternate": {
                "https": {
                    "href": "https://download.dataspace.copernicus.eu/odata/v1/Products(1)/Nodes(x)/$value",
                    "auth:refs": ["oidc"],
                }
            },
        }
        for key in ("B04_10m", "B04_20m", "AOT_20m")
    },
}
"""In the form that CDSE's STAC 1.1 catalogue documents."""


def test_cdse_items_are_read_with_keys_and_refused_with_the_variables_without(monkeypatch):
    monkeypatch.setenv(signed_buckets.CDSE_ACCESS_KEY, "")
    found = band_files(CDSE_ITEM, require_allowed_url)
    assert not found
    assert "REVISIT_CDSE_ACCESS_KEY and REVISIT_CDSE_SECRET_KEY" in found.left_out["B04"]
    monkeypatch.setenv(signed_buckets.CDSE_ACCESS_KEY, "a")
    monkeypatch.setenv(signed_buckets.CDSE_SECRET_KEY, "b")
    found = band_files(CDSE_ITEM, require_allowed_url)
    assert (found["B04"].offset, found["AOT"].scale, found["AOT"].offset) == (-0.1, 0.001, 0.0)
    assert found["B04"].href == (
        "https://eodata.dataspace.copernicus.eu/eodata/Sentinel-2/MSI/L2A/2025/03/02/S2B.SAFE/IMG_DATA/B04_10m.jp2"
    )


def test_files_of_cdse_are_linked_without_keys(monkeypatch):
    monkeypatch.setenv(signed_buckets.CDSE_ACCESS_KEY, "")
    assert not files(CDSE_ITEM, require_allowed_url)
    links = files(CDSE_ITEM, lambda href: require_allowed_url(href, needs_keys=False))
    assert {link.href.partition("/eodata/")[0] for link in links} == {
        "https://eodata.dataspace.copernicus.eu"
    }
    assert {link.band for link in links} == {"B04", "AOT"}


def test_only_the_named_containers_are_allowed():
    allowed = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/a.tif"
    assert require_allowed_url(allowed) == allowed
    for refused in (
        "https://sentinel2l2a02.blob.core.windows.net/sentinel2-l2/a.tif",
        "https://sentinel2l2a01.blob.core.windows.net/other/a.tif",
        "https://sentinel2l2a01.blob.core.windows.net.evil.example/sentinel2-l2/a.tif",
        "https://eodata.dataspace.copernicus.eu/other/a.jp2",
        "s3://eodata2/a.jp2",
    ):
        with pytest.raises(PermanentError, match="outside the hosts"):
            require_allowed_url(refused)
