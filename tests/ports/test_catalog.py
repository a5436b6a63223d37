"""The same questions to every catalog; and to the local one, what happens to its files."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import shared_data
from figures import figure
from revisit.catalog_schema import to_table
from revisit.errors import BadInput, GiveUp, Retry
from revisit.ports import Page, Query
from revisit.product import Product, ProductName, best
from revisit.tile import Tile

TURIN, ROME, TAVEUNI, SUVA = "32TLQ", "33TTG", "01KAB", "60KYG"
"""01KAB reaches across the antimeridian, 60KYG lies west of it and overlaps it."""
FEED, FOLDER = "stac:https://example.org/v1#sentinel-2-l2a", "folder:/archive"
START = datetime(2024, 6, 1, 10, 30, tzinfo=UTC)


def product(number: int = 0, **facts) -> Product:
    tile = facts.pop("tile", TURIN)
    west, south, east, north = facts.pop("bounds", None) or bounds_of(tile)
    sensing_time = START + timedelta(days=number)
    return Product(**{"id": f"product-{number:03d}", "source": FEED, "level": "L2A", "platform": "S2A", "tile": tile, "sensing_time": sensing_time,
                      "datatake": f"{sensing_time:%Y%m%dT%H%M%S}", "west": west, "south": south, "east": east, "north": north, **facts})


def bounds_of(tile: str) -> tuple[float, float, float, float]:
    parts = [shapely.bounds(part) for part in shapely.get_parts(Tile.parse(tile).footprint)]
    if len(parts) == 1:
        return tuple(map(float, parts[0]))
    return (max(part[0] for part in parts), min(part[1] for part in parts), min(part[2] for part in parts), max(part[3] for part in parts))


def ids(page: Page) -> list[str]:
    return [found.id for found in page.products]


@pytest.fixture
def catalog(backend):
    return backend.catalog()


def add(catalog, *products: Product) -> int:
    return catalog.add(to_table(products))


# ------------------------------------------------------------------------------------------------------------------- growing


def test_an_empty_catalog_answers_with_nothing(catalog):
    assert catalog.search(Query()) == Page(())
    assert catalog.get("product-000") is None
    assert catalog.added_after(0) == ([], 0)
    assert catalog.freshness() == []
    assert catalog.unseen(FEED, ["a", "b"]).tolist() == [True, True]
    assert catalog.unseen(FEED, []).tolist() == []
    assert catalog.add(to_table([])) == 0


def test_a_product_comes_back_as_it_went_in(catalog):
    full = product(cloud_cover=12.5, relative_orbit=8, baseline="0511", published=START + timedelta(hours=3, microseconds=7), size=10**9,
                   href="https://example.org/item", footprint={"type": "Polygon", "coordinates": [[[7.0, 45.0], [8.5, 45.0], [8, 46], [7.0, 45.0]]]})
    add(catalog, full, product(1))
    assert catalog.get(full.id) == full
    assert catalog.search(Query(tiles=(TURIN,))).products == (full, product(1))
    assert catalog.added_after(0) == ([full, product(1)], 2)


def test_a_repeated_refresh_adds_nothing(catalog):
    assert add(catalog, *map(product, range(5))) == 5
    assert add(catalog, *map(product, range(7))) == 2
    assert add(catalog, *map(product, range(7))) == 0
    assert len(catalog.search(Query()).products) == 7
    assert catalog.added_after(7) == ([], 7)


def test_a_batch_that_repeats_itself_counts_once(catalog):
    assert add(catalog, product(), product(), product()) == 1


def test_ids_are_known_by_source(catalog):
    add(catalog, product(1), product(2, source=FOLDER))
    assert catalog.unseen(FEED, ["product-001", "product-002", "product-003"]).tolist() == [False, True, True]
    assert catalog.unseen(FOLDER, pa.array(["product-001", "product-002"])).tolist() == [True, False]


def test_the_same_product_in_two_sources_is_two_rows(catalog):
    assert add(catalog, product(), product(source=FOLDER)) == 2
    assert [found.source for found in catalog.search(Query(tiles=(TURIN,))).products] == [FOLDER, FEED]
    assert catalog.get("product-000", FOLDER).source == FOLDER


def test_a_product_published_anew_replaces_its_former_self(catalog):
    first, anew = product(published=START, cloud_cover=5.0), product(published=START + timedelta(days=9), cloud_cover=80.0)
    add(catalog, first, product(1))
    assert add(catalog, anew) == 1
    assert catalog.get(first.id) == anew
    assert catalog.search(Query(tiles=(TURIN,))).products == (anew, product(1))
    assert ids(catalog.search(Query(max_cloud=20))) == ["product-001"]
    assert catalog.added_after(0) == ([first, product(1), anew], 3)
    assert [entry.rows for entry in catalog.freshness()] == [2]


def test_an_older_version_that_comes_late_stays_behind(catalog):
    latest = product(published=START + timedelta(days=9))
    add(catalog, latest)
    assert add(catalog, product(published=START), product(published=None)) == 2
    assert catalog.get(latest.id) == latest
    assert catalog.search(Query()).products == (latest,)
    assert [entry.rows for entry in catalog.freshness()] == [1]


def test_freshness_is_told_by_source(catalog):
    add(catalog, product(3, published=START), product(1, published=START + timedelta(days=20)), product(2, source=FOLDER))
    assert [(entry.source, entry.rows, entry.last_sensing, entry.last_published) for entry in catalog.freshness()] == [
        (FOLDER, 1, START + timedelta(days=2), None), (FEED, 2, START + timedelta(days=3), START + timedelta(days=20))]


def test_the_log_is_read_on_from_where_it_was_left(catalog):
    add(catalog, *map(product, (5, 3, 4)))
    seen, cursor = catalog.added_after(0, limit=2)
    add(catalog, product(1))
    more, end = catalog.added_after(cursor, limit=2)
    assert [found.id for found in seen + more] == ["product-005", "product-003", "product-004", "product-001"]
    assert catalog.added_after(end) == ([], end)


# ------------------------------------------------------------------------------------------------------------------- searching


def test_conditions_hold_together(catalog):
    add(catalog, product(0, cloud_cover=10.0), product(1, cloud_cover=90.0), product(2), product(3, level="L1C", cloud_cover=1.0),
        product(4, tile=ROME, cloud_cover=1.0), product(5, source=FOLDER, cloud_cover=20.0))
    day = timedelta(days=1)
    for query, expected in (
        (Query(tiles=(TURIN,)), [0, 1, 2, 3, 5]), (Query(tiles=(TURIN, ROME)), [0, 1, 2, 3, 4, 5]), (Query(tiles=("01WCP",)), []),
        (Query(max_cloud=20), [0, 2, 3, 4, 5]), (Query(max_cloud=0), [2]), (Query(level="L1C"), [3]), (Query(source=FOLDER), [5]), (Query(source="x"), []),
        (Query(start=START + day, end=START + 3 * day), [1, 2, 3]), (Query(tiles=(TURIN,), start=START + day, end=START + 3 * day, max_cloud=50), [2, 3]),
        (Query(start=START + 3 * day, end=START + day), []),
    ):
        assert ids(catalog.search(query)) == [f"product-{number:03d}" for number in expected], query


def test_pages_follow_one_another_without_a_gap_while_the_catalog_grows(catalog):
    add(catalog, *(product(number // 10, id=f"p-{number:03d}", source=FEED if number % 3 else FOLDER) for number in range(0, 100, 2)))
    seen, after = [], ""
    while True:
        page = catalog.search(Query(tiles=(TURIN,), limit=7, after=after))
        seen += ids(page)
        if not page.next:
            break
        if len(seen) == 21:
            add(catalog, *(product(number // 10, id=f"p-{number:03d}") for number in range(1, 100, 2)))
        after = page.next
    # What sorts before the page that was read when the catalog grew is missed, nothing else, and nothing comes twice.
    assert seen == [f"p-{number:03d}" for number in range(100) if number % 2 == 0 or number > 40]


def test_the_same_id_at_the_same_time_in_two_sources_is_on_two_pages(catalog):
    add(catalog, product(), product(source=FOLDER))
    first = catalog.search(Query(limit=1))
    second = catalog.search(Query(limit=1, after=first.next))
    assert [found.source for found in first.products + second.products] == [FOLDER, FEED]
    assert not second.next


@pytest.mark.parametrize("query", [Query(after="nowhere"), Query(after="2024-13-01|a|b"), Query(limit=0), Query(bounds=(0, 50, 1, 40)),
                                   Query(bounds=(0, 0, 200, 1)), Query(bounds=(float("nan"), 0, 1, 1))])
def test_a_query_that_makes_no_sense_is_refused(catalog, query):
    with pytest.raises(BadInput):
        catalog.search(query)


@pytest.mark.parametrize("text", ["'); attach 'x' as y; --", "a'b", '"', "\x00", "%", "*", "€" * 50])
def test_words_of_users_are_only_ever_values(catalog, text):
    odd = product(id=f"odd{text}", source=f"folder:{text}")
    add(catalog, odd, product(1))
    assert catalog.unseen(odd.source, [odd.id, text]).tolist() == [False, True]
    assert catalog.get(odd.id, odd.source) == odd
    assert catalog.search(Query(source=odd.source)).products == (odd,)
    assert catalog.search(Query(tiles=(text,))).products == ()
    assert catalog.get(text) is None


def test_bounds_are_met_on_either_side_of_the_antimeridian(catalog):
    west, south, east, north = bounds_of(TAVEUNI)
    assert west > east
    middle = (south + north) / 2
    add(catalog, product(0, tile=TAVEUNI), product(1, tile=SUVA), product(2, tile=TURIN), product(3, tile=TAVEUNI, bounds=(west, south, 179.9, north)))
    for bounds, expected in (
        ((179.95, middle, 180.0, middle), [0]), ((-180.0, middle, -179.9, middle), [0]), ((179.5, middle, -179.9, middle + 0.1), [0, 1, 3]),
        ((179.99, middle, -170.0, middle + 0.1), [0]), ((7.0, 44.5, 7.5, 45.0), [2]), ((-10.0, 80.0, 10.0, 81.0), []),
        ((-180.0, -90.0, 180.0, 90.0), [0, 1, 2, 3]), ((west - 0.2, middle, west - 0.1, middle), [1]),
    ):
        assert ids(catalog.search(Query(bounds=bounds))) == [f"product-{number:03d}" for number in expected], bounds


TILES = (TURIN, ROME, TAVEUNI, SUVA, "32TMQ")
a_product = st.builds(
    lambda number, tile, name, source, level, cloud, made: product(number, tile=tile, id=f"p{name}", source=source, level=level, cloud_cover=cloud,
                                                                 published=made and START + timedelta(days=made)),
    st.integers(0, 5), st.sampled_from(TILES), st.integers(0, 8), st.sampled_from((FEED, FOLDER)), st.sampled_from(("L1C", "L2A")),
    st.sampled_from((None, 0.0, 20.0, 20.000001, 100.0)), st.sampled_from((None, 1, 2, 3)))
a_query = st.builds(
    Query, tiles=st.lists(st.sampled_from((*TILES, "01WCP")), max_size=3).map(tuple),
    bounds=st.sampled_from((None, (7.0, 44.0, 8.0, 45.5), (12.0, 41.0, 13.0, 42.0), (179.0, -18.0, -179.0, -17.0), (178.0, -18.0, 178.5, -17.0))),
    start=st.sampled_from((None, START + timedelta(days=2))), end=st.sampled_from((None, START + timedelta(days=4))),
    max_cloud=st.sampled_from((None, 0.0, 20.0)), level=st.sampled_from((None, "L1C", "L2A")), source=st.sampled_from(("", FEED, FOLDER)))


@given(st.lists(st.lists(a_product, min_size=1, max_size=12), min_size=1, max_size=4), st.lists(a_query, min_size=1, max_size=3), st.integers(1, 7),
       st.integers(0, 4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_search_finds_what_looking_at_every_product_finds(tmp_path_factory, batches, queries, limit, compacted):
    from revisit.local.catalog import LocalCatalog

    catalog, kept, log = LocalCatalog(tmp_path_factory.mktemp("catalog")), {}, []
    for number, batch in enumerate(batches):
        new = {(one.source, one.id, one.published): one for one in reversed(batch)}
        new = {key: one for key, one in new.items() if key not in {(old.source, old.id, old.published) for old in log}}
        assert add(catalog, *batch) == len(new)
        log += [one for one in dict.fromkeys(batch, None) if new.get((one.source, one.id, one.published)) is one]
        for one in log:
            rival = kept.get((one.source, one.id))
            if rival is None or ((one.published is not None, one.published or START) > (rival.published is not None, rival.published or START)):
                kept[one.source, one.id] = one
        if number == compacted:
            catalog.compact()
    assert catalog.added_after(0)[0] == log
    for query in queries:
        expected = sorted((one for one in kept.values() if meets(one, query)), key=lambda one: (one.sensing_time, one.id, one.source))
        found, after = [], ""
        while True:
            page = catalog.search(Query(**{name: getattr(query, name) for name in ("tiles", "bounds", "start", "end", "max_cloud", "level", "source")},
                                        limit=limit, after=after))
            found += page.products
            after = page.next
            if not after:
                break
        assert found == expected


def meets(one: Product, query: Query) -> bool:
    """By shapely, in a world cut at the antimeridian."""
    def boxes(west, south, east, north):
        spans = [(west, east)] if west <= east else [(west, 180), (-180, east)]
        return shapely.union_all([shapely.box(left, south, right, north) for left, right in spans])

    return ((not query.tiles or one.tile in query.tiles) and (query.start is None or one.sensing_time >= query.start)
            and (query.end is None or one.sensing_time <= query.end) and (query.level is None or one.level == query.level)
            and (query.max_cloud is None or one.cloud_cover is None or one.cloud_cover <= query.max_cloud) and query.source in ("", one.source)
            and (query.bounds is None or (boxes(*query.bounds).intersects(boxes(one.west, one.south, one.east, one.north))
                                          and boxes(*query.bounds).intersects(Tile.parse(one.tile).footprint))))


# ----------------------------------------------------------------------------------------------------------------- real products


def real_products() -> list[Product]:
    """2,271 products as a real catalogue tells of them, reprocessed ones among them."""
    products = []
    for row in pq.read_table(shared_data("catalog", "cdse_products.parquet")).to_pylist():
        try:
            name = ProductName.parse(row["title"])
        except BadInput:
            continue
        footprint = shapely.from_wkb(row["geometry"])
        west, south, east, north = footprint.bounds
        products.append(Product(
            id=str(name), source="stac:https://catalogue.dataspace.copernicus.eu#Sentinel2", level=name.level, platform=name.platform, tile=name.tile,
            sensing_time=datetime.fromisoformat(row["startDate"]), datatake=f"{name.datatake:%Y%m%dT%H%M%S}", west=west, south=south, east=east,
            north=north, cloud_cover=row["cloudCover"], relative_orbit=name.relative_orbit, baseline=name.baseline,
            published=datetime.fromisoformat(row["published"]), footprint=shapely.geometry.mapping(footprint)))
    return products


def test_real_products_are_found_by_place_and_grouped_into_acquisitions(catalog):
    products = real_products()
    assert len(products) == 2271
    assert add(catalog, *products) == 2271
    assert add(catalog, *products) == 0
    here = shapely.box(4.6, 50.9, 5.0, 51.1)
    found = []
    page = catalog.search(Query(bounds=here.bounds, limit=100))
    while page.next:
        found += page.products
        page = catalog.search(Query(bounds=here.bounds, limit=100, after=page.next))
    found += page.products
    expected = {one.id for one in products if here.intersects(shapely.box(one.west, one.south, one.east, one.north))}
    assert {one.id for one in found} == expected
    # By their names alone: what one satellite began to see of one tile at one moment.
    acquisitions = {}
    for title in expected:
        platform, _, datatake, _, _, tile, _ = title.split("_")
        acquisitions.setdefault((platform, datatake, tile), []).append(title)
    chosen = best(found)
    assert len(chosen) == len(acquisitions) < len(found)
    for one in chosen:
        rivals = acquisitions[one.platform, one.datatake, f"T{one.tile}"]
        assert one.id == max(rivals, key=lambda title: (title.split("_")[1], title.split("_")[3], title.split("_")[6])) or \
            (one.level, one.baseline) == max((title.split("_")[1][3:], title.split("_")[3][1:]) for title in rivals)
    figure("real catalog", f"{len(products)} products taken in, 0 by a second refresh, {len(found)} of them here grouped into {len(chosen)} acquisitions")


# --------------------------------------------------------------------------------------------------------------- the local one


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "catalog"


def local(folder: Path):
    from revisit.local.catalog import LocalCatalog

    return LocalCatalog(folder)


def many(count: int, first: int = 0) -> list[Product]:
    rng = random.Random(first)
    return [product(number % 40, id=f"p{number}", tile=rng.choice(TILES), cloud_cover=float(number % 101)) for number in range(first, first + count)]


def test_a_reader_sees_what_another_catalog_object_adds(folder):
    reader, writer = local(folder), local(folder)
    assert reader.search(Query()).products == ()
    add(writer, product())
    assert ids(reader.search(Query())) == ["product-000"]
    writer.compact()
    add(writer, product(1))
    assert ids(reader.search(Query())) == ["product-000", "product-001"]


def test_many_small_batches_become_few_files_and_keep_their_order(folder, monkeypatch):
    monkeypatch.setattr("revisit.local.catalog.RECENT_ROWS", 10)
    catalog = local(folder)
    products = many(90)
    for one in products:
        add(catalog, one)
    assert [one.id for one in catalog.added_after(0)[0]] == [one.id for one in products]
    assert len(list((folder / "log").glob("*.parquet"))) <= 26
    assert len(list(folder.glob("index-*/*.part"))) <= 9
    assert len(catalog.search(Query()).products) == len(local(folder).search(Query()).products) == 90
    assert not catalog.unseen(FEED, [one.id for one in products]).any()


def test_a_version_replaced_across_parts_is_found_no_more(folder, monkeypatch):
    catalog = local(folder)
    add(catalog, product(published=START), product(1))
    catalog.compact()
    monkeypatch.setattr("revisit.local.catalog.RECENT_ROWS", 0)
    add(catalog, product(published=START + timedelta(days=1)))
    add(catalog, product(published=START + timedelta(days=2)), product(published=START - timedelta(days=2)))
    assert len(list(folder.glob("index-*/*.part"))) == 3
    for reader in (catalog, local(folder)):
        assert [(one.id, one.published) for one in reader.search(Query()).products] == [
            ("product-000", START + timedelta(days=2)), ("product-001", None)]
        assert reader.get("product-000").published == START + timedelta(days=2)
        assert [entry.rows for entry in reader.freshness()] == [2]
    catalog.compact()
    assert len(list(folder.glob("index-*/*.part"))) == 1
    assert len(local(folder).search(Query()).products) == 2


WRITER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[4:]
from test_catalog import many
from revisit.catalog_schema import to_table
from revisit.local import catalog
catalog.RECENT_ROWS = 40
folder, first, step = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
while True:
    catalog.LocalCatalog(folder).add(to_table(many(step, first)))
    print(first + step, flush=True)
    first += step
"""


