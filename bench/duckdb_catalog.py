"""Peer for the catalog's benchmarks: DuckDB over Parquet files sorted by tile and time, swapped as a whole.

It answers what `ports.Catalog` asks with DuckDB alone: the SQL text of the BigQuery catalog for a search, a
semi-join on a column of hashes for known ids, and one COPY for new rows.
"""

import re
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from revisit.adapters.gcp import catalog_sql
from revisit.adapters.gcp.month_partitions import Period
from revisit.ports.catalog import Query
from revisit.ports.catalog_query import tiles_to_search
from revisit.ports.catalog_schema import SCHEMA

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from revisit.domain.product import Product

ROW_GROUP_ROWS = 8_192
"""The fastest of 2,048, 8,192 and 122,880 for a search by tile among 500,000 rows."""
SEARCH_COLUMNS = (
    "sensing_time", "cloud_cover", "west", "south", "east", "north", "level", "source", "platform",
    "relative_orbit", "baseline", "tile",
)  # fmt: skip
_TABLES = catalog_sql.Tables("product", "addition", "turn")


def write_parts(log: list[Path], folder: Path) -> None:
    """Sort the rows of a catalog's log into one part, and their hashes into another file."""
    import duckdb

    folder.mkdir(exist_ok=True)
    with duckdb.connect(config={"threads": 2, "memory_limit": "4GB"}) as engine:
        engine.execute("set preserve_insertion_order=false; set enable_progress_bar=false")
        engine.execute(f"set temp_directory='{folder}/spill'")
        files = {"files": [str(path) for path in log]}
        engine.execute(
            "copy (select * exclude (hides), hides is not null as replaced from read_parquet($files) "
            f"order by tile, sensing_time) to '{folder}/products.parquet' "
            f"(format parquet, compression zstd, row_group_size {ROW_GROUP_ROWS})",
            files,
        )
        engine.execute(
            "copy (select hash(source, id) as h from read_parquet($files) order by h) to "
            f"'{folder}/ids.parquet'",
            files,
        )


class DuckDBCatalog:
    """A catalog of Parquet parts that DuckDB reads."""

    def __init__(self, folder: Path) -> None:
        import duckdb

        self.folder = folder
        self._engine = duckdb.connect(config={"threads": 2})
        self._engine.execute(
            "set TimeZone='UTC'; set parquet_metadata_cache=true; set enable_progress_bar=false"
        )
        self._engine.execute(f"create view product as from read_parquet('{folder}/products*.parquet')")
        self._engine.execute(f"create view known as from read_parquet('{folder}/ids*.parquet')")

    def search(self, query: Query) -> "list[Product]":
        """Products that meet the query, in its order."""
        from revisit.adapters.local.catalog_snapshot import products_of

        question = catalog_sql.search(
            _TABLES, query, tiles_to_search(query), None, Period(query.start, query.end), query.limit + 1
        )
        values: dict[str, Any] = {
            name: value.astimezone(UTC).replace(tzinfo=None) if hasattr(value, "astimezone") else value
            for name, value in question.values.items()
        }
        return products_of(
            self._engine.execute(re.sub(r"@(\w+)", r"$\1", question.text), values).to_arrow_table()
        )

    def missing_mask(self, source: str, ids: "pa.Array") -> "NDArray[np.bool_]":
        """Which of the ids the catalog does not have from this source."""
        import pyarrow as pa

        self._engine.register("asked", pa.table({"id": ids}))
        mask: NDArray[np.bool_] = self._engine.execute(
            "select hash($source, id) not in (select h from known) as missing from asked", {"source": source}
        ).fetchnumpy()["missing"]
        self._engine.unregister("asked")
        return mask

    def add(self, batch: "pa.Table") -> int:
        """Write rows that the catalog lacks as a part of their own, sorted."""
        number = len(list(self.folder.glob("products*.parquet")))
        self._engine.register("batch", batch.select(SCHEMA.names))
        self._engine.execute(
            "create or replace temp table fresh as select distinct on (h) *, hash(source, id) as h from "
            "batch "
            "where hash(source, id) not in (select h from known)"
        )
        count = self._engine.execute("select count(*) from fresh").fetchall()[0][0]
        if count:
            self._engine.execute(
                f"copy (select * exclude (h), false as replaced from fresh order by tile, sensing_time) "
                f"to '{self.folder}/products-{number}.parquet' (format parquet, row_group_size "
                f"{ROW_GROUP_ROWS})"
            )
            self._engine.execute(
                f"copy (select h from fresh order by h) to '{self.folder}/ids-{number}.parquet'"
            )
        return int(count)


def searched_bytes(folder: Path) -> int:
    """Bytes that the columns which a search looks at take in the parts."""
    import pyarrow.parquet as pq

    total = 0
    for path in folder.glob("products*.parquet"):
        metadata = pq.ParquetFile(path).metadata
        for group in range(metadata.num_row_groups):
            columns = metadata.row_group(group)
            for number in range(metadata.num_columns):
                column = columns.column(number)
                if column.path_in_schema in SEARCH_COLUMNS:
                    total += column.total_compressed_size
    return total
