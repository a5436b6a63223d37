"""One state of the catalog, ready to be asked: the index's parts as they lie on the disk, the newest rows in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from revisit.catalog_sql import Statement
from revisit.local.catalog_index import IDS, VERSIONS, attached, columns_ddl, contains, hashes, mapped
from revisit.local.catalog_log import Damaged
from revisit.local.spans import Span
from revisit.ports import Freshness
from revisit.product import Product

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


class View:
    """Products up to some position of the log; `absorb` carries it on. May be asked from several threads.

    Raises:
        Damaged: A part of the index cannot be read.
    """

    def __init__(self, parts: list[Span]) -> None:
        import duckdb

        self.parts = parts
        self.end = parts[-1].end if parts else 0
        """One after the last position it knows."""
        self._engine = duckdb.connect(config={"threads": 1})
        with _reading():
            names = attached(parts, self._engine)
            # Small row groups, so that a search passes over most of the rows in memory too.
            self._engine.execute("attach ':memory:' as recent (row_group_size 2048)")
            self._engine.execute("set python_enable_replacements=false; set enable_external_access=false; set lock_configuration=true")
            self._engine.execute(f"create table recent.products ({columns_ddl()}); create table recent.hides (position bigint)")
            for name in names:
                self._engine.execute(f"insert into recent.hides from {name}.hides")
            self._known = [(mapped(part, IDS), mapped(part, VERSIONS)) for part in parts]
            self._freshness: dict[str, Freshness] = {}
            for name in names:
                self._count(self._engine.execute(f"select source, rows, sensed, published from {name}.freshness").fetchall())  # noqa: S608
        self._names = [*names, "recent"]
        self._define()

    def ask(self, statement: Statement) -> list[Product]:
        """The products that a statement of `catalog_sql` finds."""
        sql, values = statement
        with _reading():
            rows = self._engine.cursor().execute(sql.replace("@", "$"), {name: _naive(value) for name, value in values.items()}).fetchall()
        return [_product(row) for row in rows]

    def knows(self, hashed: "NDArray[np.uint64]", versions: bool = False) -> "NDArray[np.bool_]":
        """Which hashes of (source, id), or of (source, id, published), are in the catalog."""
        import numpy as np

        found = np.zeros(len(hashed), bool)
        for known in self._known:
            found |= contains(known[versions], hashed)
        return found

    def latest(self, rows: "pa.Table") -> dict[tuple[str, str], tuple[datetime | None, int]]:
        """Of the products in `rows`, when the version that counts was published and its position, by (source, id)."""
        engine = self._engine.cursor()
        engine.register("wanted", rows.select(["source", "id", "tile"]))
        # By the tile first, which touches little; what is not there was filed under another tile.
        found: dict[tuple[str, str], tuple[datetime | None, int]] = {}
        for condition in ("using (tile, source, id)", "using (source, id)"):
            if len(found) < rows.num_rows:
                with _reading():
                    matches = engine.execute("select source, id, published, position from wanted join every_product "  # noqa: S608
                                             + condition).fetchall()
                found = {(source, id): (published, position) for source, id, published, position in matches}
        engine.unregister("wanted")
        return found

    def absorb(self, rows: "pa.Table") -> None:
        """Take in the rows of the log that follow."""
        import numpy as np
        import pyarrow.compute as pc

        self._engine.register("arrived", rows)
        self._engine.execute("insert into recent.products from arrived order by tile, sensing_time")
        self._engine.execute("insert into recent.hides select hides from arrived where hides is not null")
        self._count(self._engine.execute("select source, count(*) - count(hides), max(sensing_time), max(published) from arrived "
                                         "group by source").fetchall())
        self._engine.unregister("arrived")
        mine = self._known[len(self.parts):] or [(np.empty(0, np.uint64), np.empty(0, np.uint64))]
        self._known[len(self.parts):] = [(np.unique(np.concatenate([mine[0][0], hashes("source, id", rows)])),
                                          np.unique(np.concatenate([mine[0][1], hashes("source, id, published", rows)])))]
        self.end += rows.num_rows
        if pc.any(pc.is_valid(rows["hides"])).as_py():
            self._define()

    def freshness(self) -> list[Freshness]:
        """One entry a source."""
        return [self._freshness[source] for source in sorted(self._freshness)]

    def _define(self) -> None:
        # Asking what is hidden costs a little at every search, so only where something is.
        hidden = self._engine.execute("from recent.hides limit 1").fetchone()
        every = " union all ".join(f"from {name}.products" for name in self._names)
        visible = " where position not in (select position from recent.hides)" if hidden else ""
        self._engine.execute(f"create or replace view every_product as from ({every}){visible}")
        self._engine.execute("create or replace view products as from every_product")

    def _count(self, found: list[tuple[str, int, datetime | None, datetime | None]]) -> None:
        for source, rows, sensed, published in found:
            before = self._freshness.get(source, Freshness(source, 0))
            self._freshness[source] = Freshness(source, before.rows + rows, _later(before.last_sensing, sensed),
                                                _later(before.last_published, published))


@contextmanager
def _reading() -> Iterator[None]:
    import duckdb

    try:
        yield
    except (duckdb.IOException, duckdb.SerializationException, duckdb.InternalException, duckdb.FatalException, duckdb.CatalogException,
            ValueError) as error:
        raise Damaged(f"the catalog's index is damaged ({str(error).splitlines()[0]}); run `revisit doctor` to rebuild it from "
                      "the catalog's log") from error


def _product(row: tuple[Any, ...]) -> Product:
    """One row of `catalog_sql.COLUMNS`, which are `Product`'s fields in order."""
    published, footprint = row[14], row[17]
    cells = list(row)
    cells[5] = row[5].replace(tzinfo=UTC)
    cells[14] = published and published.replace(tzinfo=UTC)
    cells[17] = footprint and msgspec.json.decode(footprint)
    return Product(*cells)


def _naive(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    moments = [moment.replace(tzinfo=UTC) for moment in (one, other) if moment]
    return max(moments, default=None)
