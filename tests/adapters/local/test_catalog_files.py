"""Files of the local catalog: searches equal a full scan, and damage is reported and repaired."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import catalog_samples
from catalog_samples import (
    FOLDER_SOURCE,
    STAC_SOURCE,
    START,
    TILES,
    add_products,
    merge_segments,
    page_ids,
    product,
    random_products,
)
from profiles import examples
from revisit.adapters.local.catalog import LocalCatalog
from revisit.domain.product import Product
from revisit.errors import PermanentError, TransientError
from revisit.geo.mgrs_tile import Tile
from revisit.ports.catalog import Query


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "catalog"


def local(folder: Path) -> LocalCatalog:
    return LocalCatalog(folder)


def test_a_reader_sees_what_another_catalog_object_adds(folder):
    reader, writer = local(folder), local(folder)
    assert reader.search(Query()).products == ()
    add_products(writer, product())
    assert page_ids(reader.search(Query())) == ["product-000"]
    merge_segments(writer)
    add_products(writer, product(1))
    assert page_ids(reader.search(Query())) == ["product-000", "product-001"]


def test_many_small_batches_become_few_files_and_keep_their_order(folder, monkeypatch):
    monkeypatch.setattr("revisit.adapters.local.catalog.MAX_UNINDEXED_ROWS", 10)
    catalog = local(folder)
    products = random_products(90)
    for one in products:
        add_products(catalog, one)
    assert [one.id for one in catalog.read_additions(0)[0]] == [one.id for one in products]
    assert len(list((folder / "log").glob("*.parquet"))) <= 26
    assert len(list(folder.glob("index-*/*.part"))) <= 9
    assert len(catalog.search(Query()).products) == len(local(folder).search(Query()).products) == 90
    assert not catalog.missing_mask(STAC_SOURCE, [one.id for one in products]).any()


def test_a_version_superseded_by_another_segment_is_not_found(folder, monkeypatch):
    catalog = local(folder)
    add_products(catalog, product(published=START), product(1))
    merge_segments(catalog)
    monkeypatch.setattr("revisit.adapters.local.catalog.MAX_UNINDEXED_ROWS", 0)
    add_products(catalog, product(published=START + timedelta(days=1)))
    add_products(
        catalog, product(published=START + timedelta(days=2)), product(published=START - timedelta(days=2))
    )
    assert len(list(folder.glob("index-*/*.part"))) == 3
    for reader in (catalog, local(folder)):
        assert [(one.id, one.published) for one in reader.search(Query()).products] == [
            ("product-000", START + timedelta(days=2)),
            ("product-001", None),
        ]
        assert reader.get("product-000").published == START + timedelta(days=2)
        assert [entry.rows for entry in reader.freshness()] == [2]
    merge_segments(catalog)
    assert len(list(folder.glob("index-*/*.part"))) == 1
    assert len(local(folder).search(Query()).products) == 2


WRITER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[4:]
from catalog_samples import random_products
from revisit.ports.catalog_schema import to_table
from revisit.adapters.local import catalog
catalog.MAX_UNINDEXED_ROWS = 40
folder, first, step = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
while True:
    catalog.LocalCatalog(folder).add(to_table(random_products(step, first)))
    print(first + step, flush=True)
    first += step
"""


def writer(folder: Path, first: int, step: int) -> subprocess.Popen:
    import revisit

    paths = [str(Path(catalog_samples.__file__).parent), str(Path(revisit.__file__).parents[1])]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first), str(step), *paths],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_batch_is_added_atomically_despite_a_kill(folder):
    done, rng = 0, random.Random(4)
    for _ in range(3):
        process = writer(folder, done, 17)
        said = int(process.stdout.readline())
        time.sleep(rng.uniform(0, 0.2))
        os.kill(process.pid, signal.SIGKILL)
        said = max(
            [
                said,
                *(int(line) for line in process.stdout.read().split() if line.endswith(tuple("0123456789"))),
            ]
        )
        process.wait()
        catalog = local(folder)
        count = len(catalog.read_additions(0)[0])
        assert count % 17 == 0
        assert count >= said
        assert catalog.check() == []
        done = count
    assert sum(entry.rows for entry in catalog.freshness()) == count
    assert [one.id for one in catalog.read_additions(0)[0]] == [f"p{number}" for number in range(count)]


def test_threads_search_while_one_adds(folder, monkeypatch):
    monkeypatch.setattr("revisit.adapters.local.catalog.MAX_UNINDEXED_ROWS", 60)
    catalog, seen, failed = local(folder), [], []

    def search():
        try:
            while not seen or seen[-1] < 400:
                seen.append(len(catalog.search(Query(limit=10_000)).products))
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for first in range(0, 400, 20):
        assert add_products(catalog, *random_products(20, first)) == 20
    for thread in threads:
        thread.join(60)
    assert not failed
    assert seen
    assert all(count % 20 == 0 for count in seen)


