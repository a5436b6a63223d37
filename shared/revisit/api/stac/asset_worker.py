"""One source and those who wait for it: it is asked side by side, and what waits is bounded.

The threads are its own, so that a source that hangs keeps nobody else waiting; they are daemons, so that a question under way keeps no server
from ending.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import monotonic

from revisit.api.stac.asset_cache import Key, Memory, Told, asked
from revisit.domain.bands import BandFile, SourceFile
from revisit.domain.product import Product
from revisit.errors import GiveUp, Retry
from revisit.ports.sources import Source

SIDE_BY_SIDE = 8
"""Questions to one source at a time."""
MOST_WAITING = 200
"""Products of one source that are asked of or wait for it, two pages of them; of what comes then nothing is asked."""
ALONE_S = 60.0
"""A source that told nothing while somebody waited is not asked for pages so long: each of them would wait in vain."""

log = logging.getLogger("revisit")

type _Several = Callable[[Sequence[Product]], dict[str, tuple[list[SourceFile], dict[str, BandFile]]]]


@dataclass(slots=True)
class Question:
    """One product asked of, for whoever waits for it."""

    key: Key
    product: Product
    until: float
    """When the last of them goes."""
    ended: threading.Event = field(default_factory=threading.Event)
    told: Told | None = None


class Teller:
    """One source, and those who wait for it."""

    def __init__(self, spec: str, source: Source, known: Memory) -> None:
        """
        Args:
            known: Where what it tells is kept.
        """
        self.spec, self.source, self._known = spec, source, known
        self._lock = threading.Lock()
        self._waiting: deque[list[Question]] = deque()
        self._asked: dict[Key, Question] = {}
        self._threads = 0
        self._heard = self._silent = 0.0

    def ask(self, products: Iterable[tuple[Key, Product]], until: float, urgent: bool) -> list[Question]:
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
                    question = self._asked[key] = Question(key, product, until)
                    new.append(question)
                question.until = max(question.until, until)
                questions.append(question)
            size = getattr(self.source, "at_once", 1)
            groups = [new[first:first + size] for first in range(0, len(new), size)]
            self._waiting.extend(groups)
            for _ in groups[:SIDE_BY_SIDE - self._threads]:
                self._threads += 1
                self._start()
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

    def _leave(self, group: Iterable[Question]) -> None:
        now = monotonic()
        for question in group:
            if question.until <= now:
                self._end(question)

    def _end(self, question: Question) -> None:
        if self._asked.get(question.key) is question:
            del self._asked[question.key]
        question.ended.set()

    def _start(self) -> None:
        threading.Thread(target=self._work, name="source", daemon=True).start()

    def _work(self) -> None:
        with ExitStack() as unforeseen:
            # What nobody foresaw ends this thread and is printed; a page has more than what one source tells, so another goes on.
            unforeseen.callback(self._start)
            while group := self._next():
                self._answer([question for question in group if not question.ended.is_set()])
            unforeseen.pop_all()

    def _next(self) -> list[Question] | None:
        """Those to ask of now; with None a thread is taken off."""
        with self._lock:
            if not self._waiting:
                self._threads -= 1
                return None
            group = self._waiting.popleft()
            self._leave(group)
            return group

    def _answer(self, group: list[Question]) -> None:
        """Ask of a group, and end each of its questions whatever comes of it."""
        try:
            together = self._together([question.product for question in group])
            for question in group:
                told = together.get(question.product.id)
                if told is None and question.until <= monotonic():
                    continue
                try:
                    question.told = told or asked(self.source, question.product)
                except GiveUp as error:
                    log.info("the source of %s has nothing to say of it: %s", question.product.id, error)
                self._hear(question)
        except Retry as error:
            log.info("%s does not answer: %s", self.spec, error)
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

    def _hear(self, question: Question) -> None:
        self._known.keep(question.key, question.told)
        self._heard, self._silent = monotonic(), 0.0
        with self._lock:
            self._end(question)


