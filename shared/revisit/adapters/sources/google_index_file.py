"""An index.csv.gz of Google, as batches of the products that the catalog lacks.

The whole file is read at every change, since it has no order and no ingestion date; only rows that the
catalog lacks are parsed.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from revisit.adapters.sources import google_index_rows
from revisit.adapters.sources.batches import record_rejections
from revisit.adapters.sources.google_index_download import ChunkReader, OpenIndex, open_index
from revisit.adapters.sources.google_index_lines import CHUNK_BYTES, filter_lines, read_ahead
from revisit.adapters.sources.repeated_tiles import RepeatedTiles
from revisit.errors import PermanentError, TransientError
from revisit.ports.sources import Listing

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 100_000
"""Approximate number of new products in one table."""
MAX_WITNESSES = 16
MAX_HEADER_BYTES = 1 << 16


class GoogleIndexFile:
    """One index file."""

    def __init__(self, location: str, spec: str, root: str) -> None:
        """
        Args:
            location: Path or URL of the file.
            spec: SPEC of the source, stored with each product.
            root: Prefix of the paths in the bucket, ending in a slash.
        """
        self.location, self.spec, self.root = location, spec, root

    def check(self) -> None:
        """Check that the file exists and starts like an index."""
        with open_index(self.location) as file:
            if file:
                listing = Listing(batches=iter(()))
                with self._translate_errors(listing):
                    next(
                        self._parse_rows(
                            self._read_header(file.text), [file.text.read(MAX_HEADER_BYTES)], listing
                        ),
                        None,
                    )

    def batches(
        self, state: dict[str, Any], missing_mask: Callable[[Any], Any], listing: Listing
    ) -> "Iterator[pa.Table]":
        """Tables of the products that the catalog lacks.

        Args:
            state: Of the previous listing.
            missing_mask: Of an array of ids, those that the catalog lacks.
            listing: Its counts are kept up to date; its state is set after the last table.

        Raises:
            TransientError: The server does not answer, or the file ends too early.
            PermanentError: It is not an index, or is empty.
        """
        witnesses = state.get("witnesses", [])
        known = bool(witnesses) and not any(missing_mask(witnesses))
        with open_index(self.location, state.get("mark", "") if known else "") as file:
            if file is None:
                listing.unchanged = True
                return
            new_witnesses: list[str] = []
            yield from self._tables(file, missing_mask, listing, new_witnesses)
        if not listing.rows:
            before = f", where it had {state['rows']} rows before" if state.get("rows") else ""
            raise PermanentError(f"the index {self.location} lists no product{before}; nothing was changed")
        listing.state = {
            "mark": file.version,
            "rows": listing.rows,
            "witnesses": new_witnesses[:: max(1, len(new_witnesses) // MAX_WITNESSES)],
        }

    def _tables(
        self, file: OpenIndex, missing_mask: Callable[[Any], Any], listing: Listing, witnesses: list[str]
    ) -> "Iterator[pa.Table]":
        import pyarrow as pa
        import pyarrow.compute as pc

        def products(rows: "list[pa.RecordBatch]") -> "pa.Table":
            table, rejected = google_index_rows.parse_products(
                pa.Table.from_batches(rows).combine_chunks(), self.spec, self.root
            )
            record_rejections(listing, rejected)
            listing.rows -= len(rejected)
            witnesses.extend(table["id"][:1].to_pylist())
            return table

        def on_skipped(rows: int, id: str) -> None:
            listing.rows += rows
            witnesses.append(id)

        waiting: list[pa.RecordBatch] = []
        repeated = RepeatedTiles()
        for batch in self._read_batches(file.text, listing, missing_mask, on_skipped):
            ids = repeated.number(google_index_rows.product_ids(batch), batch)
            new = pa.array(missing_mask(ids))
            listing.rows += batch.num_rows
            fresh = batch.append_column(google_index_rows.ID_COLUMN, ids).filter(new)
            if fresh.num_rows < batch.num_rows:
                witnesses.extend(ids.filter(pc.invert(new))[:1].to_pylist())
            if fresh.num_rows:
                waiting.append(fresh)
            if sum(rows.num_rows for rows in waiting) >= BATCH_ROWS:
                yield products(waiting)
                waiting = []
        if waiting:
            yield products(waiting)

    def _read_batches(
        self,
        text: IO[bytes],
        listing: Listing,
        missing_mask: Callable[[Any], Any],
        on_skipped: Callable[[int, str], None],
    ) -> "Iterator[pa.RecordBatch]":
        """Parsed rows, without the known ones that are dropped unparsed."""
        with self._translate_errors(listing):
            header, chunks = self._read_header(text), read_ahead(text)
            second = header[1] == "PRODUCT_ID"
            for lines in filter_lines(chunks, missing_mask, on_skipped) if second else (chunks,):
                yield from self._parse_rows(header, lines, listing)

    @contextmanager
    def _translate_errors(self, listing: Listing) -> Iterator[None]:
        """Translate errors of reading the file to one sentence each."""
        import pyarrow as pa
        from isal import igzip_lib

        # Its type stubs declare the error as an instance.
        isal: Any = igzip_lib
        decompression_errors: tuple[type[Exception], ...] = (OSError, ValueError, isal.IsalError)
        try:
            yield
        except EOFError:
            raise TransientError(
                f"the index {self.location} ends in the middle of its compressed data, "
                f"after {listing.rows} rows; it is read again later"
            ) from None
        except pa.ArrowInvalid as error:
            raise PermanentError(
                f"the index {self.location} cannot be read as CSV after {listing.rows} rows: "
                f"{str(error).splitlines()[0]}"
            ) from None
        except decompression_errors as error:
            raise TransientError(
                f"the index {self.location} cannot be decompressed after {listing.rows} rows ({error}); "
                "it is read again later"
            ) from None

    def _parse_rows(
        self, header: list[str], lines: Iterable[bytes], listing: Listing
    ) -> "Iterator[pa.RecordBatch]":
        """Rows of a text, one block at a time."""
        import pyarrow as pa
        import pyarrow.csv as pc

        def skip(row: Any) -> str:
            record_rejections(
                listing,
                [(row.text[:200], f"it has {row.actual_columns} columns instead of {row.expected_columns}")],
            )
            return "skip"

        text = io.BufferedReader(ChunkReader(lines))
        if not text.peek(1):
            return
        used = [name for name in google_index_rows.USED_COLUMNS if name in header]
        try:
            yield from pc.open_csv(
                pa.PythonFile(text, "r"),
                read_options=pc.ReadOptions(block_size=CHUNK_BYTES, column_names=header),
                parse_options=pc.ParseOptions(invalid_row_handler=skip),
                # Text that is not UTF-8 must spoil its own row only, so it is checked later.
                convert_options=pc.ConvertOptions(
                    include_columns=used,
                    column_types=dict.fromkeys(used, pa.string()),
                    check_utf8=False,
                    strings_can_be_null=True,
                    null_values=["", "NA"],
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV" not in str(error):
                raise

    def _read_header(self, text: IO[bytes]) -> list[str]:
        return google_index_rows.parse_header(text.readline(MAX_HEADER_BYTES), self.location)
