"""Record kinds: stored names, indexed fields, retention, and the JSON codec."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
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
from revisit.ports.json_decoder import json_decoder
from revisit.ports.system_records import (
    CatalogCursor,
    DeadLetter,
    IdempotencyRecord,
    ProductCopy,
    SourceState,
)

COLLECTION_NAMES: dict[type[Any], str] = {
    Subscription: "subscription",
    Order: "order",
    Job: "job",
    Alert: "alert",
    Delivery: "delivery",
    Receiver: "receiver",
    Product: "product",
    ProductCopy: "productcopy",
    SourceState: "sourcestate",
    CatalogCursor: "announced",
    DeadLetter: "deadletter",
    IdempotencyRecord: "answered",
    ApiKey: "apikey",
    Usage: "usage",
    Audit: "audit",
}
"""Each kind of record and the name of its collection. Existing data is stored under these names: a class may
be renamed, its collection may not.
"""

KINDS_BY_NAME = {name: kind for kind, name in COLLECTION_NAMES.items()}
"""Kinds by the name of their collection."""

KINDS: dict[type[Any], tuple[str, ...]] = {
    Subscription: ("owner", "state", "tiles"),
    Order: ("owner", "subscription"),
    Job: ("orders", "owner", "state", "subscription"),
    Alert: ("subscription",),
    Delivery: ("alert", "host", "state", "subscription"),
    Receiver: (),
    Product: ("acquisition",),
    ProductCopy: ("acquisition",),
    SourceState: (),
    CatalogCursor: (),
    DeadLetter: ("function",),
    IdempotencyRecord: ("owner",),
    ApiKey: ("owner",),
    Usage: (),
    Audit: (),
}
"""Each kind of record and its indexed fields, the only ones that `find` accepts."""

SORTED_LISTS: dict[type[Any], tuple[tuple[tuple[str, ...], str], ...]] = {
    Order: ((("owner",), "created"), (("owner", "subscription"), "created"), ((), "recheck_at")),
    Job: ((("orders",), "sensing_time"), (("subscription",), "sensing_time"), (("state",), "recheck_at")),
    Alert: ((("subscription",), "number"),),
    Delivery: (
        (("subscription",), "created"),
        (("state", "subscription"), "created"),
        (("state",), "due"),
    ),
}
"""Lists that the store pages by an index: the indexed fields they are found by, and their sort key."""

RETENTION: dict[type[Any], tuple[str, timedelta]] = {
    IdempotencyRecord: ("at", timedelta(days=1)),
    Audit: ("at", timedelta(days=400)),
    Delivery: ("created", timedelta(days=30)),
}
"""Kinds that expire: the field that holds the start, and how long after it. Attempts end after four days; the
alert, which does not expire, keeps a delivery from being made again. The audit log covers more than a year.
"""


def collection_name(kind: type[Any]) -> str:
    """The collection of a kind."""
    return COLLECTION_NAMES[kind]


def encode(record: Any) -> bytes:
    """Encode a record as JSON."""
    return msgspec.json.encode(record)


def decode[T](text: bytes | str, kind: type[T]) -> T:
    """Decode a record from JSON; missing fields take their defaults, so that older records can be read.

    Raises:
        msgspec.MsgspecError: The text is not JSON, or not a record of this kind.
    """
    return json_decoder(kind).decode(text)


def expires_at(record: Any) -> datetime | None:
    """When a record may be deleted; None if it does not expire."""
    if (retention := RETENTION.get(type(record))) is None:
        return None
    field, duration = retention
    start: datetime = getattr(record, field)
    return start + duration


def sort_key(record: Any, name: str) -> str | None:
    """A value that lists are sorted by, as text that sorts alike; None leaves the record out of the list."""
    value = record.product.sensing_time if name == "sensing_time" else getattr(record, name)
    if value is None:
        return None
    if isinstance(value, int):
        return number_key(value)
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"


def number_key(value: int) -> str:
    """A whole number as a sort key."""
    return f"{value:012d}"


def sort_keys(record: Any) -> dict[str, str]:
    """The sort keys of a record by name."""
    names = {name for _, name in SORTED_LISTS.get(type(record), ())}
    return {name: key for name in sorted(names) if (key := sort_key(record, name)) is not None}


def check_sorted_list(kind: type[Any], fields: Iterable[str], sort: str) -> None:
    """Refuse a sorted query that no index answers."""
    if (tuple(sorted(fields)), sort) not in SORTED_LISTS.get(kind, ()):
        raise ValueError(
            f"no list of {collection_name(kind)} by {', '.join(sorted(fields))} sorted by {sort}"
        )


def indexed_values(record: Any) -> dict[str, tuple[str, ...]]:
    """The indexed values of a record: field -> one or more texts."""
    values = {}
    for name in KINDS[type(record)]:
        value = getattr(record, name)
        values[name] = tuple(value) if isinstance(value, tuple) else (str(value),)
    return values
