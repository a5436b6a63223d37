"""What sources tell of their products: each product asked of once an hour, many side by side, and nobody waited for longer than there is patience.

Whoever waits has threads of the one source to wait for: a source that hangs keeps its own busy, and nobody else's. They are daemons, so that
a question under way keeps no server from ending.
"""

import logging
import os
import re
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from time import monotonic
from typing import Any, Self

from revisit.backend import Backend
from revisit.bands import BandFile, SourceFile
from revisit.errors import GiveUp, Retry
from revisit.ports import Source
from revisit.product import Product

KEPT_S, REFUSED_S = 3600.0, 60.0
"""What a source tells is kept so long, and that it has nothing to tell."""
MOST_KEPT = 100_000
"""Files that are kept in mind, at 0.6 kB each: those of 1,000 products as SAFE, or of more as STAC items; 60 MB."""
SIDE_BY_SIDE = 8
"""Questions to one source at a time."""
MOST_WAITING = 200
"""Products of one source that are asked of or wait for it, two pages of them; of what comes then nothing is asked."""
ALONE_S = 60.0
"""A source that told nothing while somebody waited is not asked for pages so long: each of them would wait in vain."""
MOST_SOURCES = 32

PREVIEW = re.compile(r"(-ql|preview|thumbnail|quicklook)[^/]*\.(jpe?g|png)$", re.IGNORECASE)

log = logging.getLogger("revisit")


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
        return cls(files, {band: file for band, file in placed.items() if file.href}, next((file for file in files if PREVIEW.search(file.path)), None))


type Key = tuple[Any, ...]
type _Several = Callable[[Sequence[Product]], dict[str, tuple[list[SourceFile], dict[str, BandFile]]]]


@dataclass(slots=True)
class _Question:
    """One product asked of, for whoever waits for it."""

    key: Key
    product: Product
    until: float
    """When the last of them goes."""
    ended: threading.Event = field(default_factory=threading.Event)
    told: Told | None = None


class _Memory:
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


_known = _Memory()


class _Teller:
    """One source, and those who wait for it."""

    def __init__(self, spec: str, source: Source) -> None:
        self.spec, self.source = spec, source
        self._lock = threading.Lock()
        self._waiting: deque[list[_Question]] = deque()
        self._asked: dict[Key, _Question] = {}
        self._threads = 0
        self._heard = self._silent = 0.0

    def ask(self, products: Iterable[tuple[Key, Product]], until: float, urgent: bool) -> list[_Question]:
        """The questions for these products; none for those that are too many, or where it is to be left alone."""
        questions, new = [], []
        with self._lock:
            if not urgent and monotonic() < self._silent:
                return []
            for key, product in products:
                question = self._asked.get(key)
                if question is None:
                    if len(self._asked) >= MOST_WAITING and not self._cleared():
                        break
                    question = self._asked[key] = _Question(key, product, until)
                    new.append(question)
                question.until = max(question.until, until)
                questions.append(question)
            size = getattr(self.source, "at_once", 1)
            groups = [new[first:first + size] for first in range(0, len(new), size)]
            self._waiting.extend(groups)
            for _ in groups[:SIDE_BY_SIDE - self._threads]:
                self._threads += 1
                threading.Thread(target=self._work, name="source", daemon=True).start()
        return questions

    def judge(self, since: float) -> None:
        """Leave it alone for a while, where nothing was heard of it since then."""
        with self._lock:
            if self._heard < since:
                self._silent = monotonic() + ALONE_S
                log.warning("%s tells nothing of its products; for %g s they are shown without their bands", self.spec, ALONE_S)

    def _cleared(self) -> bool:
        """Whether there is room again once those are gone for whom nobody waits any more."""
        for group in self._waiting:
            self._leave(group)
        self._waiting = deque(left for group in self._waiting if (left := [one for one in group if not one.ended.is_set()]))
        return len(self._asked) < MOST_WAITING

    def _leave(self, group: Iterable[_Question]) -> None:
        now = monotonic()
        for question in group:
            if question.until <= now:
                self._end(question)

    def _end(self, question: _Question) -> None:
        if self._asked.get(question.key) is question:
            del self._asked[question.key]
        question.ended.set()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                group = self._waiting.popleft()
                self._leave(group)
            self._answer([question for question in group if not question.ended.is_set()])

    def _answer(self, group: list[_Question]) -> None:
        """Ask of a group, and end each of its questions whatever comes of it."""
        try:
            together = self._together([question.product for question in group])
            for question in group:
                told = together.get(question.product.id)
                if told is None and question.until <= monotonic():
                    continue
                try:
                    question.told = told or _of(self.source, question.product)
                except GiveUp as error:
                    log.info("the source of %s has nothing to say of it: %s", question.product.id, error)
                self._hear(question)
        except Retry as error:
            log.info("%s does not answer: %s", self.spec, error)
        except Exception:
            # A page has more than what this source tells.
            log.exception("asking %s failed", self.spec)
        finally:
            with self._lock:
                for question in group:
                    self._end(question)

    def _together(self, products: Sequence[Product]) -> dict[str, Told]:
        """What one question tells of several products, where the source can be asked so."""
        several: _Several | None = getattr(self.source, "several", None)
        if several is None or len(products) < 2:
            return {}
        try:
            return {id: Told.of(files, bands) for id, (files, bands) in several(products).items()}
        except GiveUp as error:
            log.info("%s does not tell of several products at once: %s", self.spec, error)
            return {}

    def _hear(self, question: _Question) -> None:
        _known.keep(question.key, question.told)
        self._heard, self._silent = monotonic(), 0.0
        with self._lock:
            self._end(question)


