"""What is asked of the catalog, as one SQL text for DuckDB and BigQuery: plain columns, values only as @parameters.

The relation `products` has the columns of `catalog_schema` and holds one row for each source and id, the one published last.
Words of users never become text here: what varies is which conditions there are, and how many tiles.
"""

from typing import Any

from revisit.catalog_schema import SCHEMA
from revisit.clock import instant, rfc3339
from revisit.errors import BadInput
from revisit.ports import Query
from revisit.product import Product

COLUMNS = ", ".join(SCHEMA.names)
"""In the order of `Product`'s fields."""

Statement = tuple[str, dict[str, Any]]
"""SQL, and the values of its @parameters by name."""

GET = f"select {COLUMNS} from products where id = @id"  # noqa: S608 - the columns are ours
"""One product by its id."""

_LATEST = " order by published desc nulls last, source limit 1"

# A product whose west is east of its east crosses the antimeridian: it reaches from west to 180 and from -180 to east.
_OVERLAP = "((west <= east and west <= @east and east >= @west) or (west > east and (west <= @east or east >= @west)))"
_OVERLAP_ACROSS = "(west > east or east >= @west or west <= @east)"


def get(product: str, source: str = "", tile: str = "") -> Statement:
    """The product of that id which was published last.

    Args:
        tile: Where it is known to lie, which makes it quick to find.
    """
    conditions, values = "", {"id": product}
    if source:
        conditions, values = conditions + " and source = @source", values | {"source": source}
    if tile:
        conditions, values = conditions + " and tile = @tile", values | {"tile": tile}
    return GET + conditions + _LATEST, values


def search(query: Query, tiles: tuple[str, ...], limit: int) -> Statement:
    """Products that meet the query, by (sensing_time, id, source).

    Args:
        tiles: Those to look on: the query's, or the ones under its bounds; empty means any.
        limit: Rows at most.

    Raises:
        BadInput: The query's `after` is no page's `next`.
    """
    conditions: list[str] = []
    values: dict[str, Any] = {"limit": limit}
    if tiles:
        conditions.append(f"tile in ({', '.join(f'@tile_{number}' for number in range(len(tiles)))})")
        values |= {f"tile_{number}": tile for number, tile in enumerate(tiles)}
    if query.bounds:
        west, south, east, north = query.bounds
        conditions += ["south <= @north", "north >= @south", _OVERLAP if west <= east else _OVERLAP_ACROSS]
        values |= {"west": west, "south": south, "east": east, "north": north}
    for condition, name, value in (
        ("sensing_time >= @start", "start", query.start),
        ("sensing_time <= @end", "end", query.end),
        ("(cloud_cover is null or cloud_cover <= @max_cloud)", "max_cloud", query.max_cloud),
        ("level = @level", "level", query.level),
        ("source = @source", "source", query.source or None),
    ):
        if value is not None:
            conditions.append(condition)
            values[name] = value
    if query.after:
        conditions.append("(sensing_time > @at or (sensing_time = @at and (id > @after_id or (id = @after_id and source > @after_source))))")
        # Repeated so that an engine which skips blocks by their least and greatest values can do so.
        conditions.append("sensing_time >= @at")
        values |= _place(query.after)
    where = f" where {' and '.join(conditions)}" if conditions else ""
    return f"select {COLUMNS} from products{where} order by sensing_time, id, source limit @limit", values  # noqa: S608


def page_end(product: Product) -> str:
    """The `next` of a page that ends with this product."""
    return f"{rfc3339(product.sensing_time)}|{product.id}|{product.source}"


def _place(after: str) -> dict[str, Any]:
    try:
        moment, id, source = after.split("|", 2)
        return {"at": instant(moment), "after_id": id, "after_source": source}
    except (ValueError, BadInput):
        raise BadInput(f"{after!r} is no place to go on from; give the `next` of the page before") from None
