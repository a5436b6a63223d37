"""Assets in a bucket, where they differ from other stores; tests/ports covers what all stores do."""

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from data import skip_or_fail
from emulators import die_with_parent, new_project
from emulators.storage import create_bucket, set_faults, storage
from revisit.adapters.gcp.assets import CACHE_CONTROL, UPLOAD_PREFIX, BucketAssets
from revisit.adapters.gcp.settings import Settings
from revisit.chain import job_lifecycle
from revisit.errors import InvalidInputError, PermanentError, TransientError

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
UPLOAD, NAME = "^/upload/", "/rewriteTo/"


def made(folder: Path, content: bytes, name: str = "made.tif") -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


def names(bucket) -> list[str]:
    return [blob.name for blob in bucket.list_blobs()]


# ------------------------------------------------------------------------------------------------------------
# one upload


@pytest.mark.parametrize("media_type", [COG, "image/png", "application/geo+json"])
def test_an_object_says_what_it_is(assets, bucket, tmp_path, media_type):
    content = bytes(range(256)) * 100
    asset = assets.store(made(tmp_path, content), "jobs/j/NDVI-0123.tif", media_type)
    found = bucket.get_blob("jobs/j/NDVI-0123.tif")
    assert (found.content_type, found.cache_control, found.size) == (media_type, CACHE_CONTROL, 25_600)
    assert found.metadata == {"sha256": hashlib.sha256(content).hexdigest()} == {"sha256": asset.sha256}
    assert names(bucket) == ["jobs/j/NDVI-0123.tif"], "nothing unfinished is left"


def test_what_another_stored_first_is_kept_and_described(assets, settings, bucket, tmp_path):
    first = BucketAssets(settings).store(made(tmp_path, b"first"), "a/b.tif", COG)
    generation = bucket.get_blob("a/b.tif").generation
    assert assets.store(made(tmp_path, b"late, another"), "a/b.tif", COG) == first
    assert (first.size, first.sha256) == (5, hashlib.sha256(b"first").hexdigest())
    assert bucket.get_blob("a/b.tif").generation == generation, "it was not written again"
    assert names(bucket) == ["a/b.tif"]


def test_an_object_that_somebody_put_there_by_hand_is_described_by_what_it_holds(assets, bucket, tmp_path):
    bucket.blob("a/b.tif").upload_from_string(b"by hand")
    asset = assets.store(made(tmp_path, b"ours"), "a/b.tif", COG)
    assert (asset.size, asset.sha256) == (7, hashlib.sha256(b"by hand").hexdigest())


def test_sixteen_threads_that_store_one_path_leave_one_object_written_once(assets, server, bucket, tmp_path):
    contents, stored = [bytes([number]) * 200_000 for number in range(16)], []
    threads = [
        threading.Thread(
            target=lambda number=number: stored.append(
                assets.store(made(tmp_path, contents[number], f"{number}.tif"), "a/b.tif", COG)
            )
        )
        for number in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored) == 16 and len({asset.sha256 for asset in stored}) == 1
    assert (
        assets.read("a/b.tif") in contents
        and hashlib.sha256(assets.read("a/b.tif")).hexdigest() == stored[0].sha256
    )
    named = [
        line["status"]
        for line in server.request_log()
        if f"/{bucket.name}/" in line["path"] and NAME in line["path"]
    ]
    assert sorted(named) == [200] + [412] * 15
    assert names(bucket) == ["a/b.tif"]


@pytest.mark.parametrize("size", [1_000, 20_000_000])
@pytest.mark.parametrize("step", [UPLOAD, NAME])
def test_a_request_whose_answer_is_lost_is_the_same_success(assets, server, bucket, tmp_path, step, size):
    content = os.urandom(size)
    set_faults(server.host, {"target": step, "times": 1, "lost": True})
    assert assets.store(made(tmp_path, content), "a/b.tif", COG).sha256 == hashlib.sha256(content).hexdigest()
    assert bucket.blob("a/b.tif").download_as_bytes() == content and names(bucket) == ["a/b.tif"]


