"""Full, read-only, disconnected and damaged disks: nothing partial is visible, nothing committed is lost."""

import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from data import skip_or_fail
from faults.processes import start
from revisit.adapters.local.asset_folder import WORK_FOLDER, FolderAssets
from revisit.adapters.local.backend import (
    DATABASE,
    local_backend,
    local_queue,
    open_database,
    remember_sources,
)
from revisit.adapters.local.filesystem import network_filesystem
from revisit.adapters.local.integrity_check import check_data
from revisit.adapters.local.sqlite import APPLICATION_ID, SCHEMA_VERSION
from revisit.domain.events import JobFinished
from revisit.domain.job import Asset, Job
from revisit.domain.product import Product
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Subscription
from revisit.errors import InvalidInputError, PermanentError, TransientError
from revisit.ports.system_records import DeadLetter
from samples import NOON, SQUARE_AOI, alert, delivery, envelope, subscription

# ------------------------------------------------------------------------------------------------------------
# assets


def test_an_asset_whose_writer_is_killed_is_whole_or_not_there(tmp_path, run_in_child):
    result = run_in_child("kill_while_storing", str(tmp_path), 50, 1)
    assert result == {"kills": 50, "ended": 0}
    visible = [path for path in tmp_path.rglob("*") if path.is_file() and WORK_FOLDER not in path.parts]
    assert visible, "how many there are is a matter of the computer's speed"
    assert [path for path in visible if hashlib.sha256(path.read_bytes()).hexdigest() != path.stem] == []
    FolderAssets(tmp_path)
    assert list((tmp_path / WORK_FOLDER).iterdir()) == [], (
        "what they left unfinished is cleared at the next start"
    )


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own that holds 1 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = (
        os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True
        ).returncode
        == 0
    )
    if not mounted:
        skip_or_fail("root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_an_asset_that_does_not_fit_on_the_disk_is_not_seen_and_can_be_stored_later(tmp_path, small_disk):
    assets = FolderAssets(small_disk / "assets")
    file = tmp_path / "big.tif"
    file.write_bytes(b"x" * 3_000_000)
    with pytest.raises(TransientError, match="No space left"):
        assets.store(file, "a/big.tif", "image/tiff")
    assert (
        file.exists()
        and not Path(assets.locate("a/big.tif")).exists()
        and not list(assets.workspace().iterdir())
    )
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert assets.store(file, "a/big.tif", "image/tiff").size == 3_000_000


def test_an_asset_on_a_disk_that_became_read_only_is_not_seen_and_can_be_stored_later(tmp_path, small_disk):
    assets = FolderAssets(small_disk / "assets")
    file = tmp_path / "a.tif"
    file.write_bytes(b"x")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(TransientError, match="Read-only"):
        assets.store(file, "a/a.tif", "image/tiff")
    with pytest.raises(InvalidInputError, match="cannot be written"):
        open_database(small_disk)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert assets.store(file, "a/a.tif", "image/tiff").size == 1


def test_records_that_do_not_fit_on_the_disk_are_refused_and_the_others_kept(small_disk):
    backend = local_backend(small_disk / "data")
    written = 0
    with pytest.raises(TransientError, match="full"):
        while True:
            backend.records.transact(
                lambda transaction, name=f"sub_{written}": transaction.put(
                    subscription(name, owner="x" * 20_000)
                )
            )
            written += 1
    assert backend.records.count(Subscription) == written > 3
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    backend.records.transact(lambda transaction: transaction.put(subscription("after")))
    assert check_data(small_disk / "data") == []


# ------------------------------------------------------------------------------------------------------------
# records


def test_a_disk_that_takes_no_more_stops_writing_and_nothing_else(tmp_path, run_in_child):
    written, there, later, refusal = run_in_child("fill_disk", str(tmp_path), 300_000)
    assert written == there > 5 and later == there + 1
    assert str(tmp_path) in refusal and "disk" in refusal
    assert check_data(tmp_path) == []


def test_a_copy_made_at_any_moment_opens_and_holds_what_was_committed(tmp_path):
    data, moments = tmp_path / "data", random.Random(1)
    with start("commit_until_killed", str(data)) as writer:
        for turn in range(12):
            for _ in range(moments.randint(5, 40)):
                committed = int(writer.stdout.readline())
            # Stopped between any two instructions, as the power would; what is in the files then is what is
            # copied.
            os.kill(writer.pid, signal.SIGSTOP)
            copy = tmp_path / f"copy {turn}"
            copy.mkdir()
            for name in (DATABASE, DATABASE + "-wal"):
                shutil.copyfile(data / name, copy / name)
            os.kill(writer.pid, signal.SIGCONT)
            assert check_data(copy) == []
            ids = [wish.id for wish in local_backend(copy).records.find(Subscription, limit=100_000)]
            assert ids[: committed + 1] == [f"sub_{number:06d}" for number in range(committed + 1)]
        writer.kill()


@pytest.mark.parametrize(
    "make",
    [lambda data: None, lambda data: local_backend(data).records._database.close()],
    ids=["empty", "in use"],
)
def test_a_folder_that_may_not_be_written_is_refused_by_name(tmp_path, run_in_child, make):
    data = tmp_path / "data"
    data.mkdir()
    make(data)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == data.owner() and folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(0o755)
    data.chmod(0o555)
    result = run_in_child("use_without_permission", str(data))
    data.chmod(0o755)
    assert len(result) >= 3
    assert all(
        (str(data) in sentence and "written" in sentence) or "missing" in sentence for sentence in result
    )


def test_a_folder_that_is_a_file_is_refused_by_name(tmp_path):
    file = tmp_path / "data"
    file.write_text("no folder")
    with pytest.raises(InvalidInputError, match=str(file)):
        local_backend(file)


def used(data: Path) -> None:
    """A data folder with a little of everything in it."""
    backend = local_backend(data)
    remember_sources(data, ("folder:x",))
    product = Product("P", "folder:x", "L2A", "S2A", "32TNR", NOON, "20240601T101031", 10.0, 45.0, 11.0, 46.0)
    file = backend.assets.workspace() / "a"
    file.write_bytes(b"pixels")
    asset = backend.assets.store(file, "job_1/a.tif", "image/tiff")
    work = Job("job_1", product, SQUARE_AOI, Recipe(indices=("NDVI",)), NOON, assets=(asset,))
    backend.records.transact(
        lambda transaction: [
            transaction.put(record)
            for record in (
                subscription(alerts=300),
                work,
                *(alert(number=number, acquisition=f"{number}") for number in range(1, 301)),
                *(delivery(f"d{number}") for number in range(100)),
            )
        ]
    )
    backend.records.transact(
        lambda transaction: [
            transaction.send(envelope(JobFinished(f"job {number}"))) for number in range(100)
        ]
    )
    backend.records._database.close()


def use(data: Path) -> None:
    """Whatever a command may do with it."""
    backend = local_backend(data)
    backend.records.get(Subscription, "sub_1")
    for kind in (Subscription, Job, DeadLetter):
        backend.records.find(kind)
    backend.records.transact(lambda transaction: transaction.put(subscription("sub_2")))
    queue = local_queue(backend)
    queue.depth()
    for message in queue.lease(["deliver"], 3):
        queue.ack(message)
    backend.records._database.close()


def test_a_folder_in_use_is_well(tmp_path):
    used(tmp_path)
    assert check_data(tmp_path) == []
    use(tmp_path)
    assert check_data(tmp_path) == []


def set_version(file: Path, version: int) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute(f"PRAGMA user_version={version}")
    connection.close()


def of_another_program(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE recipes (cake)")
    connection.close()


def garble(file: Path, first: int, count: int) -> None:
    content = bytearray(file.read_bytes())
    content[first : first + count] = random.Random(1).randbytes(min(count, len(content) - first))
    file.write_bytes(content)


DAMAGES = {
    "from a newer version": (
        lambda file: set_version(file, SCHEMA_VERSION + 6),
        "is from a newer Revisit .*update Revisit",
    ),
    "from an older version": (lambda file: set_version(file, 0), "is from an older Revisit"),
    "of another program": (of_another_program, "not a database of Revisit"),
    "a text": (lambda file: file.write_text("hello " * 1000), "not a database"),
    "emptied": (lambda file: file.write_bytes(b""), "is empty"),
    "its first page garbled": (lambda file: garble(file, 0, 4096), "not a database"),
    "its first 100 bytes only": (
        lambda file: file.write_bytes(file.read_bytes()[:100]),
        "damaged|not a database",
    ),
    "a folder": (lambda file: (file.unlink(), file.mkdir()), "not a database|cannot be|is empty"),
    "gone but for its log": (
        lambda file: file.rename(file.with_name(file.name + "-wal")),
        "is missing although its log",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_database_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, damage):
    used(tmp_path)
    harm, sentence = DAMAGES[damage]
    harm(tmp_path / DATABASE)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(PermanentError, match=sentence) as refused:
        use(tmp_path)
    assert str(tmp_path) in str(refused.value) and "\n" not in str(refused.value)
    assert [finding for finding in check_data(tmp_path) if str(tmp_path) in finding]
    assert {path: path.read_bytes() for path in before} == before, "what is left is left as it is"


@pytest.mark.parametrize("seed", range(24))
def test_a_database_that_is_garbled_or_cut_anywhere_gives_sentences_and_no_traceback(tmp_path, seed):
    used(tmp_path)
    file, chance = tmp_path / DATABASE, random.Random(seed)
    size = file.stat().st_size
    if seed % 3:
        garble(file, chance.randrange(100, size), chance.choice([16, 4096, 40_000]))
    else:
        os.truncate(file, chance.randrange(4096, size))
    findings = check_data(tmp_path)
    assert all(finding.strip() and "\n" not in finding for finding in findings)
    try:
        use(tmp_path)
    except (PermanentError, TransientError) as error:
        assert findings, error
        assert "\n" not in str(error)


def test_a_folder_without_its_database_starts_empty_and_says_so(tmp_path):
    assert "no data folder" in check_data(tmp_path / "none")[0]
    used(tmp_path)
    (tmp_path / DATABASE).unlink()
    assert "is missing" in check_data(tmp_path)[0]
    use(tmp_path)
    assert local_backend(tmp_path).records.count(Subscription) == 1


def test_what_does_not_fit_together_is_found(tmp_path):
    used(tmp_path)
    backend = local_backend(tmp_path)
    Path(backend.assets.locate("job_1/a.tif")).unlink()
    lost = Job(
        "job_2",
        backend.records.get(Job, "job_1").product,
        SQUARE_AOI,
        Recipe(indices=("NDVI",)),
        NOON,
        assets=(Asset("a", "job_1/b.tif", "image/tiff", 5, "0" * 64),),
    )
    (tmp_path / "assets" / "job_1" / "b.tif").write_bytes(b"longer")
    backend.records.transact(
        lambda transaction: (
            transaction.put(subscription(alerts=301)),
            transaction.put(lost),
            transaction.put(DeadLetter("e:extract", "extract", "job.started", "why", NOON, 8, "{}")),
        )
    )
    with backend.records._database.transaction() as connection:
        connection.execute("DELETE FROM record_index WHERE kind = 'delivery' AND id = 'd7'")
        connection.execute("UPDATE record SET body = '{}' WHERE id = 'd8'")
        connection.execute("INSERT INTO record (kind, id, body) VALUES ('wish', 'w', '{}')")
        connection.execute(
            "INSERT INTO record_index (kind, field, value, id) VALUES ('delivery', 'state', 'due', 'ghost')"
        )
    findings = "\n".join(check_data(tmp_path))
    for expected in (
        "a.tif of job 'job_1' is missing",
        "b.tif of job 'job_2' has 6 bytes instead of 5",
        "counts 301 alerts, but has 300",
        "there is 1 dead letter",
        "delivery 'd7' is not indexed by its values",
        "delivery 'd8' cannot be read",
        "'w' is a 'wish', which this version does not know",
        "delivery 'ghost' is in the index, but has no record",
    ):
        assert expected in findings
    with pytest.raises(PermanentError, match="delivery is damaged"):
        backend.records.get(type(delivery()), "d8")


def test_a_network_disk_is_distinguished_from_a_local_one(tmp_path, monkeypatch, caplog):
    assert network_filesystem(tmp_path) == ""
    share = f"{tmp_path}/my share".replace(" ", "\\040")
    mounts = f"/dev/sda / ext4 rw 0 0\nserver:/x {share} nfs4 rw 0 0\n/dev/sdb {share}/disk ext4 rw 0 0\n"
    read_text = Path.read_text
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda path, *a, **k: mounts if str(path) == "/proc/self/mounts" else read_text(path, *a, **k),
    )
    assert network_filesystem(tmp_path / "my share" / "data") == "nfs4"
    assert network_filesystem(tmp_path / "my share" / "disk" / "data") == ""
    assert network_filesystem(tmp_path / "my shared") == ""
    local_backend(tmp_path / "my share" / "data")
    assert "network disk (nfs4)" in caplog.text
    assert "network disk (nfs4)" in check_data(tmp_path / "my share" / "data")[0]


def test_the_sources_of_a_folder_are_remembered_and_added_to(tmp_path):
    assert local_backend(tmp_path).sources == ()
    assert remember_sources(tmp_path, ("folder:a", "stac:b#c")) == ("folder:a", "stac:b#c")
    assert remember_sources(tmp_path, ("folder:d", "folder:a")) == ("folder:a", "stac:b#c", "folder:d")
    assert local_backend(tmp_path, ("folder:e",)).sources == ("folder:a", "stac:b#c", "folder:d", "folder:e")
    assert local_backend(tmp_path).sources == ("folder:a", "stac:b#c", "folder:d")


def test_a_database_says_whose_it_is(tmp_path):
    local_backend(tmp_path).records._database.close()
    with sqlite3.connect(tmp_path / DATABASE) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