def writer(folder: Path, first: int, step: int) -> subprocess.Popen:
    import revisit

    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(revisit.__file__).parents[1])]
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(first), str(step), *paths], stdout=subprocess.PIPE, text=True)


def test_a_batch_is_there_whole_or_not_at_all_after_a_kill(folder):
    done, rng = 0, random.Random(4)
    for _ in range(3):
        process = writer(folder, done, 17)
        said = int(process.stdout.readline())
        time.sleep(rng.uniform(0, 0.2))
        os.kill(process.pid, signal.SIGKILL)
        said = max([said, *(int(line) for line in process.stdout.read().split() if line.endswith(tuple("0123456789")))])
        process.wait()
        catalog = local(folder)
        count = len(catalog.added_after(0)[0])
        assert count % 17 == 0
        assert count >= said
        assert catalog.check() == []
        done = count
    assert sum(entry.rows for entry in catalog.freshness()) == count
    assert [one.id for one in catalog.added_after(0)[0]] == [f"p{number}" for number in range(count)]


def test_threads_search_while_one_adds(folder, monkeypatch):
    monkeypatch.setattr("revisit.local.catalog.RECENT_ROWS", 60)
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
        assert add(catalog, *many(20, first)) == 20
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
    found = [one.id for one in local(folder).added_after(0)[0]]
    assert found == [f"p{number}" for number in range(len(found))]
    assert len(found) >= 240


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in ("lock", "format") and path.stat().st_size)


