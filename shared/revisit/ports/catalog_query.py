"""What a search means in every catalog: the order, where a page ends and the next goes on, and which tiles
can hold an answer."""

from datetime import datetime
from typing import Any

from revisit.domain.clock import format_rfc3339, parse_instant
from revisit.domain.product import Product
from revisit.errors import InvalidInputError
from revisit.geo.bounds import box_polygon
from revisit.ports.catalog import Query

MAX_TILES = 500
"""Bounds near more tiles than these are looked for by the bounds alone."""


def sort_key(product: Product) -> tuple[datetime, str, str]:
    """The order of a search."""
    return product.sensing_time, product.id, product.source


def page_token(product: Product) -> str:
    """The `next` of a page that ends with this product."""
    return f"{format_rfc3339(product.sensing_time)}|{product.id}|{product.source}"


def parse_page_token(token: str) -> tuple[datetime, str, str]:
    """What a page that goes on from there follows, in the order of a search.

    Raises:
        InvalidInputError: It is no `next` of a page.
    """
    try:
        moment, id, source = token.split("|", 2)
        return parse_instant(moment), id, source
    except (ValueError, InvalidInputError):
        raise InvalidInputError(
            f"{token!r} is no place to go on from; give the `next` of the page before"
        ) from None


def tiles_to_search(query: Query) -> tuple[str, ...] | None:
    """The tiles to look on, in order; None means any, for which the bounds alone have to do.

    Raises:
        InvalidInputError: The limit or the bounds make no sense.
    """
    if query.limit < 1:
        raise InvalidInputError(f"a page has at least one product, not {query.limit}")
    if not query.bounds:
        return tuple(sorted(set(query.tiles))) or None
    from revisit.geo.mgrs_tile import filter_tiles_under, tiles_under_up_to

    box = _box(query.bounds)
    return filter_tiles_under(set(query.tiles), box) if query.tiles else tiles_under_up_to(box, MAX_TILES)


def _box(bounds: tuple[float, float, float, float]) -> Any:
    west, south, east, north = bounds
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise InvalidInputError(f"{bounds} are no bounds; give west, south, east, north in degrees")
    return box_polygon(bounds)
