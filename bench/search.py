"""Search among millions of products by tile, by polygon and from a cold start.

Peers are DuckDB over a sorted table and over sorted Parquet files of the same rows. A query names one tile,
one year and at most 20 % cloud, and returns whole `Product`s; the polygon is a box of 0.2 degrees. Through
the API the same query is a CQL2 filter, answered as STAC Items without assets, which would need requests to
their sources.
"""

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.catalog_rows import merge_segments
from bench.common import DATA, arguments, figure

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from revisit.adapters.local.catalog import LocalCatalog

START, END = datetime(2023, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)
CLOUD = 20.0
STEP = 500_000

COLD_START_PROGRAM = """
import sys, time
begun = time.perf_counter()
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from revisit.ports.catalog import Query
catalog = getattr(import_module(sys.argv[1]), sys.argv[2])(Path(sys.argv[3]))
catalog.search(Query(tiles=("32TQM",), start=datetime(2023, 1, 1, tzinfo=UTC), max_cloud=20))
print(time.perf_counter() - begun)
"""


def fill_catalog(rows: int) -> Path:
    """Folder of a catalog with this many rows, indexed in one segment."""
    from bench.catalog_rows import products
    from revisit.adapters.local.catalog import LocalCatalog

    folder = DATA / f"catalog-{rows}"
    catalog = LocalCatalog(folder)
    done = sum(entry.rows for entry in catalog.freshness())
    for first in range(done, rows, STEP):
        catalog.add(products(first, min(first + STEP, rows)))
    if done < rows:
        merge_segments(catalog)
    return folder


def sorted_table(folder: Path) -> Path:
    """A peer: the same rows in a DuckDB table sorted by tile and time."""
    import duckdb

    path = folder.with_suffix(".duckdb")
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        with duckdb.connect(str(unfinished), config={"threads": 2, "memory_limit": "4GB"}) as engine:
            engine.execute(
                "create table products as select * exclude (position, hides) from read_parquet($files) "
                "order by tile, sensing_time",
                {"files": [str(file) for file in (folder / "log").glob("*.parquet")]},
            )
        unfinished.rename(path)
    return path


def parquet_parts(folder: Path) -> Path:
    """A peer: the same rows in Parquet files sorted by tile and time."""
    from bench.duckdb_catalog import write_parts

    path = folder.with_suffix(".parts")
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        write_parts(sorted((folder / "log").glob("*.parquet")), unfinished)
        unfinished.rename(path)
    return path


def cold_start(catalog: type, folder: Path) -> float:
    """Seconds to the first answer of a new process, imports included; the median of five."""
    root = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(root / "shared"), str(root)))}
    command = [sys.executable, "-c", COLD_START_PROGRAM, catalog.__module__, catalog.__name__, str(folder)]
    return statistics.median(
        float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
        for _ in range(5)
    )


def api_client(catalog: "LocalCatalog") -> "FlaskClient":
    """A test client of the whole application with this catalog."""
    from dataclasses import replace
    from types import SimpleNamespace

    from revisit.adapters.local.backend import local_backend
    from revisit.api import create_app

    backend = local_backend(DATA / "search-api")
    ports = {name: getattr(backend.adapters, name) for name in ("records", "assets", "bus")}
    return create_app(replace(backend, adapters=SimpleNamespace(catalog=catalog, **ports))).test_client()


