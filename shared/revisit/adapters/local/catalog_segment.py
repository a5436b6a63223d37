"""Index segment: a range of the log sorted by tile and time, as search columns and packed rows.

The search columns take 38 bytes per row and are uncompressed, so that a search touches only the pages of its
tile; whole rows are packed in batches of `BATCH_ROWS`. Files on the disk are memory-mapped.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from revisit.adapters.local.catalog_filter import NO_ORBIT, row_mask
from revisit.adapters.local.catalog_log import CatalogDamagedError
from revisit.adapters.local.catalog_removals import Removals
from revisit.adapters.local.search_columns import COLUMNS, search_columns
from revisit.adapters.local.segment_rows import BATCH_ROWS, SegmentRows
from revisit.domain.filters import Filter, bounds_overlap
from revisit.ports.catalog import SortColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Array = NDArray[Any]

SUPERSEDED_TILE = b""
"""Tile of superseded rows, which no search finds."""
LOOKUPS = {
    "tiles": "S5",
    "starts": "<i8",
    "ids": "<u8",
    "places": "<i8",
    "versions": "<u8",
    "hides": "<i8",
    "hiders": "<u8",
}
"""Tiles and the first row of each; sorted hashes of (source, id) and the row of each; sorted hashes of
(source, id, published); positions of rows in earlier segments that this one supersedes, with the hashes of
their (source, id).
"""
ROWS_FILE, METADATA_FILE = "rows.arrow", "facts.json"


@dataclass(frozen=True, slots=True)
class ColumnQuery:
    """Conditions of a search in the units of the search columns."""

    tiles: tuple[bytes, ...] | None
    """None means any."""
    start: int | None
    end: int | None
    max_cloud: float | None
    level: int | None
    source: str
    bounds: tuple[int, int, int, int] | None
    ids: "Array | None" = None
    """Hashes of (source, id); None means any."""
    conditions: tuple[Filter, ...] = ()


class IndexSegment:
    """Sorted rows, read by several threads at once."""

    def __init__(self, arrays: "dict[str, Array]", metadata: dict[str, Any], store: "SegmentRows") -> None:
        import numpy as np

        self._arrays = arrays
        self._store = store
        self._dropped: Array = np.empty(0, np.int64)
        self.rows: int = metadata["rows"]
        self.first: int = metadata["first"]
        self.sources: list[str] = metadata["sources"]
        self.freshness: list[list[Any]] = metadata["freshness"]
        """Source, number of products, last sensing and last publication in microseconds since 1970 or
        None."""

    @classmethod
    def load(cls, folder: Path) -> "IndexSegment":
        """Load a segment from the disk.

        Raises:
            OSError, ValueError, KeyError: It is damaged.
        """
        import numpy as np
        import pyarrow as pa

        facts = json.loads((folder / METADATA_FILE).read_text())
        arrays = {}
        for name, kind in (COLUMNS | LOOKUPS).items():
            path = folder / name
            count = facts["lengths"][name]
            if path.stat().st_size != count * np.dtype(kind).itemsize:
                raise ValueError(
                    f"{path} has {path.stat().st_size} bytes instead of {count * np.dtype(kind).itemsize}"
                )
            # Slicing a plain array is faster than slicing a memmap of the same pages.
            arrays[name] = np.asarray(np.memmap(path, kind, "r")) if count else np.empty(0, kind)
        if not (np.diff(arrays["starts"]) >= 0).all() or arrays["starts"][[0, -1]].tolist() != [
            0,
            facts["rows"],
        ]:
            raise ValueError(f"{folder / 'starts'} does not rise from 0 to {facts['rows']}")
        reader = pa.ipc.open_file(
            pa.memory_map(str(folder / ROWS_FILE)), options=pa.ipc.IpcReadOptions(use_threads=False)
        )
        return cls(arrays, facts, SegmentRows(reader))

    @classmethod
    def from_rows(cls, rows: "pa.Table") -> "IndexSegment":
        """Build a segment in memory from consecutive rows of the log."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from revisit.adapters.local.row_hashes import hash_rows

        positions, hides = rows["position"].to_numpy(), rows["hides"].drop_null().to_numpy()
        tile = np.where(
            np.isin(positions, hides),
            SUPERSEDED_TILE,
            rows["tile"].cast(pa.binary()).to_numpy(zero_copy_only=False),
        ).astype("S5")
        order = np.lexsort((rows["sensing_time"].cast(pa.int64()).to_numpy(), tile))
        rows = rows.take(pa.array(order)).combine_chunks()
        sources = sorted(pc.unique(rows["source"]).to_pylist())
        ids = hash_rows("source, id", rows)
        ascending = np.argsort(ids, kind="stable")
        again = pc.fill_null(pc.less(rows["hides"], int(positions.min())), False).to_numpy()
        tiles, starts = np.unique(tile[order], return_index=True)
        arrays = search_columns(rows, sources) | {
            "tiles": tiles,
            "starts": np.append(starts, len(tile)),
            "ids": ids[ascending],
            "places": ascending,
            "versions": np.sort(hash_rows("source, id, published", rows)),
            "hides": rows["hides"].filter(pa.array(again)).to_numpy(),
            "hiders": ids[again],
        }
        grouped = (
            pa.table(
                {
                    "source": rows["source"],
                    "hides": rows["hides"],
                    "sensed": rows["sensing_time"].cast(pa.int64()),
                    "published": rows["published"].cast(pa.int64()),
                }
            )
            .group_by("source")
            .aggregate([("sensed", "count"), ("hides", "count"), ("sensed", "max"), ("published", "max")])
        )
        freshness = [
            [one["source"], one["sensed_count"] - one["hides_count"], one["sensed_max"], one["published_max"]]
            for one in grouped.to_pylist()
        ]
        facts = {"rows": len(tile), "first": int(positions.min()), "sources": sources, "freshness": freshness}
        return cls(arrays, facts, SegmentRows(rows))

    def find(self, query: ColumnQuery) -> "Array":
        """Numbers of the rows that meet the conditions, unordered."""
        import numpy as np

        a = self._arrays
        found = []
        source = self.sources.index(query.source) if query.source in self.sources else None
        if query.source and source is None:
            return np.empty(0, np.int64)
        for here, count in (
            self._row_ranges(query) if query.ids is None else self._rows_by_id(query.ids, query.tiles)
        ):
            good = np.ones(count, bool)
            if query.tiles is None or query.ids is not None:
                if query.start is not None:
                    good &= a["sensed"][here] >= query.start
                if query.end is not None:
                    good &= a["sensed"][here] <= query.end
            if query.max_cloud is not None:
                # NaN, an unknown cloud cover, compares as not greater.
                good &= ~(a["cloud"][here] > query.max_cloud)
            if query.level is not None:
                good &= a["level"][here] == query.level
            if source is not None and len(self.sources) > 1:
                good &= a["source"][here] == source
            if query.bounds:
                good &= bounds_overlap(
                    query.bounds, a["west"][here], a["south"][here], a["east"][here], a["north"][here]
                )
            for condition in query.conditions:
                good &= row_mask(condition, a, here, count)
            found.append(np.flatnonzero(good) + here.start if isinstance(here, slice) else here[good])
        rows = np.concatenate(found) if found else np.empty(0, np.int64)
        return rows[~np.isin(rows, self._dropped)] if len(self._dropped) else rows

    def sort_values(self, column: SortColumn, rows: "Array") -> "Array":
        """Values of rows to sort by, NaN where one is missing; times in microseconds since 1970."""
        import numpy as np

        arrays = self._arrays
        match column:
            case "sensing_time":
                return arrays["sensed"][rows]
            case "cloud_cover":
                return arrays["cloud"][rows]
            case "relative_orbit":
                orbits = arrays["orbit"][rows]
                return np.where(orbits == NO_ORBIT, np.nan, orbits).astype(np.float64)
            case "tile":
                return arrays["tiles"][np.searchsorted(arrays["starts"], rows, "right") - 1]

    def fetch(self, rows: "Array") -> "pa.Table":
        """Rows by number, in any order.

        Raises:
            CatalogDamagedError: The file of the rows is damaged.
        """
        import pyarrow as pa

        try:
            if len(rows) and not 0 <= rows.min() <= rows.max() < self.rows:
                raise IndexError(f"row {rows.max()} of {self.rows}")
            return self._store.take(rows)
        except (pa.ArrowException, OSError, IndexError) as error:
            raise CatalogDamagedError(
                f"the catalog's index is damaged ({str(error).splitlines()[0]}); run `revisit doctor "
                "--rebuild` to rebuild it "
                "from the catalog's log"
            ) from error

    def table(self) -> "pa.Table":
        """All rows of a segment in memory."""
        return self._store.table()

    def batches(self) -> "Iterator[pa.Table]":
        """All rows, a few batches at a time."""
        import numpy as np

        for start in range(0, self.rows, 64 * BATCH_ROWS):
            yield self.fetch(np.arange(start, min(start + 64 * BATCH_ROWS, self.rows)))

    def find_by_hash(self, key_hashes: "Array") -> "Array":
        """Numbers of the rows whose (source, id) has one of these hashes, superseded rows included."""
        import numpy as np

        ids, places = self._arrays["ids"], self._arrays["places"]
        left, right = np.searchsorted(ids, key_hashes, "left"), np.searchsorted(ids, key_hashes, "right")
        found = [
            places[low:high]
            for low, high in zip(left[left < right].tolist(), right[left < right].tolist(), strict=True)
        ]
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)

    def contains(self, key_hashes: "Array", versions: bool = False) -> "NDArray[np.bool_]":
        """Which of these hashes of (source, id), or of (source, id, published), belong to rows of the
        segment."""
        import numpy as np

        known = self._arrays["versions" if versions else "ids"]
        if not len(known):
            return np.zeros(len(key_hashes), bool)
        # In sorted order, neighbouring hashes are on the same pages.
        order = np.argsort(key_hashes)
        ascending = key_hashes[order]
        at = np.searchsorted(known, ascending)
        at[at == len(known)] = 0
        found = np.empty(len(key_hashes), bool)
        found[order] = known[at] == ascending
        return found

    @property
    def superseded(self) -> "tuple[Array, Array]":
        """Positions of rows in earlier segments that this one supersedes, and the hashes of their (source,
        id)."""
        return self._arrays["hides"], self._arrays["hiders"]

    def drop(self, positions: "Array", key_hashes: "Array") -> None:
        """Exclude the rows at these positions from searches: a later segment supersedes them."""
        import numpy as np

        rows = self.find_by_hash(key_hashes)
        if len(rows):
            at = self.fetch(rows)["position"].to_numpy()
            self._dropped = np.union1d(self._dropped, rows[np.isin(at, positions)])

    def drop_removed(self, removals: Removals) -> None:
        """Exclude the rows of products that were removed from the catalog from searches."""
        import numpy as np

        rows = self.find_by_hash(removals.hashes) if removals.entries else np.empty(0, np.int64)
        if len(rows):
            self._dropped = np.union1d(self._dropped, rows[removals.hidden_mask(self.fetch(rows))])

    def _rows_by_id(
        self, key_hashes: "Array", wanted_tiles: tuple[bytes, ...] | None
    ) -> "list[tuple[Array, int]]":
        """Rows of the products with these hashes on the wanted tiles."""
        import numpy as np

        tiles, starts = self._arrays["tiles"], self._arrays["starts"]
        rows = self.find_by_hash(key_hashes)
        of = tiles[np.searchsorted(starts, rows, "right") - 1] if len(rows) else np.empty(0, "S5")
        rows = rows[
            of != SUPERSEDED_TILE
            if wanted_tiles is None
            else np.isin(of, np.array(wanted_tiles, "S5")) & (of != SUPERSEDED_TILE)
        ]
        return [(rows, len(rows))] if len(rows) else []

    def _row_ranges(self, query: ColumnQuery) -> list[tuple[slice, int]]:
        """Ranges of rows that may meet the conditions by tile and time, and the length of each."""
        import numpy as np

        tiles, starts, sensed = self._arrays["tiles"], self._arrays["starts"], self._arrays["sensed"]
        if query.tiles is None:
            first = int(starts[1]) if len(tiles) and tiles[0] == SUPERSEDED_TILE else 0
            return [(slice(first, self.rows), self.rows - first)] if first < self.rows else []
        stretches = []
        asked = np.array(sorted(set(query.tiles)), "S5")
        at = np.searchsorted(tiles, asked)
        for index, tile in zip(at.tolist(), asked, strict=True):
            if index < len(tiles) and tiles[index] == tile != SUPERSEDED_TILE:
                first, end = int(starts[index]), int(starts[index + 1])
                times = sensed[first:end]
                low = int(np.searchsorted(times, query.start, "left")) if query.start is not None else 0
                high = (
                    int(np.searchsorted(times, query.end, "right")) if query.end is not None else end - first
                )
                if low < high:
                    stretches.append((slice(first + low, first + high), high - low))
        return stretches
