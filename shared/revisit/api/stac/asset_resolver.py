"""What sources tell of their products: each product asked of once an hour, many side by side, and nobody waited for longer than there is patience."""

import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from time import monotonic

from revisit.api.stac.asset_cache import Key, Memory, Told, asked
from revisit.api.stac.asset_worker import Question, Teller
from revisit.domain.product import Product
from revisit.errors import GiveUp
from revisit.ports.backend import Backend
from revisit.ports.sources import Source

MOST_SOURCES = 32

log = logging.getLogger("revisit")

_known = Memory()


def told(backend: Backend, product: Product) -> Told:
    """What its source says of a product, now or within the last hour, however long that takes.

    Raises:
        Retry, GiveUp: As the source raises them.
    """
    key = key_of(backend, product)
    if (known := _known(key)) and known[0]:
        return known[0]
    answer = asked(_teller(backend.source, product.source).source, product)
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
    waiting: list[tuple[Teller, list[Question]]] = []
    for spec, wanted in new.items():
        try:
            teller = _teller(backend.source, spec)
        except GiveUp as error:
            log.info("%s cannot be asked of its products: %s", spec, error)
        else:
            waiting.append((teller, teller.ask(wanted.items(), begun + patience, urgent)))
    for teller, questions in waiting:
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
def _teller(opened: Callable[[str], Source], spec: str) -> Teller:
    """Kept open: each new client of a server costs more than what it is asked."""
    return Teller(spec, opened(spec), _known)
