"""Rows of an index segment by number, from a table in memory or from packed batches in a mapped file."""

import threading
from typing import TYPE_CHECKING, Any

from revisit.adapters.local.catalog_log import stored_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Array = NDArray[Any]


BATCH_ROWS = 256
"""Rows of a batch, the smallest unit that is decompressed."""


class SegmentRows:
    """Rows by number, from a table in memory or from batches of `BATCH_ROWS` in a mapped file."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows
        self._lock = threading.Lock()

    def table(self) -> "pa.Table":
        """All rows of a table in memory."""
        return self._rows

    def take(self, rows: "Array") -> "pa.Table":
        """The rows with these numbers (int64): in the given order from a table, ascending from batches.

        Raises:
            pa.ArrowException, OSError: The file is damaged.
        """
        import numpy as np
        import pyarrow as pa

        if isinstance(self._rows, pa.Table):
            return self._rows.take(_index_array(rows))
        if not len(rows):
            return stored_schema().empty_table()
        ascending = np.sort(rows)
        groups, starts = np.unique(ascending // BATCH_ROWS, return_index=True)
        taken = []
        for group, own in zip(groups.tolist(), np.split(ascending, starts[1:]), strict=True):
            with self._lock:
                batch = self._rows.get_batch(group)
            taken.append(batch.take(_index_array(own - group * BATCH_ROWS)))
        return pa.Table.from_batches(taken, schema=stored_schema())


def _index_array(rows: "Array") -> "pa.Array":
    # pa.array imports pandas where it is installed, which takes longer than a search; buffers do not.
    import numpy as np
    import pyarrow as pa

    return pa.Array.from_buffers(
        pa.int64(), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows, np.int64))]
    )