def test_a_server_that_is_busy_for_a_moment_is_retried(assets, server, bucket, tmp_path):
    set_faults(
        server.host,
        {"target": UPLOAD, "status": 503, "times": 1},
        {"target": NAME, "status": 429, "times": 1},
    )
    assert assets.store(made(tmp_path, b"x"), "a/b.tif", COG).size == 1
    assert names(bucket) == ["a/b.tif"]


def test_bytes_that_changed_on_their_way_are_not_named(assets, server, bucket, tmp_path):
    set_faults(server.host, {"target": UPLOAD, "times": 1, "spoil": ["as it was made", "as it came in"]})
    file = made(tmp_path, b"as it was made")
    with pytest.raises(TransientError, match=r"a/b\.tif"):
        assets.store(file, "a/b.tif", COG)
    assert names(bucket) == [] and file.exists()
    assert assets.store(file, "a/b.tif", COG).size == 14


# ------------------------------------------------------------------------------------------------------------
# failure


def test_an_unreachable_server_is_a_transient_error_within_the_time_allowed(settings, tmp_path):
    away = storage().start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(away.variable, away.host)
        assets, file = BucketAssets(settings, timeout_s=2), made(tmp_path, b"x")
        away.stop()
        for work in (
            lambda: assets.store(file, "a/b.tif", COG),
            lambda: assets.read("a/b.tif"),
            assets.check,
        ):
            begun = time.monotonic()
            with pytest.raises(TransientError, match="Cloud Storage does not answer"):
                work()
            assert time.monotonic() - begun < 5
        assert file.exists()


def test_a_server_that_takes_a_request_and_never_answers_is_a_transient_error_too(settings, server, tmp_path):
    assets = BucketAssets(settings, timeout_s=1)
    set_faults(server.host, {"target": UPLOAD, "delay_s": 6, "times": 1})
    begun = time.monotonic()
    with pytest.raises(TransientError, match="does not answer"):
        assets.store(made(tmp_path, b"x"), "a/b.tif", COG)
    assert time.monotonic() - begun < 5


def test_the_error_of_a_refused_account_names_the_role_it_lacks(assets, server, tmp_path):
    for step in (UPLOAD, NAME):
        set_faults(
            server.host,
            {"target": step, "status": 403, "reason": "forbidden", "message": "no access", "times": 100},
        )
        with pytest.raises(PermanentError, match=r"a/b\.tif.*roles/storage\.objectUser"):
            assets.store(made(tmp_path, b"x"), "a/b.tif", COG)


def test_a_bucket_that_is_not_there_is_named(server, tmp_path):
    with pytest.raises(PermanentError, match="REVISIT_BUCKET 'nobodys'"):
        BucketAssets(Settings(new_project(), bucket="nobodys")).store(made(tmp_path, b"x"), "a/b.tif", COG)


def test_a_name_that_the_bucket_removes_after_a_day_is_no_asset(assets, tmp_path):
    for work in (
        lambda: assets.store(made(tmp_path, b"x"), f"{UPLOAD_PREFIX}a.tif", COG),
        lambda: assets.locate(f"{UPLOAD_PREFIX}a.tif"),
    ):
        with pytest.raises(InvalidInputError, match="removed after a day"):
            work()


STORING = """
import sys, pathlib
from revisit.adapters.gcp.assets import BucketAssets
from revisit.adapters.gcp.settings import Settings
assets = BucketAssets(Settings(sys.argv[1]))
file = assets.workspace() / "big.tif"
file.write_bytes(bytes(48_000_000))
assets.store(file, "a/b.tif", "image/tiff")
"""


