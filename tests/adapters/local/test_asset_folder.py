"""Assets in a folder: no link leads out of it, and unfinished files of dead processes are removed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data import skip_or_fail
from revisit.adapters import process_identity
from revisit.adapters.local.asset_folder import WORK_FOLDER, FolderAssets
from revisit.errors import InvalidInputError, NotFoundError


@pytest.fixture
def assets(tmp_path):
    return FolderAssets(tmp_path / "assets")


def made(assets, content: bytes = b"pixels") -> Path:
    file = assets.workspace() / "made"
    file.write_bytes(content)
    return file


def test_an_asset_lies_below_the_folder_under_its_path(assets):
    assets.store(made(assets), "jobs/a.tif", "image/tiff")
    assert assets.locate("jobs/a.tif") == str(assets.root / "jobs" / "a.tif")
    assert Path(assets.locate("jobs/a.tif")).read_bytes() == b"pixels"


def test_unfinished_files_are_on_the_disk_of_the_finished_ones(assets):
    assert assets.workspace().is_relative_to(assets.root)
    assert assets.workspace().stat().st_dev == assets.root.stat().st_dev


def test_a_link_out_of_the_folder_is_never_followed(assets, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.tif").write_bytes(b"secret")
    (assets.root / "out").symlink_to(outside)
    (assets.root / "link.tif").symlink_to(outside / "secret.tif")
    for path in ("out/secret.tif", "link.tif"):
        for follow in (assets.read, assets.locate):
            with pytest.raises(InvalidInputError, match="symbolic link"):
                follow(path)
    with pytest.raises(InvalidInputError, match="symbolic link"):
        assets.store(made(assets), "out/new.tif", "image/tiff")
    with pytest.raises(InvalidInputError, match="symbolic link"):
        assets.remove("out")
    assert [path.name for path in outside.iterdir()] == ["secret.tif"]


def test_a_folder_reached_through_a_link_is_one(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    assets = FolderAssets(tmp_path / "data" / "assets")
    assets.store(made(assets), "a.tif", "image/tiff")
    assert assets.read("a.tif") == b"pixels"


def test_only_a_file_is_stored(assets, tmp_path):
    (tmp_path / "link").symlink_to("/etc/hostname")
    for no_file in (tmp_path / "link", assets.workspace()):
        with pytest.raises(InvalidInputError, match="not a file"):
            assets.store(no_file, "a.tif", "image/tiff")
    with pytest.raises(NotFoundError):
        assets.read("a.tif")


def test_a_file_from_another_disk_is_stored_too(assets):
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == assets.root.stat().st_dev:
        skip_or_fail("a second disk")
    file = elsewhere / f"revisit-test-{os.getpid()}"
    file.write_bytes(b"from afar")
    try:
        assert assets.store(file, "a.tif", "image/tiff").size == 9
        assert not file.exists()
    finally:
        file.unlink(missing_ok=True)
    assert assets.read("a.tif") == b"from afar"
    assert not list(assets.workspace().iterdir())


def test_files_of_a_dead_process_are_removed_and_those_of_a_running_one_are_kept(assets):
    own = made(assets)
    code = (
        "import sys, pathlib, os; from revisit.adapters.local.asset_folder import FolderAssets\n"
        "folder = FolderAssets(pathlib.Path(sys.argv[1])).workspace(); (folder / "
        "'half').write_bytes(b'x'); print(folder, flush=True); {}"
    )
    dead = subprocess.run(
        [sys.executable, "-c", code.format("os._exit(9)"), str(assets.root)],
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.strip()
    with subprocess.Popen(
        [sys.executable, "-c", code.format("sys.stdin.read()"), str(assets.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as living:
        alive = living.stdout.readline().strip()
        assert not (Path(dead) / "half").exists(), "the living process cleared it when it started"
        FolderAssets(assets.root)
        assert (Path(alive) / "half").exists()
        living.stdin.close()
    FolderAssets(assets.root)
    assert own.exists() and not Path(alive).exists()
    assert [folder.name for folder in (assets.root / WORK_FOLDER).iterdir()] == [
        process_identity.process_name()
    ]


def test_a_process_is_distinguished_from_a_later_one_with_the_same_pid():
    host, pid, start = process_identity.process_name().rsplit(".", 2)
    assert not process_identity.has_ended(process_identity.process_name())
    assert process_identity.has_ended(f"{host}.{pid}.{int(start) - 1}")
    assert process_identity.has_ended(f"{host}.4194303.{start}")


@pytest.mark.parametrize("name", ["elsewhere.1.2", "", "x", "..", "host.pid.start"])
def test_a_process_of_another_host_or_an_unknown_name_counts_as_running(name):
    assert not process_identity.has_ended(name)


def test_a_zombie_is_dead():
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    name = process_identity.process_name().rsplit(".", 2)[0]
    assert process_identity.has_ended(f"{name}.{child}.{process_identity._start_time(os.getpid())}")
    os.waitpid(child, 0)
