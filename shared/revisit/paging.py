"""All records that match, page by page."""

from collections.abc import Iterator
from typing import Any

from revisit.ports import Reader

PAGE = 1000


def every[T](records: Reader, kind: type[T], **fields: Any) -> Iterator[T]:
    """Every record of a kind whose indexed fields equal the values given, by id."""
    after = ""
    while True:
        page = records.find(kind, after=after, limit=PAGE, **fields)
        yield from page
        if len(page) < PAGE:
            return
        after = str(page[-1].id)  # type: ignore[attr-defined]  # every kind has an id
