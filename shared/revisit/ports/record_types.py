"""Which values are kept as records, what they are found by, and how they become text.

A backend keeps each as a document of its kind; the fields named here are the only ones a `find` may ask for.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from revisit.domain.alert import Alert
from revisit.domain.api_key import ApiKey
from revisit.domain.audit_record import Audit
from revisit.domain.delivery import Delivery, Receiver
from revisit.domain.job import Job
from revisit.domain.order import Order
from revisit.domain.product import Product
from revisit.domain.subscription import Subscription
from revisit.domain.usage import Usage
from revisit.ports.system_records import Announced, Answered, DeadLetter, SourceState

KINDS: dict[type[Any], tuple[str, ...]] = {
    Subscription: ("owner", "state", "tiles"),
    Order: ("owner", "subscription"),
    Job: ("orders", "owner", "state", "subscription"),
    Alert: ("subscription",),
    Delivery: ("alert", "host", "state", "subscription"),
    Receiver: (),
    Product: (),
    SourceState: (),
    Announced: (),
    DeadLetter: ("function",),
    Answered: ("owner",),
    ApiKey: ("owner",),
    Usage: (),
    Audit: (),
}
"""Each kind of record and its indexed fields."""

RETENTION: dict[type[Any], tuple[str, timedelta]] = {
    Answered: ("at", timedelta(days=1)),
    Audit: ("at", timedelta(days=400)),
    Delivery: ("created", timedelta(days=30)),
}
"""Kinds that are not kept for ever: from the moment in that field on, for so long (rules.md R10, D1, D2). A
delivery is over after four
days, and that it was made is known by its alert; who looks back over a year at what was changed finds it in
the book."""

KINDS_BY_NAME = {kind.__name__.lower(): kind for kind in KINDS}
"""Kinds by the name of their collection."""


def collection_name(kind: type[Any]) -> str:
    """The collection of a kind."""
    return kind.__name__.lower()


def encode(record: Any) -> bytes:
    """A record as JSON."""
    return msgspec.json.encode(record)


def decode[T](text: bytes | str, kind: type[T]) -> T:
    """A record from JSON; fields that are missing take their defaults, so that older records are read."""
    return msgspec.json.decode(text, type=kind)


def expires_at(record: Any) -> datetime | None:
    """From when on a record may be taken away; None where it stays."""
    if (lasting := RETENTION.get(type(record))) is None:
        return None
    moment: datetime = getattr(record, lasting[0])
    return moment + lasting[1]


def indexed_values(record: Any) -> dict[str, tuple[str, ...]]:
    """The values a record is found by: field -> one or more texts."""
    values = {}
    for name in KINDS[type(record)]:
        value = getattr(record, name)
        values[name] = tuple(value) if isinstance(value, tuple) else (str(value),)
    return values
