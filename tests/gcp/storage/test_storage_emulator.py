"""The storage server is judged by clients that are not ours, and beside another server."""

import hashlib
import os
import shutil
import subprocess
import urllib.error
import urllib.request

import pytest

from data import skip_or_fail
from emulators import new_project
from emulators.storage import create_bucket, registry_emulator, storage
from revisit.adapters.gcp.assets import BucketAssets
from revisit.adapters.gcp.settings import Settings


@pytest.fixture(scope="module", params=["ours", "another"])
def either(request):
    """Each of two servers, which clients of this process then find."""
    started = (storage() if request.param == "ours" else registry_emulator()).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(started.variable, started.host)
        yield started
    started.stop()


@pytest.fixture
def plain(either):
    """An empty bucket by Google's own client."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    project = new_project()
    return Client(project, AnonymousCredentials()).create_bucket(f"{project}-revisit-results")


def test_assets_are_stored_and_read_on_either_server(plain, tmp_path):
    assets = BucketAssets(
        Settings(plain.name.removesuffix("-revisit-results"), location="us-central1"), timeout_s=10
    )
    for size in (10, 20_000_000):
        content = os.urandom(size)
        (tmp_path / "x").write_bytes(content)
        asset = assets.store(tmp_path / "x", f"a/{size}.tif", "image/tiff")
        assert (asset.size, asset.sha256) == (size, hashlib.sha256(content).hexdigest())
        assert assets.read(f"a/{size}.tif") == content
        blob = plain.get_blob(f"a/{size}.tif")
        assert (blob.content_type, blob.metadata["sha256"]) == ("image/tiff", asset.sha256)
        assert blob.download_as_bytes(start=3, end=5) == content[3:6]
    assert sorted(blob.name for blob in plain.list_blobs(prefix="a/")) == ["a/10.tif", "a/20000000.tif"]


def test_names_are_listed_by_prefix_and_page_on_either_server(plain):
    for name in ("a/1", "a/2", "b/c/3", "d"):
        plain.blob(name).upload_from_string(name)
    assert [blob.name for blob in plain.list_blobs(prefix="a/")] == ["a/1", "a/2"]
    found = plain.list_blobs(delimiter="/")
    assert [blob.name for blob in found] == ["d"] and found.prefixes == {"a/", "b/"}
    composed = plain.blob("e")
    composed.compose([plain.blob("a/1"), plain.blob("d")])
    assert composed.download_as_bytes() == b"a/1d"
    plain.blob("d").delete()
    assert plain.get_blob("d") is None


def test_pages_of_a_list_leave_nothing_out_and_repeat_nothing(bucket):
    names = [f"n/{number:03d}" for number in range(25)]
    for name in names:
        bucket.blob(name).upload_from_string(b"x")
    pages = [[blob.name for blob in page] for page in bucket.list_blobs(page_size=10).pages]
    assert [len(page) for page in pages] == [10, 10, 5] and [name for page in pages for name in page] == names


def test_every_way_of_writing_honours_its_precondition(bucket):
    from google.api_core.exceptions import PreconditionFailed

    first, other = bucket.blob("a"), bucket.blob("b")
    first.upload_from_string(b"1", if_generation_match=0)
    other.upload_from_string(b"2")
    large = bucket.blob("a", chunk_size=2**18)
    for work in (
        lambda: bucket.blob("a").upload_from_string(b"3", if_generation_match=0),
        lambda: bucket.blob("a").upload_from_string(b"3", if_generation_match=first.generation + 1),
        lambda: large.upload_from_string(bytes(9_000_000), if_generation_match=0),
        lambda: bucket.blob("a").rewrite(other, if_generation_match=0),
        lambda: bucket.blob("new").rewrite(other, if_source_generation_match=other.generation + 1),
        lambda: bucket.copy_blob(other, bucket, "a", if_generation_match=0),
        lambda: bucket.blob("a").compose([other], if_generation_match=0),
        lambda: bucket.blob("a").delete(if_generation_match=first.generation + 1),
        lambda: bucket.blob("a").reload(if_metageneration_match=2),
    ):
        with pytest.raises(PreconditionFailed):
            work()
    assert (
        bucket.blob("a").download_as_bytes() == b"1" and bucket.get_blob("a").generation == first.generation
    )
    bucket.blob("a").upload_from_string(b"3", if_generation_match=first.generation)
    assert bucket.blob("a").download_as_bytes() == b"3" and bucket.get_blob("new") is None


def asked(url, method="GET", **headers):
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, method=method, headers=headers), timeout=10
        ) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, b"", error.headers


@pytest.mark.parametrize(
    ("range_", "status", "content", "said"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, b"", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_ranges_are_those_of_http(server, bucket, range_, status, content, said):
    """RFC 9110, section 14."""
    bucket.blob("a/x").upload_from_string(b"0123456789")
    got = asked(f"{server.host}/{bucket.name}/a/x", Range=range_)
    assert (got[0], got[1], got[2]["Content-Range"]) == (status, content, said)


def test_the_head_of_an_object_says_what_clients_need(server, bucket):
    blob = bucket.blob("a/x")
    blob.upload_from_string(b"0123456789", content_type="image/tiff")
    status, body, headers = asked(f"{server.host}/{bucket.name}/a/x", "HEAD")
    assert (status, body, headers["Content-Length"], headers["Content-Type"], headers["Accept-Ranges"]) == (
        200,
        b"",
        "10",
        "image/tiff",
        "bytes",
    )
    assert (
        headers["x-goog-generation"] == str(blob.generation)
        and headers["x-goog-hash"] == f"crc32c={blob.crc32c},md5={blob.md5_hash}"
    )
    assert headers["ETag"] and headers["Last-Modified"].endswith("GMT")
    assert asked(f"{server.host}/{bucket.name}/a/x", **{"If-None-Match": headers["ETag"]})[0] == 304
    assert asked(f"{server.host}/{bucket.name}/none", "HEAD")[0] == 404


def test_the_gcloud_cli_copies_there_and_back_and_lists(server, tmp_path):
    if not shutil.which("gcloud"):
        skip_or_fail("gcloud")
    name, content = create_bucket(server.host, f"{new_project()}-b"), os.urandom(9_000_001)
    (tmp_path / "up").write_bytes(content)
    there = {name: value for name, value in os.environ.items() if name != "STORAGE_EMULATOR_HOST"} | {
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{server.host}/storage/v1/",
        "CLOUDSDK_CONFIG": str(tmp_path / "config"),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
    }

    def gcloud(*words) -> str:
        return subprocess.run(
            ["gcloud", "storage", *map(str, words)],
            env=there,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout

    gcloud("cp", tmp_path / "up", f"gs://{name}/jobs/j/up.tif")
    assert gcloud("ls", f"gs://{name}/**").split() == [f"gs://{name}/jobs/j/up.tif"]
    assert gcloud("ls", "-l", f"gs://{name}/jobs/j/").split()[0] == "9000001"
    gcloud("cp", f"gs://{name}/jobs/j/up.tif", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == content
