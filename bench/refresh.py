"""Refresh from an index.csv.gz with 0.3 % new rows, compared with decompressing it and with two DuckDB peers.

Each run is a new process, so that its peak memory counts alone; imports do not count. Ours adds the new rows
durably to a copy of the catalog; so does the peer over sorted Parquet files, without a sync.
"""

import gzip
import http.server
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

from bench.catalog_rows import merge_segments
from bench.common import DATA, arguments, figure

CHUNK = 500_000

FLOOR_PROGRAM = """
from isal import igzip
---
file = igzip.open(INDEX)
while file.read(1 << 22):
    pass
"""

OUR_PROGRAM = """
import duckdb, numpy, pyarrow.csv, pyarrow.parquet
from datetime import UTC, datetime
from pathlib import Path
from revisit.adapters.local.catalog import LocalCatalog
from revisit.adapters.sources.google_index import GoogleIndex
pyarrow.array(numpy.zeros(1))
---
catalog, source = LocalCatalog(Path(CATALOG)), GoogleIndex(INDEX)
source.spec = SPEC
listing = source.list_products({}, lambda ids: catalog.missing_mask(SPEC, ids), datetime.now(UTC))
found = sum(catalog.add(batch) for batch in listing.batches)
assert listing.rows == ROWS and listing.rejection_count == 0, (listing.rows, listing.rejection_examples[:3])
"""

PARQUET_PROGRAM = """
import duckdb, numpy, pyarrow.csv, pyarrow.parquet
from datetime import UTC, datetime
from pathlib import Path
from bench.duckdb_catalog import DuckDBCatalog
from revisit.adapters.sources.google_index import GoogleIndex
pyarrow.array(numpy.zeros(1))
---
catalog, source = DuckDBCatalog(Path(PARTS)), GoogleIndex(INDEX)
source.spec = SPEC
listing = source.list_products({}, lambda ids: catalog.missing_mask(SPEC, ids), datetime.now(UTC))
found = sum(catalog.add(batch) for batch in listing.batches)
assert listing.rows == ROWS, listing.rows
"""

ANTI_JOIN_PROGRAM = """
import duckdb
engine = duckdb.connect()
engine.execute("set threads=2; set memory_limit='4GB'; set preserve_insertion_order=false")
engine.execute("set enable_progress_bar=false")
---
hashed = "(select hash(PRODUCT_ID) as h from read_csv($index))"
found = engine.execute(
    f"select count(distinct h) from {hashed} anti join read_parquet($hashes) using (h)",
    {"index": INDEX, "hashes": HASHES},
).fetchone()[0]
"""

MEASURE_PROGRAM = """
import json, time
{setup}
begun = time.perf_counter()
{code}
seconds = time.perf_counter() - begun
peak = next(int(line.split()[1]) / 1024 for line in open('/proc/self/status') if line.startswith('VmHWM'))
print(json.dumps([seconds, peak, globals().get('found')]))
"""


def prepare(rows: int, times: int = 1) -> tuple[Path, Path, Path, int]:
    """Index, yesterday's catalog, its hashes for a peer, and the number of new products.

    Args:
        times: How often the index repeats its rows.
    """
    import duckdb
    import numpy as np
    import pyarrow as pa

    from bench.catalog_rows import SOURCE, products, write_index
    from bench.duckdb_catalog import write_parts
    from revisit.adapters.local.catalog import LocalCatalog

    # Hashes, and so the catalog's index, belong to one version of DuckDB.
    index, catalog = DATA / f"index-{rows}.csv.gz", DATA / f"yesterday-{rows}-{duckdb.__version__}"
    hashes = catalog.with_name(f"{catalog.name}.parquet")
    new = len(range(0, rows, 333))
    if not index.exists():
        write_index(index, rows)
    if not hashes.exists():
        shutil.rmtree(catalog, ignore_errors=True)
        filled = LocalCatalog(catalog)
        engine = duckdb.connect()
        engine.execute("create table known (h ubigint)")
        for first in range(0, rows, CHUNK):
            end = min(first + CHUNK, rows)
            old = products(first, end).filter(pa.array(np.arange(first, end) % 333 != 0))
            filled.add(old)
            engine.register("old", old.select(["id"]))
            engine.execute("insert into known select hash(id) from old")
        merge_segments(filled)
        assert sum(entry.rows for entry in filled.freshness()) == rows - new
        assert filled.freshness()[0].source == SOURCE
        engine.execute(f"copy (from known order by h) to '{hashes}' (compression zstd)")
    if not (parts := catalog.with_name(f"{catalog.name}.parts")).exists():
        write_parts(
            sorted((catalog / "log").glob("*.parquet")), unfinished := parts.with_suffix(".unfinished")
        )
        unfinished.rename(parts)
    return repeat_rows(index, times) if times > 1 else index, catalog, hashes, new


def repeat_rows(index: Path, times: int) -> Path:
    """The index with its rows repeated, each time in another gzip member."""
    path = index.with_name(f"{times}-times-{index.name}")
    if not path.exists():
        with gzip.open(index) as text:
            header, rows = text.readline(), gzip.compress(text.read(), 6)
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(gzip.compress(header) + rows * times)
        unfinished.rename(path)
    return path