def seeded(folder: Path):
    catalog = local(folder)
    for first in (0, 50):
        add(catalog, *many(50, first))
    catalog.compact()
    add(catalog, *many(30, 100))
    add(catalog, product(7, id="p7", published=START))
    return catalog


def counts(catalog) -> tuple:
    return (len(catalog.added_after(0)[0]), len(catalog.search(Query(limit=10_000)).products), [entry.rows for entry in catalog.freshness()])


HARMS = ("truncated", "garbled", "deleted")


@pytest.mark.parametrize("harm", HARMS)
def test_any_one_damaged_file_is_named_and_mended(tmp_path, harm):
    pattern = tmp_path / "pattern"
    expected = counts(seeded(pattern))
    assert expected == (131, 130, [130])
    # Every file is harmed in one way, those of the log in all.
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
            victim.write_bytes(content[: len(content) // 2] if harm == "truncated"
                               else content[:8] + bytes(byte ^ 0x5A for byte in content[8:-8]) + content[-8:] if len(content) > 64 else b"\xff" * len(content))
        catalog = local(folder)
        faults = catalog.check()
        if victim.suffix == ".twin":
            assert faults == []
        else:
            assert faults, victim
            assert all("\n" not in fault for fault in faults)
        try:
            counts(local(folder))
        except GiveUp as refused:
            assert "doctor" in str(refused)
        assert local(folder).rebuild() == 0, victim
        mended = local(folder)
        assert counts(mended) == expected, victim
        assert mended.check() == []
        assert add(mended, *many(130)) == 0


def test_a_catalog_without_an_index_makes_it_again(folder, monkeypatch):
    monkeypatch.setattr("revisit.local.catalog.RECENT_ROWS", 10)
    add(local(folder), *many(60))
    for index in folder.glob("index-*"):
        index.rename(folder / "index-1-0.1.0")
    catalog = local(folder)
    monkeypatch.setattr("revisit.local.catalog.RECENT_ROWS", 59)
    assert len(catalog.search(Query()).products) == 60
    assert [index.name for index in folder.glob("index-*")] != ["index-1-0.1.0"]
    assert add(catalog, *many(61)) == 1
    assert len(catalog.search(Query()).products) == 61
    assert len(list(folder.glob("index-*"))) == 1
    assert not (folder / "index-1-0.1.0").exists()
    assert local(folder).check() == []


def test_what_is_lost_for_good_is_counted_and_can_be_added_again(folder):
    seeded(folder)
    for path in files_of(folder):
        if f"{100:012d}-{130:012d}" in path.name:
            path.unlink()
    catalog = local(folder)
    assert len(catalog.check()) == 1
    with pytest.raises(GiveUp, match="doctor"):
        catalog.search(Query())
    assert catalog.rebuild() == 30
    assert counts(catalog)[0] == 101
    assert add(catalog, *many(130)) == 30
    assert counts(local(folder)) == (131, 130, [130])


def test_a_folder_of_a_newer_version_is_refused(folder):
    add(local(folder), product())
    (folder / "format").write_text("2\n")
    with pytest.raises(GiveUp, match="newer version"):
        local(folder)


def test_a_full_disk_adds_nothing_and_says_so(folder, monkeypatch):
    catalog = local(folder)
    add(catalog, product())

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(Retry, match="full"):
            add(catalog, product(1))
    assert ids(catalog.search(Query())) == ["product-000"]
    assert add(catalog, product(1)) == 1
    assert ids(local(folder).search(Query())) == ["product-000", "product-001"]


def test_a_search_in_memory_and_on_the_disk_is_the_same(folder):
    catalog, products = local(folder), many(700)
    add(catalog, *products)
    query = Query(tiles=TILES[:3], max_cloud=60, limit=1000)
    before = catalog.search(query)
    catalog.compact()
    assert catalog.search(query) == before == local(folder).search(query)
    assert np.array_equal([one.id for one in before.products], [one.id for one in sorted(products, key=lambda one: (one.sensing_time, one.id))
                                                               if one.tile in TILES[:3] and one.cloud_cover <= 60])