@pytest.mark.parametrize(
    ("step", "after", "left"), [(r"^/upload/.*upload_id", 2, []), (NAME, 0, [UPLOAD_PREFIX])]
)
def test_a_process_killed_while_it_stores_leaves_nothing_under_the_name(
    assets, settings, server, bucket, tmp_path, step, after, left
):
    """In the middle of the bytes, and between the bytes and the name."""
    set_faults(server.host, {"target": step, "times": after}, {"target": step, "delay_s": 30, "times": 1})
    seen = len(server.request_log())
    child = subprocess.Popen(
        die_with_parent([sys.executable, "-c", STORING, settings.project]),
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    until = time.monotonic() + 60
    while sum(line["received"] for line in server.request_log()[seen:]) < (
        2 * 16 * 2**20 if after else 48_000_000
    ):
        assert child.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    time.sleep(0.3)
    child.kill()
    assert child.wait() == -9
    assert [name[: len(UPLOAD_PREFIX)] for name in names(bucket)] == left
    set_faults(server.host)
    assert assets.store(made(tmp_path, b"again"), "a/b.tif", COG).size == 5, (
        "what is left does not block the next writer"
    )


def test_what_killed_processes_left_in_the_workspace_is_cleared(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import sys, os\n"
        "from revisit.adapters.gcp.assets import BucketAssets\n"
        "from revisit.adapters.gcp.settings import Settings\n"
        "file = BucketAssets(Settings(sys.argv[1])).workspace() / 'half'\n"
        "file.write_bytes(b'x'); print(file, flush=True); os.kill(os.getpid(), 9)"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, settings.project],
        capture_output=True,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    left = Path(child.stdout.strip())
    assert child.returncode == -9 and left.is_file()
    ours = BucketAssets(settings).workspace()
    assert (
        not left.exists()
        and ours.is_dir()
        and (ours.stat().st_mode & 0o777, ours.parents[2].stat().st_mode & 0o777)[1] == 0o700
    )


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A disk of its own for unfinished files that holds 1 MB."""
    place = tmp_path / "small"
    place.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=12", "tmpfs", str(place)], capture_output=True
        ).returncode
    ):
        skip_or_fail("root")
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_workspace_is_a_transient_error_and_nothing_is_in_the_bucket(settings, bucket, small_disk):
    from types import SimpleNamespace

    backend, job = SimpleNamespace(assets=BucketAssets(settings)), SimpleNamespace(id="j")
    with pytest.raises(TransientError, match="No space left"):
        job_lifecycle.store_asset(
            backend, job, "big.tif", lambda path: path.write_bytes(bytes(3_000_000)), COG
        )
    assert names(bucket) == [] and list(backend.assets.workspace().iterdir()) == []
    for number in range(12):
        try:
            (small_disk / str(number)).touch()
        except OSError:
            break
    with pytest.raises(TransientError, match="no room for unfinished files"):
        BucketAssets(settings).workspace()
    subprocess.run(["mount", "-o", "remount,size=8m,nr_inodes=100", str(small_disk)], check=True)
    assert (
        job_lifecycle.store_asset(
            backend, job, "big.tif", lambda path: path.write_bytes(bytes(3_000_000)), COG
        ).size
        == 3_000_000
    )


# ------------------------------------------------------------------------------------------------------------
# check


@pytest.mark.parametrize(
    ("location", "region", "inside"),
    [
        ("EUROPE-WEST1", "europe-west1", True),
        ("EUROPE-WEST1", "europe-west4", False),
        ("EUROPE-WEST1", "europe-west12", False),
        ("EU", "europe-west1", True),
        ("EU", "EU", True),
        ("EU", "europe-west2", False),
        ("EU", "us-east1", False),
        ("US", "us-central1", True),
        ("US", "europe-west1", False),
        ("ASIA", "asia-south1", True),
        ("NAM4", "us-east1", True),
        ("NAM4", "us-west1", False),
    ],
)
def test_a_bucket_elsewhere_than_the_deployment_is_refused(server, location, region, inside):
    settings = Settings(new_project(), location=region)
    create_bucket(server.host, settings.bucket, location)
    if inside:
        BucketAssets(settings).check()
    else:
        with pytest.raises(
            PermanentError,
            match=f"REVISIT_BUCKET '{settings.bucket}' lies in {location}, "
            f"REVISIT_LOCATION is '{region}'; set one",
        ):
            BucketAssets(settings).check()


def test_a_bucket_across_two_regions_of_one_s_own_choice_contains_both(server):
    pair = {"dataLocations": ["EUROPE-WEST1", "EUROPE-NORTH1"]}
    for region, inside in (("europe-north1", True), ("europe-west4", False)):
        settings = Settings(new_project(), location=region)
        create_bucket(server.host, settings.bucket, "EU", customPlacementConfig=pair)
        if inside:
            BucketAssets(settings).check()
        else:
            with pytest.raises(PermanentError, match="REVISIT_LOCATION"):
                BucketAssets(settings).check()


def test_a_bucket_that_is_missing_or_closed_is_refused_in_one_sentence_before_anything_is_written(server):
    settings = Settings(new_project())
    with pytest.raises(
        PermanentError, match=f"REVISIT_BUCKET '{settings.bucket}' does not exist; run `terraform apply`"
    ):
        BucketAssets(settings).check()
    create_bucket(server.host, settings.bucket, denied=["storage.objects.create"])
    with pytest.raises(
        PermanentError,
        match=r"REVISIT_BUCKET .* refuses this account storage\.objects\.create; "
        r"grant it roles/storage\.objectUser",
    ):
        BucketAssets(settings).check()
    set_faults(
        server.host,
        {
            "target": "^/storage/v1/b/",
            "status": 403,
            "reason": "forbidden",
            "message": "no access",
            "times": 100,
        },
    )
    with pytest.raises(PermanentError, match=r"REVISIT_BUCKET.*grant it roles/storage\.legacyBucketReader"):
        BucketAssets(settings).check()
    set_faults(server.host)
    writes = [
        line for line in server.request_log() if settings.bucket in line["path"] and line["method"] != "GET"
    ]
    assert not writes


def to_the_bucket(server, bucket: str) -> list[str]:
    return [request["method"] for request in server.request_log() if bucket in request["path"]]


def test_a_bucket_elsewhere_gets_no_file_and_says_why(server, tmp_path):
    settings = Settings(new_project())
    create_bucket(server.host, settings.bucket, "US-EAST1")
    assets = BucketAssets(settings, timeout_s=5)
    for _ in range(2):
        with pytest.raises(
            PermanentError,
            match="lies in US-EAST1, REVISIT_LOCATION is 'europe-west1'; set one to fit the other",
        ):
            assets.store(made(tmp_path, b"x"), "jobs/1/a.tif", COG)
    assert to_the_bucket(server, settings.bucket) == ["GET", "GET"], "it is looked at, and nothing is written"


def test_a_bucket_is_looked_at_once_however_many_files_it_gets(assets, settings, server, tmp_path):
    for number in range(3):
        assets.store(made(tmp_path, b"%d" % number), f"jobs/{number}/a.tif", COG)
    looked = [
        request for request in server.request_log() if request["path"] == f"/storage/v1/b/{settings.bucket}"
    ]
    assert [request["method"] for request in looked] == ["GET"]
    first = next(request for request in server.request_log() if settings.bucket in request["path"])
    assert first == looked[0], "before anything is written"


def test_an_account_that_may_not_look_at_the_bucket_still_writes_and_the_warning_names_the_role(
    assets, settings, server, bucket, tmp_path, caplog
):
    set_faults(
        server.host,
        {
            "times": 1,
            "methods": ["GET"],
            "target": f"/b/{settings.bucket}[?]",
            "status": 403,
            "reason": "forbidden",
            "message": "does not have storage.buckets.get access",
        },
    )
    with caplog.at_level("WARNING", logger="revisit"):
        for number in range(2):
            assets.store(made(tmp_path, b"%d" % number), f"jobs/{number}/a.tif", COG)
    assert bucket.blob("jobs/0/a.tif").download_as_bytes() == b"0"
    assert [record.getMessage() for record in caplog.records] == [
        (
            f"it is unknown whether the bucket {settings.bucket} is in REVISIT_LOCATION; "
            "grant this account roles/storage.legacyBucketReader on the bucket"
        )
    ]
