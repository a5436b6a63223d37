"""An asset is visible whole or not at all, and lies where it should."""

import hashlib
import threading
from pathlib import Path

import pytest

from revisit.errors import InvalidInputError, NotFoundError


def made(backend, content: bytes, name: str = "made.tif") -> Path:
    file = backend.assets.workspace() / name
    file.write_bytes(content)
    return file


def test_a_stored_file_is_read_back_and_described(backend):
    content = bytes(range(256)) * 100
    file = made(backend, content)
    asset = backend.assets.store(file, "jobs/job_1/NDVI.tif", "image/tiff")
    assert (asset.name, asset.path, asset.media_type, asset.size) == (
        "NDVI",
        "jobs/job_1/NDVI.tif",
        "image/tiff",
        25_600,
    )
    assert asset.sha256 == hashlib.sha256(content).hexdigest()
    assert backend.assets.read("jobs/job_1/NDVI.tif") == content
    assert not file.exists()


def test_the_same_content_stored_twice_is_the_same_success(backend):
    first = backend.assets.store(made(backend, b"same"), "a/b.tif", "image/tiff")
    assert backend.assets.store(made(backend, b"same"), "a/b.tif", "image/tiff") == first
    assert not list(backend.assets.workspace().iterdir())


def test_what_was_stored_first_stays_and_is_what_is_described(backend):
    first = backend.assets.store(made(backend, b"first"), "a/b.tif", "image/tiff")
    late = backend.assets.store(made(backend, b"late, another"), "a/b.tif", "image/tiff")
    assert late == first
    assert backend.assets.read("a/b.tif") == b"first"


def test_threads_that_store_one_path_leave_one_whole_file(backend):
    contents = [bytes([number]) * 300_000 for number in range(8)]
    stored = []

    def work(number):
        stored.append(backend.assets.store(made(backend, contents[number]), "a/b.tif", "image/tiff"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert backend.assets.read("a/b.tif") in contents
    assert len({asset.sha256 for asset in stored}) == 1


def test_what_is_removed_is_gone_and_what_is_called_alike_stays(backend):
    paths = ["jobs/a/NDVI.tif", "jobs/a/b/c.json", "jobs/a.tif", "jobs/ab/NDVI.tif", "jobs/b/NDVI.tif"]
    for path in paths:
        backend.assets.store(made(backend, path.encode()), path, "image/tiff")
    assert [
        backend.assets.remove(path)
        for path in ("jobs/a", "jobs/a", "jobs/b/NDVI.tif", "jobs/b/NDVI.tif/x", "jobs/none", "jobs/a.ti")
    ] == [2, 0, 1, 0, 0, 0]
    for path in (paths[0], paths[1], paths[4]):
        with pytest.raises(NotFoundError):
            backend.assets.read(path)
    assert [backend.assets.read(path) for path in (paths[2], paths[3])] == [
        paths[2].encode(),
        paths[3].encode(),
    ]
    again = backend.assets.store(made(backend, b"next"), "jobs/a/NDVI.tif", "image/tiff")
    assert (again.size, backend.assets.read("jobs/a/NDVI.tif")) == (4, b"next")


def test_threads_that_remove_the_same_take_each_file_away_once(backend):
    for number in range(10):
        backend.assets.store(made(backend, b"x"), f"jobs/a/{number}.tif", "image/tiff")
    removed = []
    threads = [
        threading.Thread(target=lambda: removed.append(backend.assets.remove("jobs/a"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(removed), sum(removed)) == (4, 10)
    assert backend.assets.remove("jobs/a") == 0


def test_what_was_never_stored_is_not_found(backend):
    backend.assets.store(made(backend, b"x"), "a/b.tif", "image/tiff")
    for path in ("a/c.tif", "a", "a/b.tif/c"):
        with pytest.raises(NotFoundError, match=path):
            backend.assets.read(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "a/",
        "./a",
        "a/.hidden",
        ".work/x",
        "a\\b",
        "a\0b",
        "a/b\n",
        "~x",
        "x" * 300,
        "vsi:/x",
        "<VRT/>",
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(backend, path):
    file = made(backend, b"x")
    for refused in (
        lambda: backend.assets.store(file, path, "image/tiff"),
        lambda: backend.assets.read(path),
        lambda: backend.assets.locate(path),
        lambda: backend.assets.remove(path),
    ):
        with pytest.raises(InvalidInputError, match="is not the path of an asset"):
            refused()
    assert file.exists()


def test_each_thread_has_a_workspace_and_keeps_it(backend):
    places = []
    threads = [
        threading.Thread(
            target=lambda: places.append((backend.assets.workspace(), backend.assets.workspace()))
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(first == second and first.is_dir() for first, second in places)
