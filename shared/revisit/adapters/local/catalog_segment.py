"""A stretch of the catalog's log, sorted by tile and time: columns to search in, as plain arrays, and the rows they are about.

What a search looks at takes 38 bytes a row and lies uncompressed, so that an answer touches the few pages of a tile; the
rows themselves are packed by the `GROUP`. On the disk both are mapped, not read.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from revisit.adapters.local.catalog_filter import DEGREE, NO_ORBIT, baselines, mask, platforms
from revisit.adapters.local.catalog_manifest import Damaged, stored_schema
from revisit.domain.product import LEVELS
from revisit.domain.product_filter import Condition, overlap

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Array = NDArray[Any]

GROUP = 256
"""Rows packed together: what is unpacked for one of them."""
NO_TILE = b""
"""Where rows are filed that no search finds: versions that a later one replaced."""

COLUMNS = {"sensed": "<i8", "cloud": "<f8", "west": "<i4", "south": "<i4", "east": "<i4", "north": "<i4", "level": "u1", "source": "u1",
           "platform": "u1", "orbit": "u1", "baseline": "<u2"}
"""What is searched, one entry a row: microseconds since 1970, percent or NaN, bounds, numbers of the level, the source, the platform (`catalog_masks`),
the relative orbit and the baseline."""
TABLES = {"tiles": "S5", "starts": "<i8", "ids": "<u8", "places": "<i8", "versions": "<u8", "hides": "<i8", "hiders": "<u8"}
"""Tiles and where each one's rows start; sorted hashes of (source, id) and the row of each; sorted hashes of (source, id, published);
positions of rows before this stretch that it replaces, with the hash of their (source, id)."""
ROWS, FACTS = "rows.arrow", "facts.json"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a search looks for, in the terms of the columns."""

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
    more: Condition | None = None


