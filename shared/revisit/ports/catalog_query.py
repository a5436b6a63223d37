"""Semantics of a search that both catalogs share: order, keyset tokens and the tiles to read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from revisit.domain.clock import format_rfc3339, parse_instant
from revisit.domain.product import Product
from revisit.errors import InvalidInputError
from revisit.geo.bounds import box_polygon
from revisit.ports.catalog import OrderBy, Query

MAX_TILES = 500
"""Bounds that more tiles overlap are searched without a list of tiles."""


def sort_key(product: Product) -> tuple[datetime, str, str]:
    """Key of the default order of a search."""
    return product.sensing_time, product.id, product.source


def sort_products(products: Iterable[Product], query: Query) -> list[Product]:
    """Products in the order of a query."""
    found = sorted(products, key=sort_key, reverse=query.latest_first)
    for key in reversed(query.order_by):
        # Sorting is stable, also in reverse; missing values come last in either direction.
        values = [(product, getattr(product, key.column)) for product in found]
        present = [pair for pair in values if pair[1] is not None]
        present.sort(key=lambda pair: pair[1], reverse=key.descending)
        found = [product for product, _ in present] + [product for product, value in values if value is None]
    return found


@dataclass(frozen=True, slots=True)
class Position:
    """Place of a product in the order of a query."""

    values: tuple[Any, ...]
    """Of the columns of `order_by`."""
    sensing_time: datetime
    id: str
    source: str


def page_token(product: Product, order_by: Sequence[OrderBy] = ()) -> str:
    """`next` of a page that ends with this product."""
    values = [getattr(product, key.column) for key in order_by]
    return encode_position(Position(tuple(values), product.sensing_time, product.id, product.source))


def encode_position(position: Position) -> str:
    """Keyset token of a position."""
    moment = format_rfc3339(position.sensing_time)
    if not position.values:
        return f"{moment}|{position.id}|{position.source}"
    values = [format_rfc3339(value) if isinstance(value, datetime) else value for value in position.values]
    return msgspec.json.encode([*values, moment, position.id, position.source]).decode()


def parse_position(token: str, order_by: Sequence[OrderBy] = ()) -> Position:
    """Parse a keyset token.

    Raises:
        InvalidInputError: The token does not come from a page in this order.
    """
    try:
        if not order_by:
            stated, id, source = token.split("|", 2)
            return Position((), parse_instant(stated), id, source)
        *cells, moment, name, origin = msgspec.json.decode(token, type=list[float | str | None])
        values = tuple(_parse_cell(key, cell) for key, cell in zip(order_by, cells, strict=True))
        if isinstance(name, str) and isinstance(origin, str):
            return Position(values, parse_instant(str(moment)), name, origin)
    except (ValueError, msgspec.MsgspecError, InvalidInputError):
        pass
    raise InvalidInputError(f"{token[:200]!r} is not a page token; use the `next` of the previous page")


def _parse_cell(key: OrderBy, cell: float | str | None) -> Any:
    if cell is None:
        return None
    if key.column == "sensing_time":
        return parse_instant(str(cell))
    if isinstance(cell, str) != (key.column == "tile"):
        raise ValueError(cell)
    return cell


def tiles_to_search(query: Query) -> tuple[str, ...] | None:
    """Tiles that can contain an answer, sorted; None means any, so that only the bounds restrict the search.

    Raises:
        InvalidInputError: The limit or the bounds are invalid.
    """
    if query.limit < 1:
        raise InvalidInputError(f"the limit is {query.limit}; a page has at least one product")
    if not query.bounds:
        return tuple(sorted(set(query.tiles))) or None
    from revisit.geo.mgrs_tile import filter_tiles_under, tiles_under_up_to

    box = _box(query.bounds)
    return filter_tiles_under(set(query.tiles), box) if query.tiles else tiles_under_up_to(box, MAX_TILES)


def _box(bounds: tuple[float, float, float, float]) -> Any:
    west, south, east, north = bounds
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise InvalidInputError(f"{bounds} are not bounds; give west, south, east, north in degrees")
    return box_polygon(bounds)
