"""Compact store of many small polygons, with coordinates as integers of 1e-7 degrees, the rounding of an AOI.

A polygon of one ring takes 8 bytes per vertex plus 6; as a GEOS object it would take 0.8 kB. Polygons with
holes or parts are kept as shapely geometries.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNITS_PER_DEGREE = 10_000_000
_MAX_FLAT_VERTICES = 1 << 15
"""Maximum number of vertices of a polygon in the flat arrays."""
_MAX_INDIVIDUAL_BUILDS = 3
"""Number of polygons up to which building them one by one is faster."""
_MAX_GROWTH_BYTES = 1 << 20
"""Maximum growth of a column in bytes, which bounds the duration of an addition."""


class PolygonStore:
    """Polygons by slot: a small number that is reused after its polygon is dropped."""

    def __init__(self) -> None:
        self._vertices = _Column(2, "int32")
        self._start = _Column(1, "uint32")
        self._count = _Column(1, "uint16")
        self._unflattened: dict[int, Any] = {}
        self._free_slots: list[int] = []
        self._free_runs: dict[int, list[int]] = {}

    def put(self, shapes: "NDArray[np.object_]") -> "NDArray[np.int64]":
        """Store valid lon/lat geometries rounded to 1e-7 degrees; returns their slots."""
        import numpy as np
        import shapely

        simple = (
            (shapely.get_type_id(shapes) == 3)
            & (shapely.get_num_interior_rings(shapes) == 0)
            & (shapely.get_num_coordinates(shapes) <= _MAX_FLAT_VERTICES)
        )
        coordinates, owner = shapely.get_coordinates(shapes[simple], return_index=True)
        # Rings are stored open: the last position equals the first.
        last = np.append(owner[1:] != owner[:-1], True) if len(owner) else np.zeros(0, bool)
        vertices = np.rint(coordinates[~last] * UNITS_PER_DEGREE).astype(np.int32)
        counts = np.where(simple, shapely.get_num_coordinates(shapes) - 1, 0)
        if len(shapes) == 1 and (self._free_slots or self._free_runs):
            return self._put_in_free_slot(shapes[0], vertices)
        slots = np.arange(len(self._start), len(self._start) + len(shapes))
        starts = len(self._vertices) + np.cumsum(counts) - counts
        self._vertices.extend(vertices)
        self._start.extend(starts[:, None])
        self._count.extend(counts[:, None])
        for at in np.flatnonzero(~simple):
            self._unflattened[int(slots[at])] = shapes[at]
        return slots

    def _put_in_free_slot(self, shape: Any, vertices: "NDArray[np.int32]") -> "NDArray[np.int64]":
        """Reuse the space of dropped polygons."""
        import numpy as np

        slot = self._free_slots.pop() if self._free_slots else len(self._start)
        runs = self._free_runs.get(len(vertices))
        start = runs.pop() if runs else len(self._vertices)
        if start == len(self._vertices):
            self._vertices.extend(vertices)
        else:
            self._vertices.rows[start : start + len(vertices)] = vertices
        for column, row in ((self._start, [start]), (self._count, [len(vertices)])):
            if slot == len(column):
                column.extend(np.array([row]))
            else:
                column.rows[slot] = row
        if not len(vertices):
            self._unflattened[slot] = shape
        return np.array([slot])

    def drop(self, slot: int) -> None:
        """Drop a polygon; its slot and space are reused."""
        count = int(self._count.rows[slot, 0])
        if count:
            self._free_runs.setdefault(count, []).append(int(self._start.rows[slot, 0]))
        else:
            del self._unflattened[slot]
        self._free_slots.append(slot)

    def shapes(self, slots: "NDArray[np.int64]") -> "NDArray[np.object_]":
        """The polygons of some slots as shapely geometries."""
        import numpy as np

        if not self._unflattened:
            return self._flat_shapes(slots)
        made = np.empty(len(slots), dtype=object)
        simple = self._count.rows[slots, 0] > 0
        made[simple] = self._flat_shapes(slots[simple])
        made[~simple] = [self._unflattened[slot] for slot in slots[~simple].tolist()]
        return made

    def _flat_shapes(self, slots: "NDArray[np.int64]") -> "NDArray[np.object_]":
        """The polygons of one ring."""
        import numpy as np
        import shapely

        starts, counts = (
            self._start.rows[slots, 0].astype(np.int64),
            self._count.rows[slots, 0].astype(np.int64),
        )
        if len(slots) <= _MAX_INDIVIDUAL_BUILDS:
            made = np.empty(len(slots), dtype=object)
            for at, (start, count) in enumerate(zip(starts.tolist(), counts.tolist(), strict=True)):
                made[at] = shapely.polygons(self._vertices.rows[start : start + count] / UNITS_PER_DEGREE)
            return made
        ends = np.cumsum(counts)
        rows = np.arange(ends[-1]) + np.repeat(starts - (ends - counts), counts)
        owners = np.repeat(np.arange(len(slots)), counts)
        polygons: NDArray[np.object_] = shapely.polygons(
            shapely.linearrings(self._vertices.rows[rows] / UNITS_PER_DEGREE, indices=owners)
        )
        return polygons


class _Column:
    """Rows of numbers that grow in place in small steps."""

    def __init__(self, width: int, dtype: str) -> None:
        import numpy as np

        self._buffer: NDArray[Any] = np.zeros((64, width), dtype=dtype)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    @property
    def rows(self) -> "NDArray[Any]":
        """The rows in use; do not keep the view across an addition."""
        return self._buffer[: self._used]

    def extend(self, rows: "NDArray[Any]") -> None:
        needed = self._used + len(rows)
        if needed > len(self._buffer):
            step = min(len(self._buffer) // 4, _MAX_GROWTH_BYTES // self._buffer[0].nbytes)
            # realloc moves large blocks by their pages and does not copy them; no other reference to them
            # exists.
            self._buffer.resize((needed + step, self._buffer.shape[1]), refcheck=False)
        self._buffer[self._used : needed] = rows
        self._used = needed
