"""Filter for the lines of an index: drops known products by the bytes of their names, without parsing.

Only certain cases are dropped. Names of another length, text that is not ASCII, and everything from the first
quoted text on, which may hold commas and line ends, is passed on unchanged.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import IO, TYPE_CHECKING, Any

from revisit.domain.product_name import COMPACT_LENGTH

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Array = NDArray[Any]

CHUNK_BYTES = 1 << 23
"""Bytes decompressed at once; each chunk costs one look-up in the catalog."""
READ_AHEAD_CHUNKS = 2
"""Chunks decompressed ahead of the reader."""
MIN_OUTPUT_BYTES = 1 << 18
"""Approximate bytes of lines that are passed on together."""
UNFILTERED_CHUNKS = 8
"""Chunks that are passed on unfiltered after one in which most lines are new, as in a first import."""
MAX_PREFIX_BYTES = 80
"""Bytes before the name at most; a granule's name has up to 63."""
NAME_BYTES = COMPACT_LENGTH
"""Bytes of a compact name, which is a whole id; older names need their tile."""
NEWLINE, CARRIAGE_RETURN, QUOTE, COMMA = b'\n\r",'


def read_ahead(text: IO[bytes]) -> Iterator[bytes]:
    """Chunks of a text, decompressed by another thread while the reader works on earlier ones."""
    with ThreadPoolExecutor(1, "decompress") as thread:
        pending = deque(thread.submit(text.read, CHUNK_BYTES) for _ in range(READ_AHEAD_CHUNKS))
        try:
            while chunk := pending.popleft().result():
                pending.append(thread.submit(text.read, CHUNK_BYTES))
                yield chunk
        finally:
            thread.shutdown(cancel_futures=True)


def filter_lines(
    text: Iterator[bytes],
    missing_mask: Callable[["pa.Array"], "Array"],
    on_skipped: Callable[[int, str], None],
) -> Iterator[Iterator[bytes]]:
    """The lines that may hold new products.

    Args:
        text: Lines whose second column is the product's name, in chunks that are cut anywhere.
        missing_mask: Of an array of ids, those that the catalog lacks.
        on_skipped: Called with a number of dropped lines and the id of one of them.

    Returns:
        Texts of whole lines, each in chunks.
    """
    import numpy as np

    rest, kept, size, pause = b"", [b""], 0, 0
    for chunk in text:
        view = np.frombuffer(chunk, np.uint8)
        specials = _nonzero_positions(view <= QUOTE)
        ends = specials[view[specials] == NEWLINE]
        if not len(ends):
            rest += chunk
            continue
        first, last = int(ends[0]) + 1, int(ends[-1]) + 1
        head, quotes = rest + chunk[:first], specials[view[specials] == QUOTE]
        if _line_has_quoted_text(head) or _has_quoted_text(view, quotes[(quotes >= first) & (quotes < last)]):
            yield chain(kept, (rest, chunk), text)
            return
        kept.append(head)
        pause -= 1
        lines = (
            None
            if pause >= 0 or not chunk.isascii()
            else _find_new_lines(chunk, ends, missing_mask, on_skipped)
        )
        if lines is None:
            kept.append(chunk[first:last])
        else:
            kept += [
                chunk[start:end]
                for start, end in zip((ends[lines] + 1).tolist(), (ends[lines + 1] + 1).tolist(), strict=True)
            ]
            pause = UNFILTERED_CHUNKS if 2 * len(lines) > len(ends) else 0
        rest = chunk[last:]
        size = sum(map(len, kept))
        if size >= MIN_OUTPUT_BYTES:
            yield iter((b"".join(kept),))
            kept = [b""]
    yield chain(kept, (rest,))


def _find_new_lines(
    chunk: bytes,
    ends: "Array",
    missing_mask: Callable[["pa.Array"], "Array"],
    on_skipped: Callable[[int, str], None],
) -> "Array":
    """Numbers of the lines that the catalog does not know; line i is between `ends` i and i + 1."""
    import numpy as np
    import pyarrow as pa

    starts, stops = ends[:-1] + 1, ends[1:]
    commas = _slice_fixed_width(chunk, starts, MAX_PREFIX_BYTES + 1) == COMMA
    first_comma = commas.argmax(axis=1)
    begin = starts + first_comma + 1
    named = np.flatnonzero(commas[np.arange(len(first_comma)), first_comma] & (begin + NAME_BYTES < stops))
    cells = _slice_fixed_width(chunk, begin[named], NAME_BYTES + 1) == COMMA
    named = named[cells[:, NAME_BYTES] & (cells.argmax(axis=1) == NAME_BYTES)]
    new = np.ones(len(starts), bool)
    if len(named):
        names = np.ascontiguousarray(_slice_fixed_width(chunk, begin[named], NAME_BYTES))
        offsets = np.arange(0, names.size + 1, NAME_BYTES, dtype=np.int32)
        ids = pa.Array.from_buffers(
            pa.string(), len(named), [None, pa.py_buffer(offsets), pa.py_buffer(names)]
        )
        fresh = np.asarray(missing_mask(ids), bool)
        new[named] = fresh
        if not fresh.all():
            on_skipped(int(len(fresh) - np.count_nonzero(fresh)), ids[int(fresh.argmin())].as_py())
    return np.flatnonzero(new)


def _slice_fixed_width(chunk: bytes, starts: "Array", width: int) -> "Array":
    """`width` bytes from each start, shape (starts, width); zeros beyond the end."""
    import numpy as np

    cut = np.zeros((len(starts), width), np.uint8)
    whole = int(np.searchsorted(starts, len(chunk) - width, "right"))
    if whole:
        every: Array = np.ndarray((len(chunk) - width + 1,), f"V{width}", chunk, strides=(1,))
        cut[:whole] = every[starts[:whole]].view(np.uint8).reshape(whole, width)
    for row in range(whole, len(starts)):
        left = np.frombuffer(chunk[starts[row] :], np.uint8)[:width]
        cut[row, : len(left)] = left
    return cut


def _line_has_quoted_text(line: bytes) -> bool:
    import numpy as np

    view = np.frombuffer(line, np.uint8)
    return b'"' in line and _has_quoted_text(view, np.flatnonzero(view == QUOTE))


def _has_quoted_text(view: "Array", quotes: "Array") -> bool:
    """Whether quotes in whole lines are anything but empty quoted cells."""
    import numpy as np

    if not len(quotes):
        return False
    if len(quotes) % 2:
        return True
    opening, closing = quotes[::2], quotes[1::2]
    before, after = view[opening - 1], view[closing + 1]
    return not bool(
        (
            (closing == opening + 1)
            & np.isin(before, (COMMA, NEWLINE))
            & np.isin(after, (COMMA, NEWLINE, CARRIAGE_RETURN))
        ).all()
    )


def _nonzero_positions(mask: "Array") -> "Array":
    """`np.flatnonzero` for rare hits: eight bytes at a time."""
    import numpy as np

    whole = len(mask) // 8 * 8
    words = np.flatnonzero(mask[:whole].view(np.uint64) != 0)
    row, column = np.nonzero(mask[:whole].view(np.uint8).reshape(-1, 8)[words])
    return np.concatenate([words[row] * 8 + column, np.flatnonzero(mask[whole:]) + whole])