def run(code: str, **names: object) -> tuple[float, float, int | None]:
    """Seconds, peak memory in MB and number of products found, measured in a new process."""
    setup, code = code.split("---")
    text = "\n".join(f"{name} = {value!r}" for name, value in names.items()) + MEASURE_PROGRAM.format(
        setup=setup, code=code
    )
    root = Path(__file__).parents[1]
    paths = (str(root / "shared"), str(root), os.environ.get("PYTHONPATH"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def unchanged_body_bytes(index: Path) -> int:
    """Bytes of the response body where the file has not changed since the last listing."""
    from revisit.adapters.sources.google_index import GoogleIndex

    sent = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            same = self.headers.get("if-none-match") == '"1"'
            self.send_response(304 if same else 200)
            self.send_header("etag", '"1"')
            self.end_headers()
            body = b"" if same else index.read_bytes()
            sent.append(len(body))
            self.wfile.write(body)

        def log_message(self, *_args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    source = GoogleIndex(f"http://127.0.0.1:{server.server_port}/index.csv.gz")
    import numpy as np

    known = lambda ids: np.zeros(len(ids), bool)  # noqa: E731
    first = source.list_products({}, known, datetime.now(UTC))
    list(first.batches)
    second = source.list_products(first.state, known, datetime.now(UTC))
    list(second.batches)
    server.shutdown()
    assert second.unchanged
    return sent[1]


def main() -> None:
    from bench.catalog_rows import SOURCE

    options = arguments(
        "Refresh from Google's index: what is new in a file of millions of rows.",
        rows={"type": int, "default": 5_000_000, "help": "of the full size"},
    )
    # What every run takes alike, half a second of loading and adding, would hide the rest in a small file.
    products, times, rounds = (300_000, 6, 3) if options.quick else (options.rows, 1, 3)
    index, catalog, hashes, new = prepare(products, times)
    rows = products * times
    copy = Path(tempfile.mkdtemp(dir=DATA)) / "catalog"
    parts = copy.with_name("parts")
    names = {
        "INDEX": str(index),
        "CATALOG": str(copy),
        "PARTS": str(parts),
        "HASHES": str(hashes),
        "SPEC": SOURCE,
        "ROWS": rows,
    }
    cases = {
        "isal gunzip (floor)": FLOOR_PROGRAM,
        "revisit: listing and adding": OUR_PROGRAM,
        "DuckDB anti-join on a hash": ANTI_JOIN_PROGRAM,
        "listing, with DuckDB over Parquet": PARQUET_PROGRAM,
    }
    found: dict[str, list[tuple[float, float, int | None]]] = {name: [] for name in cases}
    run(FLOOR_PROGRAM, **names)
    for turn in range(rounds):
        for name in [*cases][turn % len(cases) :] + [*cases][: turn % len(cases)]:
            # Files of a catalog never change, so links suffice.
            for original, linked in ((catalog, copy), (catalog.with_name(f"{catalog.name}.parts"), parts)):
                shutil.rmtree(linked, ignore_errors=True)
                shutil.copytree(original, linked, copy_function=os.link)
            found[name].append(run(cases[name], **names))
    shutil.rmtree(copy.parent)
    size = f"{rows:,} rows" + (f", {products:,} products {times} times over" if times > 1 else "")
    print(f"{size}, {index.stat().st_size / 1e6:.0f} MB packed, {new:,} of them new")
    ratios = {}
    for name, runs in found.items():
        ratios[name] = statistics.median(
            own[0] / base[0] for own, base in zip(runs, found["isal gunzip (floor)"], strict=True)
        )
        print(
            f"  {name:32s} {statistics.median(one[0] for one in runs):8.2f} s  {ratios[name]:6.2f} x  peak "
            f"{max(one[1] for one in runs):6.0f} MB"
        )
    for name in list(cases)[1:]:
        assert {one[2] for one in found[name]} == {new}, (name, {one[2] for one in found[name]})
    faster = statistics.median(
        peer[0] / own[0]
        for own, peer in zip(
            found["revisit: listing and adding"], found["DuckDB anti-join on a hash"], strict=True
        )
    )
    peak = max(one[1] for one in found["revisit: listing and adding"])
    own = ratios["revisit: listing and adding"]
    figure("refresh of a csv.gz, of the gunzip floor", f"{own:.2f}x ({size})", "<= 2x", own <= 2)
    figure("refresh of a csv.gz, faster than a DuckDB anti-join", f"{faster:.2f}x", ">= 1.8x", faster >= 1.8)
    figure("refresh of a csv.gz, peak memory", f"{peak:.0f} MB", "<= 512 MB", peak <= 512)
    slower = statistics.median(
        peer[0] / ours[0]
        for ours, peer in zip(
            found["revisit: listing and adding"], found["listing, with DuckDB over Parquet"], strict=True
        )
    )
    figure(
        "refresh, faster than with DuckDB over sorted Parquet files", f"{slower:.2f}x", ">= 1x", slower >= 1
    )
    sent = unchanged_body_bytes(index if options.quick else prepare(300_000)[0])
    figure("refresh of an unchanged csv.gz", f"{sent} bytes", "0 bytes", sent == 0)


if __name__ == "__main__":
    main()
