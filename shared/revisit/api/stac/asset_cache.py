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
from revisit.errors import GiveUp
from revisit.ports.sources import Source

KEPT_S, REFUSED_S = 3600.0, 60.0
"""What a source tells is kept so long, and that it has nothing to tell."""
MOST_KEPT = 100_000
"""Files that are kept in mind, at 0.6 kB each: those of 1,000 products as SAFE, or of more as STAC items; 60 MB."""

_PREVIEW = re.compile(r"(-ql|preview|thumbnail|quicklook)[^/]*\.(jpe?g|png)$", re.IGNORECASE)

type Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What a source says of one product."""

    files: tuple[SourceFile, ...]
    bands: dict[str, BandFile]
    """By name; of one that lies on a disk of ours, the href is its path among the files."""
    preview: SourceFile | None = None

    @classmethod
    def of(cls, files: Iterable[SourceFile], bands: Mapping[str, BandFile]) -> Self:
        """As a source tells: a band on a disk of ours that is none of the files is left out, since nobody could have it."""
        files = tuple(files)
        paths = {file.href: file.path for file in files if not is_url(file.href)}
        placed = {band: file if is_url(file.href) else replace(file, href=paths.get(file.href) or paths.get(os.path.realpath(file.href), ""))
                  for band, file in bands.items()}
        return cls(files, {band: file for band, file in placed.items() if file.href}, next((file for file in files if _PREVIEW.search(file.path)), None))


class Memory:
    """What was told, the latest of it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, tuple[float, Told | None]] = OrderedDict()
        self._files = 0
        self._lock = threading.Lock()

    def __call__(self, key: Key) -> tuple[Told | None] | None:
        """What is known; None where that is nothing."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or monotonic() - kept[0] > (KEPT_S if kept[1] else REFUSED_S):
                return None
            self._kept.move_to_end(key)
            return kept[1:]

    def keep(self, key: Key, told: Told | None) -> None:
        with self._lock:
            self._drop(key)
            self._kept[key] = monotonic(), told
            self._files += _size(told)
            while self._files > MOST_KEPT:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        if kept := self._kept.pop(key, None):
            self._files -= _size(kept[1])


def asked(source: Source, product: Product) -> Told:
    """What a source says now.

    Raises:
        Retry, GiveUp: As the source raises them.
    """
    files = source.files(product)
    try:
        return Told.of(files, source.bands(product))
    except GiveUp:
        # Files may be there without one that could be read.
        return Told.of(files, {})


def is_url(href: str) -> bool:
    return href.startswith("http")


def _size(told: Told | None) -> int:
    return 1 + len(told.files if told else ())