def told(backend: Backend, product: Product) -> Told:
    """What its source says of a product, now or within the last hour, however long that takes.

    Raises:
        Retry, GiveUp: As the source raises them.
    """
    key = key_of(backend, product)
    if (known := _known(key)) and known[0]:
        return known[0]
    answer = _of(_teller(backend.source, product.source).source, product)
    _known.keep(key, answer)
    return answer


def soon(backend: Backend, products: Iterable[Product], patience: float, urgent: bool = False) -> dict[Key, Told]:
    """What the sources of products say of them in a time; what they say later is kept for the next who asks.

    Args:
        urgent: Ask a source that told nothing just now, too, and of a product that it had nothing to say of.
    """
    begun = monotonic()
    known: dict[Key, Told] = {}
    new: dict[str, dict[Key, Product]] = {}
    for product in products:
        key = key_of(backend, product)
        if (there := _known(key)) and (there[0] or not urgent):
            known |= {key: there[0]} if there[0] else {}
        else:
            new.setdefault(product.source, {})[key] = product
    asked: list[tuple[_Teller, list[_Question]]] = []
    for spec, wanted in new.items():
        try:
            teller = _teller(backend.source, spec)
        except GiveUp as error:
            log.info("%s cannot be asked of its products: %s", spec, error)
        else:
            asked.append((teller, teller.ask(wanted.items(), begun + patience, urgent)))
    for teller, questions in asked:
        for question in questions:
            question.ended.wait(max(0.0, begun + patience - monotonic()))
            if question.told:
                known[question.key] = question.told
        if not urgent and not all(question.ended.is_set() for question in questions):
            teller.judge(begun)
    return known


def key_of(backend: Backend, product: Product) -> Key:
    """What a product is known by, in one home."""
    return backend.source, product.source, product.id, product.version


@lru_cache(MOST_SOURCES)
def _teller(opened: Callable[[str], Source], spec: str) -> _Teller:
    """Kept open: each new client of a server costs more than what it is asked."""
    return _Teller(spec, opened(spec))


def _of(source: Source, product: Product) -> Told:
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