class Part:
    """Sorted rows; asked by several threads at once."""

    def __init__(self, arrays: "dict[str, Array]", facts: dict[str, Any], groups: "_Groups") -> None:
        import numpy as np

        self._arrays = arrays
        self._groups = groups
        self._dropped: Array = np.empty(0, np.int64)
        self.rows: int = facts["rows"]
        self.first: int = facts["first"]
        self.sources: list[str] = facts["sources"]
        self.freshness: list[list[Any]] = facts["freshness"]
        """Source, products, last sensing and last publication in microseconds since 1970 or None."""

    @classmethod
    def load(cls, folder: Path) -> "Part":
        """A part on the disk.

        Raises:
            OSError, ValueError, KeyError: It is damaged.
        """
        import numpy as np
        import pyarrow as pa

        facts = json.loads((folder / FACTS).read_text())
        arrays = {}
        for name, kind in (COLUMNS | TABLES).items():
            path = folder / name
            count = facts["lengths"][name]
            if path.stat().st_size != count * np.dtype(kind).itemsize:
                raise ValueError(f"{path} has {path.stat().st_size} bytes instead of {count * np.dtype(kind).itemsize}")
            # Slices of a plain array over the same pages are made faster.
            arrays[name] = np.asarray(np.memmap(path, kind, "r")) if count else np.empty(0, kind)
        if not (np.diff(arrays["starts"]) >= 0).all() or arrays["starts"][[0, -1]].tolist() != [0, facts["rows"]]:
            raise ValueError(f"{folder / 'starts'} does not rise from 0 to {facts['rows']}")
        reader = pa.ipc.open_file(pa.memory_map(str(folder / ROWS)), options=pa.ipc.IpcReadOptions(use_threads=False))
        return cls(arrays, facts, _Groups(reader))

    @classmethod
    def of(cls, rows: "pa.Table") -> "Part":
        """A part in memory, of rows that follow one another in the log."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from revisit.adapters.local.catalog_checksums import hashes

        positions, hides = rows["position"].to_numpy(), rows["hides"].drop_null().to_numpy()
        tile = np.where(np.isin(positions, hides), NO_TILE, rows["tile"].cast(pa.binary()).to_numpy(zero_copy_only=False)).astype("S5")
        order = np.lexsort((rows["sensing_time"].cast(pa.int64()).to_numpy(), tile))
        rows = rows.take(pa.array(order)).combine_chunks()
        sources = sorted(pc.unique(rows["source"]).to_pylist())
        ids = hashes("source, id", rows)
        ascending = np.argsort(ids, kind="stable")
        again = pc.fill_null(pc.less(rows["hides"], int(positions.min())), False).to_numpy()
        tiles, starts = np.unique(tile[order], return_index=True)
        arrays = columns_of(rows, sources) | {
            "tiles": tiles, "starts": np.append(starts, len(tile)), "ids": ids[ascending], "places": ascending,
            "versions": np.sort(hashes("source, id, published", rows)),
            "hides": rows["hides"].filter(pa.array(again)).to_numpy(), "hiders": ids[again]}
        grouped = pa.table({"source": rows["source"], "hides": rows["hides"], "sensed": rows["sensing_time"].cast(pa.int64()),
                            "published": rows["published"].cast(pa.int64())}).group_by("source").aggregate(
                                [("sensed", "count"), ("hides", "count"), ("sensed", "max"), ("published", "max")])
        freshness = [[one["source"], one["sensed_count"] - one["hides_count"], one["sensed_max"], one["published_max"]] for one in grouped.to_pylist()]
        facts = {"rows": len(tile), "first": int(positions.min()), "sources": sources, "freshness": freshness}
        return cls(arrays, facts, _Groups(rows))

    # ---------------------------------------------------------------------------------------------------------- questions

    def find(self, wanted: Conditions) -> "Array":
        """Numbers of the rows that meet the conditions, in no order."""
        import numpy as np

        a = self._arrays
        found = []
        source = self.sources.index(wanted.source) if wanted.source in self.sources else None
        if wanted.source and source is None:
            return np.empty(0, np.int64)
        for here, count in self._stretches(wanted) if wanted.ids is None else self._named(wanted.ids, wanted.tiles):
            good = np.ones(count, bool)
            if wanted.tiles is None or wanted.ids is not None:
                if wanted.start is not None:
                    good &= a["sensed"][here] >= wanted.start
                if wanted.end is not None:
                    good &= a["sensed"][here] <= wanted.end
            if wanted.max_cloud is not None:
                # NaN, a cloud cover that is not stated, is not greater than anything.
                good &= ~(a["cloud"][here] > wanted.max_cloud)
            if wanted.level is not None:
                good &= a["level"][here] == wanted.level
            if source is not None and len(self.sources) > 1:
                good &= a["source"][here] == source
            if wanted.bounds:
                good &= overlap(wanted.bounds, a["west"][here], a["south"][here], a["east"][here], a["north"][here])
            if wanted.more:
                good &= mask(wanted.more, a, here, count)
            found.append(np.flatnonzero(good) + here.start if isinstance(here, slice) else here[good])
        rows = np.concatenate(found) if found else np.empty(0, np.int64)
        return rows[~np.isin(rows, self._dropped)] if len(self._dropped) else rows

    def sensed(self, rows: "Array") -> "Array":
        """When rows were sensed, microseconds since 1970."""
        return self._arrays["sensed"][rows]

    def fetch(self, rows: "Array") -> "pa.Table":
        """Rows by their numbers, in any order.

        Raises:
            Damaged: The file of the rows is.
        """
        import pyarrow as pa

        try:
            if len(rows) and not 0 <= rows.min() <= rows.max() < self.rows:
                raise IndexError(f"row {rows.max()} of {self.rows}")
            return self._groups.take(rows)
        except (pa.ArrowException, OSError, IndexError) as error:
            raise Damaged(f"the catalog's index is damaged ({str(error).splitlines()[0]}); run `revisit doctor --rebuild` to make it again "
                          "from the catalog's log") from error

    def table(self) -> "pa.Table":
        """All rows of a part in memory."""
        return self._groups.table()

    def batches(self) -> "Iterator[pa.Table]":
        """All rows, some at a time."""
        import numpy as np

        for start in range(0, self.rows, 64 * GROUP):
            yield self.fetch(np.arange(start, min(start + 64 * GROUP, self.rows)))

    def named(self, hashed: "Array") -> "Array":
        """Numbers of the rows whose (source, id) has one of these hashes, replaced ones too."""
        import numpy as np

        ids, places = self._arrays["ids"], self._arrays["places"]
        left, right = np.searchsorted(ids, hashed, "left"), np.searchsorted(ids, hashed, "right")
        found = [places[low:high] for low, high in zip(left[left < right].tolist(), right[left < right].tolist(), strict=True)]
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)

    def knows(self, hashed: "Array", versions: bool = False) -> "NDArray[np.bool_]":
        """Which hashes of (source, id), or of (source, id, published), are those of its rows."""
        import numpy as np

        known = self._arrays["versions" if versions else "ids"]
        if not len(known):
            return np.zeros(len(hashed), bool)
        # In order, neighbours are sought on the same pages.
        order = np.argsort(hashed)
        ascending = hashed[order]
        at = np.searchsorted(known, ascending)
        at[at == len(known)] = 0
        found = np.empty(len(hashed), bool)
        found[order] = known[at] == ascending
        return found

    # ------------------------------------------------------------------------------------------------ what came afterwards

    @property
    def replaces(self) -> "tuple[Array, Array]":
        """Positions of rows of earlier parts that rows of this one replace, and the hashes of their (source, id)."""
        return self._arrays["hides"], self._arrays["hiders"]

    def drop(self, positions: "Array", hashed: "Array") -> None:
        """Find the rows at these positions no more: a later part replaced them."""
        import numpy as np

        rows = self.named(hashed)
        if len(rows):
            at = self.fetch(rows)["position"].to_numpy()
            self._dropped = np.union1d(self._dropped, rows[np.isin(at, positions)])

    def _named(self, hashed: "Array", asked: tuple[bytes, ...] | None) -> "list[tuple[Array, int]]":
        """Rows of the products asked for by name, on the tiles wanted."""
        import numpy as np

        tiles, starts = self._arrays["tiles"], self._arrays["starts"]
        rows = self.named(hashed)
        of = tiles[np.searchsorted(starts, rows, "right") - 1] if len(rows) else np.empty(0, "S5")
        rows = rows[of != NO_TILE if asked is None else np.isin(of, np.array(asked, "S5")) & (of != NO_TILE)]
        return [(rows, len(rows))] if len(rows) else []

    def _stretches(self, wanted: Conditions) -> list[tuple[slice, int]]:
        """Neighbouring rows that may meet the conditions, by tile and time, and how many they are."""
        import numpy as np

        tiles, starts, sensed = self._arrays["tiles"], self._arrays["starts"], self._arrays["sensed"]
        if wanted.tiles is None:
            first = int(starts[1]) if len(tiles) and tiles[0] == NO_TILE else 0
            return [(slice(first, self.rows), self.rows - first)] if first < self.rows else []
        stretches = []
        asked = np.array(sorted(set(wanted.tiles)), "S5")
        at = np.searchsorted(tiles, asked)
        for index, tile in zip(at.tolist(), asked, strict=True):
            if index < len(tiles) and tiles[index] == tile != NO_TILE:
                first, end = int(starts[index]), int(starts[index + 1])
                times = sensed[first:end]
                low = int(np.searchsorted(times, wanted.start, "left")) if wanted.start is not None else 0
                high = int(np.searchsorted(times, wanted.end, "right")) if wanted.end is not None else end - first
                if low < high:
                    stretches.append((slice(first + low, first + high), high - low))
        return stretches


def columns_of(rows: Any, sources: list[str]) -> "dict[str, Array]":
    """The columns to search in, of rows of `stored_schema` (a table or a batch)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    def degrees(name: str, rounded: Any) -> "Array":
        return rounded(rows[name].to_numpy(zero_copy_only=False) * DEGREE).astype("<i4")  # type: ignore[no-any-return]

    return {
        "sensed": rows["sensing_time"].cast(pa.int64()).to_numpy(zero_copy_only=False),
        "cloud": pc.fill_null(rows["cloud_cover"], float("nan")).to_numpy(zero_copy_only=False),
        "west": degrees("west", np.floor), "south": degrees("south", np.floor), "east": degrees("east", np.ceil), "north": degrees("north", np.ceil),
        "level": pc.index_in(rows["level"], pa.array(LEVELS)).to_numpy(zero_copy_only=False).astype("u1"),
        "source": pc.index_in(rows["source"], pa.array(sources)).to_numpy(zero_copy_only=False).astype("u1"),
        "platform": platforms(rows["platform"]), "baseline": baselines(rows["baseline"]),
        "orbit": pc.fill_null(rows["relative_orbit"], NO_ORBIT).to_numpy(zero_copy_only=False).astype("u1"),
    }


class _Groups:
    """Rows by number, out of a table in memory or groups of `GROUP` in a mapped file."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows
        self._lock = threading.Lock()

    def table(self) -> "pa.Table":
        return self._rows

    def take(self, rows: "Array") -> "pa.Table":
        import numpy as np
        import pyarrow as pa

        if isinstance(self._rows, pa.Table):
            return self._rows.take(_numbers(rows))
        if not len(rows):
            return stored_schema().empty_table()
        ascending = np.sort(rows)
        groups, starts = np.unique(ascending // GROUP, return_index=True)
        taken = []
        for group, own in zip(groups.tolist(), np.split(ascending, starts[1:]), strict=True):
            with self._lock:
                batch = self._rows.get_batch(group)
            taken.append(batch.take(_numbers(own - group * GROUP)))
        return pa.Table.from_batches(taken, schema=stored_schema())


def _numbers(rows: "Array") -> "pa.Array":
    # Making an array of anything but buffers imports pandas where it is installed, which takes longer than the whole search.
    import numpy as np
    import pyarrow as pa

    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows, np.int64))])