def time_queries(query: Callable[[], object], count: int) -> list[float]:
    """Milliseconds of `count` queries in sequence, after a warm-up."""
    for _ in range(count // 10):
        query()
    found = []
    for _ in range(count):
        begun = time.perf_counter()
        query()
        found.append((time.perf_counter() - begun) * 1e3)
    return found


def main() -> None:
    import duckdb

    from bench.catalog_rows import land_tiles
    from bench.duckdb_catalog import DuckDBCatalog, searched_bytes
    from revisit.adapters.local.catalog import LocalCatalog
    from revisit.ports.catalog import Query

    options = arguments(
        "Search among millions of products.",
        rows={"type": int, "default": 30_000_000, "help": "of the full size"},
    )
    rows, count, rounds = (500_000, 200, 5) if options.quick else (options.rows, 400, 5)
    folder = fill_catalog(rows)
    catalog, peer = (
        LocalCatalog(folder),
        duckdb.connect(str(sorted_table(folder)), read_only=True, config={"threads": 2}),
    )
    parts = parquet_parts(folder)
    parquet = DuckDBCatalog(parts)
    tiles = land_tiles().to_pylist()
    draw = random.Random(5)

    def tile_query() -> Query:
        return Query(tiles=(draw.choice(tiles)["tile"],), start=START, end=END, max_cloud=CLOUD)

    def polygon_query() -> Query:
        tile = draw.choice(tiles)
        west, south = tile["west"] + draw.uniform(0.2, 0.8), tile["south"] + draw.uniform(0.1, 0.6)
        if west > 179:
            west -= 2
        return Query(bounds=(west, south, west + 0.2, south + 0.2), start=START, end=END, max_cloud=CLOUD)

    def by_tile() -> tuple:
        return catalog.search(tile_query()).products

    def by_polygon() -> tuple:
        return catalog.search(polygon_query()).products

    def parquet_by_tile() -> list:
        return parquet.search(tile_query())

    def parquet_by_polygon() -> list:
        return parquet.search(polygon_query())

    for query in (tile_query(), polygon_query()):
        assert {one.id for one in catalog.search(query).products} == {one.id for one in parquet.search(query)}

    def by_duckdb() -> list:
        return peer.execute(
            "select * from products where tile = ? and sensing_time between ? and ? and cloud_cover <= ? "
            "order by sensing_time",
            [draw.choice(tiles)["tile"], START.replace(tzinfo=None), END.replace(tzinfo=None), CLOUD],
        ).fetchall()

    client = api_client(catalog)

    def asked(**conditions: object) -> bytes:
        answer = client.post(
            "/stac/search",
            json={
                "datetime": "2023-01-01T00:00:00Z/2023-12-31T23:59:59Z",
                "limit": 50,
                "filter": "eo:cloud_cover <= 20",
                "filter-lang": "cql2-text",
                "collections": ["sentinel-2-l1c", "sentinel-2-l2a"],
                "fields": {"exclude": ["assets"]},
                **conditions,
            },
        )
        assert answer.status_code == 200, answer.text
        return answer.data

    def api_by_tile() -> bytes:
        return asked(tiles=[draw.choice(tiles)["tile"]])

    def api_by_polygon() -> bytes:
        tile = draw.choice(tiles)
        west, south = min(tile["west"], 178) + draw.uniform(0.2, 0.8), tile["south"] + draw.uniform(0.1, 0.6)
        ring = [[west, south], [west + 0.2, south], [west + 0.1, south + 0.2], [west, south]]
        return asked(intersects={"type": "Polygon", "coordinates": [ring]})

    cases = {
        "by tile": by_tile,
        "by polygon": by_polygon,
        "DuckDB table sorted by tile": by_duckdb,
        "DuckDB over Parquet, by tile": parquet_by_tile,
        "DuckDB over Parquet, by polygon": parquet_by_polygon,
        "through the API, by tile": api_by_tile,
        "through the API, by polygon": api_by_polygon,
    }
    found: dict[str, list[list[float]]] = {name: [] for name in cases}
    for turn in range(rounds):
        for name in [*cases][turn % len(cases) :] + [*cases][: turn % len(cases)]:
            found[name].append(time_queries(cases[name], count))
    p50 = {name: statistics.median(statistics.median(one) for one in runs) for name, runs in found.items()}
    p99 = {
        name: statistics.median(statistics.quantiles(one, n=100)[98] for one in runs)
        for name, runs in found.items()
    }
    print(
        f"{rows:,} rows; {sum(len(by_tile()) for _ in range(100)) / 100:.0f} products a tile query, "
        f"{sum(len(by_polygon()) for _ in range(100)) / 100:.0f} a polygon query"
    )
    for name in cases:
        print(f"  {name:32s} p50 {p50[name]:8.2f} ms   p99 {p99[name]:8.2f} ms")
    ratio = statistics.median(
        statistics.median(own) / statistics.median(tile)
        for own, tile in zip(found["by polygon"], found["by tile"], strict=True)
    )
    faster = statistics.median(
        statistics.median(own) / statistics.median(tile)
        for own, tile in zip(found["DuckDB table sorted by tile"], found["by tile"], strict=True)
    )
    cold, cold_parquet = cold_start(LocalCatalog, folder), cold_start(DuckDBCatalog, parts)
    from revisit.adapters.local.search_columns import COLUMNS

    (part,) = folder.glob("index-*/*.part")
    width = sum((part / name).stat().st_size for name in COLUMNS) / rows
    figure(
        "search by tile, median", f"{p50['by tile']:.2f} ms ({rows:,} rows)", "<= 2 ms", p50["by tile"] <= 2
    )
    figure("search by tile, p99", f"{p99['by tile']:.2f} ms", "<= 10 ms", p99["by tile"] <= 10)
    figure(
        "search by polygon, of the search by tile",
        f"{ratio:.2f}x (p50 {p50['by polygon']:.2f} ms)",
        "<= 1.5x",
        ratio <= 1.5,
    )
    figure("search by tile, faster than DuckDB's sorted table", f"{faster:.1f}x", ">= 1x", faster >= 1)
    slower = p50["DuckDB over Parquet, by tile"] / p50["by tile"]
    print(
        f"  DuckDB over sorted Parquet files: {slower:.0f}x the time by tile, "
        f"{p50['DuckDB over Parquet, by polygon'] / p50['by polygon']:.0f}x by polygon; cold start "
        f"{cold_parquet:.2f} s; "
        f"{searched_bytes(parts) / rows:.0f} B a row"
    )
    figure(
        "search by tile, faster than DuckDB over sorted Parquet files",
        f"{slower:.0f}x",
        ">= 1.2x",
        slower >= 1.2,
    )
    figure(
        "search through the API by tile, 50 items of STAC",
        f"p50 {p50['through the API, by tile']:.1f} ms, p99 {p99['through the API, by tile']:.1f} ms "
        f"({rows:,} rows)",
        "p99 <= 100 ms",
        p99["through the API, by tile"] <= 100,
    )
    figure(
        "search through the API by polygon",
        f"p50 {p50['through the API, by polygon']:.1f} ms, p99 {p99['through the API, by polygon']:.1f} ms",
        "p99 <= 150 ms",
        p99["through the API, by polygon"] <= 150,
    )
    figure("search from a cold start", f"{cold:.2f} s", "<= 0.5 s", cold <= 0.5)
    figure("columns searched, on the disk", f"{width:.0f} B a row", "<= 40 B", width <= 40)


if __name__ == "__main__":
    main()
