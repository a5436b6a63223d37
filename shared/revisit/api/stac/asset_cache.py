"""What a source tells of one product, and what was told lately."""

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Self

from revisit.domain.bands import BandFile, SourceFile
from revisit.domain.product import Product
from revisit.errors import PermanentError
from revisit.ports.sources import Source

TTL_S, EMPTY_TTL_S = 3600.0, 60.0
"""What a source tells is kept so long, and that it has nothing to tell."""
MAX_FILES = 100_000
"""Files that are kept in mind, at 0.6 kB each: those of 1,000 products as SAFE, or of more as STAC items; 60
MB."""

_PREVIEW_NAME = re.compile(r"(-ql|preview|thumbnail|quicklook)[^/]*\.(jpe?g|png)$", re.IGNORECASE)

type CacheKey = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class ProductFiles:
    """What a source says of one product."""

    files: tuple[SourceFile, ...]
    bands: dict[str, BandFile]
    """By name; of one that lies on a disk of ours, the href is its path among the files."""
    preview: SourceFile | None = None

    @classmethod
    def from_source(cls, files: Iterable[SourceFile], bands: Mapping[str, BandFile]) -> Self:
        """As a source tells: a band on a disk of ours that is none of the files is left out, since nobody
        could have it."""
        files = tuple(files)
        paths = {file.href: file.path for file in files if not is_url(file.href)}
        located = {
            band: file
            if is_url(file.href)
            else replace(file, href=paths.get(file.href) or paths.get(os.path.realpath(file.href), ""))
            for band, file in bands.items()
        }
        return cls(
            files,
            {band: file for band, file in located.items() if file.href},
            next((file for file in files if _PREVIEW_NAME.search(file.path)), None),
        )


class TtlCache:
    """What was told, the latest of it."""

    def __init__(self) -> None:
        self._entries: OrderedDict[CacheKey, tuple[float, ProductFiles | None]] = OrderedDict()
        self._total_files = 0
        self._lock = threading.Lock()

    def __call__(self, key: CacheKey) -> tuple[ProductFiles | None] | None:
        """What is known; None where that is nothing."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or monotonic() - entry[0] > (TTL_S if entry[1] else EMPTY_TTL_S):
                return None
            self._entries.move_to_end(key)
            return entry[1:]

    def put(self, key: CacheKey, product_files: ProductFiles | None) -> None:
        with self._lock:
            self._drop(key)
            self._entries[key] = monotonic(), product_files
            self._total_files += _file_count(product_files)
            while self._total_files > MAX_FILES:
                self._drop(next(iter(self._entries)))

    def _drop(self, key: CacheKey) -> None:
        if entry := self._entries.pop(key, None):
            self._total_files -= _file_count(entry[1])


def fetch_product_files(source: Source, product: Product) -> ProductFiles:
    """What a source says now.

    Raises:
        TransientError, PermanentError: As the source raises them.
    """
    files = source.files(product)
    try:
        return ProductFiles.from_source(files, source.bands(product))
    except PermanentError:
        # Files may be there without one that could be read.
        return ProductFiles.from_source(files, {})


def is_url(href: str) -> bool:
    return href.startswith("http")


def _file_count(product_files: ProductFiles | None) -> int:
    return 1 + len(product_files.files if product_files else ())
