"""When the satellites come next over an AOI or over tiles, as whoever asks for passes is told."""

from datetime import timedelta

from revisit.aoi import AOI
from revisit.backend import Backend
from revisit.commands.searching import products_over
from revisit.errors import BadInput
from revisit.paging import every_product
from revisit.passes import LEARNT_FROM, STALE, Pass, expected
from revisit.ports import Query
from revisit.tile import Tile

MOST_DAYS = 90
MOST_TILES = 50
PAGE = 5_000
"""Products asked of the catalog at once: more than a tile has in the past that is learnt from."""


def passes_of(backend: Backend, aoi: AOI | None = None, tiles: tuple[str, ...] = (), days: int = 30) -> list[Pass]:
    """Passes over an AOI, or over tiles, in the days to come, by time.

    Raises:
        BadInput: Neither is given, a tile does not exist, or more is asked than is told at once.
    """
    if not 1 <= days <= MOST_DAYS:
        raise BadInput(f"passes are foreseen for 1 to {MOST_DAYS} days, not {days}")
    tiles = tuple(dict.fromkeys(Tile.parse(tile).id for tile in tiles))
    if aoi is None and not tiles:
        raise BadInput("passes need a place: give an AOI or a tile such as 32TQM")
    if (count := len(tiles or (aoi.tiles if aoi else ()))) > MOST_TILES:
        raise BadInput(f"passes are foreseen for {MOST_TILES} tiles at once, and these are {count}; divide the place")
    now = backend.now()
    query = Query(tiles, start=now - STALE - LEARNT_FROM, end=now, limit=PAGE)
    seen = every_product(backend.catalog(), query) if aoi is None else products_over(backend, aoi, query)
    return expected(seen, now, now + timedelta(days=days))