def test_two_processes_add_the_same_and_nothing_is_doubled(folder):
    writers = [writer(folder, 0, 20) for _ in range(2)]
    for process in writers:
        for _ in range(12):
            process.stdout.readline()
    reader = local(folder)
    for _ in range(20):
        count = len(reader.search(Query(limit=10_000)).products)
        assert count % 20 == 0
    for process in writers:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    found = [one.id for one in local(folder).read_additions(0)[0]]
    assert found == [f"p{number}" for number in range(len(found))]
    assert len(found) >= 240


def files_of(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("lock", "format") and path.stat().st_size
    )


def seeded(folder: Path):
    catalog = local(folder)
    for first in (0, 50):
        add_products(catalog, *random_products(50, first))
    merge_segments(catalog)
    add_products(catalog, *random_products(30, 100))
    add_products(catalog, product(7, id="p7", published=START))
    return catalog


def counts(catalog) -> tuple:
    return (
        len(catalog.read_additions(0)[0]),
        len(catalog.search(Query(limit=10_000)).products),
        [entry.rows for entry in catalog.freshness()],
    )


HARMS = ("truncated", "garbled", "deleted")


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_file_is_reported_and_repaired(tmp_path, harm):
    pattern = tmp_path / "pattern"
    expected = counts(seeded(pattern))
    assert expected == (131, 130, [130])
    # Every file is damaged in one way, those of the log in every way.
    for number, path in enumerate(files_of(pattern)):
        if path.suffix not in (".parquet", ".arrow") and number % len(HARMS) != HARMS.index(harm):
            continue
        folder = tmp_path / str(number)
        shutil.copytree(pattern, folder)
        victim = folder / path.relative_to(pattern)
        content = victim.read_bytes()
        if harm == "deleted":
            victim.unlink()
        else:
            victim.write_bytes(
                content[: len(content) // 2]
                if harm == "truncated"
                else content[:8] + bytes(byte ^ 0x5A for byte in content[8:-8]) + content[-8:]
                if len(content) > 64
                else b"\xff" * len(content)
            )
        catalog = local(folder)
        faults = catalog.check()
        if victim.suffix == ".twin":
            assert faults == []
        else:
            assert faults, victim
            assert all("\n" not in fault for fault in faults)
        try:
            counts(local(folder))
        except PermanentError as refused:
            assert "doctor" in str(refused)
        assert local(folder).rebuild() == 0, victim
        repaired = local(folder)
        assert counts(repaired) == expected, victim
        assert repaired.check() == []
        assert add_products(repaired, *random_products(130)) == 0


def test_a_catalog_without_an_index_rebuilds_it(folder, monkeypatch):
    monkeypatch.setattr("revisit.adapters.local.catalog.MAX_UNINDEXED_ROWS", 10)
    add_products(local(folder), *random_products(60))
    for index in folder.glob("index-*"):
        index.rename(folder / "index-1-0.1.0")
    catalog = local(folder)
    monkeypatch.setattr("revisit.adapters.local.catalog.MAX_UNINDEXED_ROWS", 59)
    assert len(catalog.search(Query()).products) == 60
    assert [index.name for index in folder.glob("index-*")] != ["index-1-0.1.0"]
    assert add_products(catalog, *random_products(61)) == 1
    assert len(catalog.search(Query()).products) == 61
    assert len(list(folder.glob("index-*"))) == 1
    assert not (folder / "index-1-0.1.0").exists()
    assert local(folder).check() == []


def test_lost_products_are_counted_and_can_be_added_again(folder):
    seeded(folder)
    for path in files_of(folder):
        if f"{100:012d}-{130:012d}" in path.name:
            path.unlink()
    catalog = local(folder)
    assert len(catalog.check()) == 1
    with pytest.raises(PermanentError, match="doctor"):
        catalog.search(Query())
    assert catalog.rebuild() == 30
    assert counts(catalog)[0] == 101
    assert add_products(catalog, *random_products(130)) == 30
    assert counts(local(folder)) == (131, 130, [130])


def test_a_folder_of_a_newer_version_is_refused(folder):
    add_products(local(folder), product())
    (folder / "format").write_text("2\n")
    with pytest.raises(PermanentError, match="newer version"):
        local(folder)


def test_a_full_disk_adds_nothing_and_says_so(folder, monkeypatch):
    catalog = local(folder)
    add_products(catalog, product())

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(TransientError, match="full"):
            add_products(catalog, product(1))
    assert page_ids(catalog.search(Query())) == ["product-000"]
    assert add_products(catalog, product(1)) == 1
    assert page_ids(local(folder).search(Query())) == ["product-000", "product-001"]


def test_a_search_in_memory_and_on_the_disk_is_the_same(folder):
    catalog, products = local(folder), random_products(700)
    add_products(catalog, *products)
    query = Query(tiles=TILES[:3], max_cloud=60, limit=1000)
    before = catalog.search(query)
    merge_segments(catalog)
    assert catalog.search(query) == before == local(folder).search(query)
    assert np.array_equal(
        [one.id for one in before.products],
        [
            one.id
            for one in sorted(products, key=lambda one: (one.sensing_time, one.id))
            if one.tile in TILES[:3] and one.cloud_cover <= 60
        ],
    )


# ------------------------------------------------------------------------------------------------------------
# -------
# searching


a_product = st.builds(
    lambda number, tile, name, source, level, cloud, made: product(
        number,
        tile=tile,
        id=f"p{name}",
        source=source,
        level=level,
        cloud_cover=cloud,
        published=made and START + timedelta(days=made),
    ),
    st.integers(0, 5),
    st.sampled_from(TILES),
    st.integers(0, 8),
    st.sampled_from((STAC_SOURCE, FOLDER_SOURCE)),
    st.sampled_from(("L1C", "L2A")),
    st.sampled_from((None, 0.0, 20.0, 20.000001, 100.0)),
    st.sampled_from((None, 1, 2, 3)),
)
a_query = st.builds(
    Query,
    tiles=st.lists(st.sampled_from((*TILES, "01WCP")), max_size=3).map(tuple),
    bounds=st.sampled_from(
        (
            None,
            (7.0, 44.0, 8.0, 45.5),
            (12.0, 41.0, 13.0, 42.0),
            (179.0, -18.0, -179.0, -17.0),
            (178.0, -18.0, 178.5, -17.0),
        )
    ),
    start=st.sampled_from((None, START + timedelta(days=2))),
    end=st.sampled_from((None, START + timedelta(days=4))),
    max_cloud=st.sampled_from((None, 0.0, 20.0)),
    level=st.sampled_from((None, "L1C", "L2A")),
    source=st.sampled_from(("", STAC_SOURCE, FOLDER_SOURCE)),
)


@given(
    st.lists(st.lists(a_product, min_size=1, max_size=12), min_size=1, max_size=4),
    st.lists(a_query, min_size=1, max_size=3),
    st.integers(1, 7),
    st.integers(0, 4),
)
@settings(
    max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_search_finds_what_a_full_scan_finds(tmp_path_factory, batches, queries, limit, compacted):
    catalog, kept, log = LocalCatalog(tmp_path_factory.mktemp("catalog")), {}, []
    for number, batch in enumerate(batches):
        new = {(one.source, one.id, one.published): one for one in reversed(batch)}
        new = {
            key: one
            for key, one in new.items()
            if key not in {(old.source, old.id, old.published) for old in log}
        }
        assert add_products(catalog, *batch) == len(new)
        log += [
            one for one in dict.fromkeys(batch, None) if new.get((one.source, one.id, one.published)) is one
        ]
        for one in log:
            rival = kept.get((one.source, one.id))
            if rival is None or (
                (one.published is not None, one.published or START)
                > (rival.published is not None, rival.published or START)
            ):
                kept[one.source, one.id] = one
        if number == compacted:
            merge_segments(catalog)
    assert catalog.read_additions(0)[0] == log
    for query in queries:
        expected = sorted(
            (one for one in kept.values() if meets(one, query)),
            key=lambda one: (one.sensing_time, one.id, one.source),
        )
        found, after = [], ""
        while True:
            page = catalog.search(
                Query(
                    **{
                        name: getattr(query, name)
                        for name in ("tiles", "bounds", "start", "end", "max_cloud", "level", "source")
                    },
                    limit=limit,
                    after=after,
                )
            )
            found += page.products
            after = page.next
            if not after:
                break
        assert found == expected


def meets(one: Product, query: Query) -> bool:
    """By shapely, with geometries split at the antimeridian."""

    def boxes(west, south, east, north):
        spans = [(west, east)] if west <= east else [(west, 180), (-180, east)]
        return shapely.union_all([shapely.box(left, south, right, north) for left, right in spans])

    return (
        (not query.tiles or one.tile in query.tiles)
        and (query.start is None or one.sensing_time >= query.start)
        and (query.end is None or one.sensing_time <= query.end)
        and (query.level is None or one.level == query.level)
        and (query.max_cloud is None or one.cloud_cover is None or one.cloud_cover <= query.max_cloud)
        and query.source in ("", one.source)
        and (
            query.bounds is None
            or (
                boxes(*query.bounds).intersects(boxes(one.west, one.south, one.east, one.north))
                and boxes(*query.bounds).intersects(Tile.parse(one.tile).footprint)
            )
        )
    )
