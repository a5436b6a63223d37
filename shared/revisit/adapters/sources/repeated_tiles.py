"""Numbers of the granules of one tile in one old package, as Google's index lists them."""

from typing import TYPE_CHECKING

from revisit.domain.product_name import MAX_GRANULES, OLD_MARK, numbered_id

if TYPE_CHECKING:
    import pyarrow as pa


class RepeatedTiles:
    """Counts the granules of each tile of each old package while an index is read.

    Two datastrips that complete a tile are two granules, and two rows. The rows of an index have no order
    that would hold for ever: which of the two has the number 2 may change, and both are read as parts of one
    acquisition.
    """

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        """Hash of an id -> hash of its first granule."""
        self._further: dict[int, list[int]] = {}

    def number(self, ids: "pa.Array", rows: "pa.RecordBatch") -> "pa.Array":
        """The ids, with a number appended to those of a further granule of the same tile and package.

        Args:
            ids: `google_index_rows.product_ids` of the rows.
            rows: Rows with the column GRANULE_ID; without it, the ids stay as they are.
        """
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        is_old = np.asarray(pc.match_substring(ids, OLD_MARK))
        if "GRANULE_ID" not in rows.schema.names or not is_old.any():
            return ids
        old = np.flatnonzero(is_old)
        keys, granules = (_texts(column.take(pa.array(old))) for column in (ids, rows["GRANULE_ID"]))
        numbers = [self._number(key, granule) for key, granule in zip(keys, granules, strict=True)]
        repeated = {
            int(row): numbered_id(key.decode(errors="replace"), number)
            for row, key, number in zip(old, keys, numbers, strict=True)
            if number > 1
        }
        mask = np.zeros(len(ids), bool)
        mask[list(repeated)] = True
        return pc.replace_with_mask(ids, pa.array(mask), pa.array(repeated.values(), pa.string()))

    def _number(self, key: bytes, granule: bytes) -> int:
        id, value = hash(key), hash(granule)
        if not granule or self._first.setdefault(id, value) == value:
            return 1
        further = self._further.setdefault(id, [])
        if value not in further:
            further.append(value)
        return min(further.index(value) + 2, MAX_GRANULES)


def _texts(column: "pa.Array") -> list[bytes]:
    """The cells as bytes: they may not be UTF-8."""
    import pyarrow as pa

    return [cell or b"" for cell in column.cast(pa.binary()).to_pylist()]
