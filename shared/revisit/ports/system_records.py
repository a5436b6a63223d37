"""Records of Revisit's own work: dead letters, idempotency records, source states, the catalog cursor."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from revisit.domain.ids import derive_id
from revisit.domain.product import Product


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that is not retried, kept for an operator to inspect and replay."""

    id: str
    """The event's id and the function's name."""
    function: str
    topic: str
    reason: str
    at: datetime
    attempts: int
    body: str
    """The event as it was received (base64 if it is not text)."""


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """The response to a request with an idempotency key, returned to the same request for a day."""

    id: str
    """Derived from the owner and the key."""
    request: str
    """SHA-256 of method, path, query and body, hexadecimal."""
    status: int
    """HTTP status; 0 while the request is in progress."""
    headers: dict[str, str]
    body: str
    at: datetime
    owner: str = "local"


MAX_REJECTIONS_KEPT = 20
"""Rejections that a source's state names; the others are counted."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """The state of one source between refreshes."""

    id: str
    """The SPEC."""
    listing: dict[str, Any] = field(default_factory=dict)
    """The source's last `Listing.state`."""
    refreshed: datetime | None = None
    rows: int = 0
    """Products in its last full listing."""
    rejections: int = 0
    rejected: str = ""
    """First of what the last full listing rejected, and why."""
    removed: int = 0
    """Products that it lost since its first listing, and that the catalog forgot."""
    error: str = ""
    """Why the last refresh failed; empty if it succeeded."""
    first: datetime | None = None
    """When its first full listing ended."""
    held: tuple[str, ...] = ()
    """Ids of products that are not announced yet, because their files are incomplete and still change."""
    incomplete: dict[str, str] = field(default_factory=dict)
    """Product id -> what is missing of it, for products of a folder that are incomplete."""
    rejection_examples: dict[str, str] = field(default_factory=dict)
    """Row or name -> reason, of the first `MAX_REJECTIONS_KEPT` that the last full listing rejected."""


@dataclass(frozen=True, slots=True)
class ProductCopy:
    """An announced product of a further source, beside the `Product` record of the first one."""

    id: str
    """See `copy_id`."""
    acquisition: str
    product: Product


def copy_id(source: str, product: str) -> str:
    """Id of the `ProductCopy` of a source."""
    return derive_id("copy", source, product)


@dataclass(frozen=True, slots=True)
class CatalogCursor:
    """Position in the catalog's log up to which new products have been published."""

    id: str = "catalog"
    cursor: int = 0
    passes_since: datetime | None = None
    """When this installation began to make one job a pass; earlier jobs are of one acquisition each."""
