"""Products that were removed from the catalog, in one small file beside its log.

The log keeps their rows, whose positions other files name. A removal hides all rows of a product before a
position, so a product that returns is added again behind it.
"""

from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from revisit.adapters.local.row_hashes import hash_rows
from revisit.atomic_write import write_bytes
from revisit.errors import PermanentError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

type Signature = tuple[int, int, int] | None
"""Inode, size and modification time of the file; None where there is none."""


class Removals:
    """The removed products at one moment."""

    def __init__(self, entries: dict[tuple[str, str], tuple[int, int]], signature: Signature) -> None:
        """
        Args:
            entries: By (source, id) the position before which rows are hidden, and how often it was removed.
            signature: That of the file.
        """
        self.entries = entries
        self.signature = signature

    @cached_property
    def hashes(self) -> "NDArray[np.uint64]":
        """Hashes of (source, id) of the removed products."""
        import pyarrow as pa

        pairs = list(self.entries)
        return hash_rows(
            "source, id",
            pa.table(
                {
                    "source": pa.array([source for source, _ in pairs], pa.string()),
                    "id": pa.array([id for _, id in pairs], pa.string()),
                }
            ),
        )

    @cached_property
    def counts(self) -> Counter[str]:
        """Number of removals by source; a product that returned and was removed again counts twice."""
        counts: Counter[str] = Counter()
        for (source, _), (_, times) in self.entries.items():
            counts[source] += times
        return counts

    def hides(self, source: str, id: str, position: int) -> bool:
        """Whether the row of a product at a position is hidden."""
        return position < self.entries.get((source, id), (0, 0))[0]

    def hidden_mask(self, rows: "pa.Table") -> "NDArray[np.bool_]":
        """Which rows of the log are hidden."""
        import numpy as np
        import pyarrow as pa

        hidden = np.zeros(rows.num_rows, bool)
        if self.entries and rows.num_rows:
            suspects = np.flatnonzero(np.isin(hash_rows("source, id", rows), self.hashes))
            found = rows.take(pa.array(suspects))
            columns = (found[name].to_pylist() for name in ("source", "id", "position"))
            for at, row in zip(suspects.tolist(), zip(*columns, strict=True), strict=True):
                hidden[at] = self.hides(*row)
        return hidden

    def drop_hidden(self, rows: "pa.Table") -> "pa.Table":
        """Rows of the log without those that are hidden."""
        import pyarrow as pa

        hidden = self.hidden_mask(rows)
        return rows.filter(pa.array(~hidden)) if hidden.any() else rows

    def with_removed(self, source: str, ids: list[str], end: int) -> "Removals":
        """These and further ones, hidden before a position."""
        further = {(source, id): (end, self.entries.get((source, id), (0, 0))[1] + 1) for id in ids}
        return Removals(self.entries | further, self.signature)

    def save(self, path: Path) -> None:
        """Replace the file, durably and atomically.

        Raises:
            TransientError, PermanentError: As `write_bytes`.
        """
        rows = [[source, id, *entry] for (source, id), entry in self.entries.items()]
        write_bytes(path, msgspec.json.encode(rows))


def read_signature(path: Path) -> Signature:
    """Identifies the content of the file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def load_removals(path: Path) -> Removals:
    """Read the file.

    Raises:
        PermanentError: It is damaged.
    """
    signature = read_signature(path)
    if signature is None:
        return Removals({}, None)
    try:
        rows: list[Any] = msgspec.json.decode(path.read_bytes(), type=list[tuple[str, str, int, int]])
    except (OSError, ValueError) as error:
        raise PermanentError(
            f"the catalog's list of removed products {path} is damaged ({error}); delete it, and "
            "`revisit refresh` finds again what its sources no longer have"
        ) from error
    return Removals({(source, id): (end, times) for source, id, end, times in rows}, signature)
