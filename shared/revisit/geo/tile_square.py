"""Squares of the tile grid: zone, row and column, their letters, and their edges in UTM.

The corner is that of a 100 km square of the zone's grid, with the west edge moved down and the north edge up
to a multiple of 60 m, the coarsest pixel.
"""

from functools import cache, lru_cache

from revisit.geo.tile_existence import ROWS_PER_ZONE, SOUTHERN_ROWS, exists

TILE_SIDE_M = 109_800
"""Length of a tile's edge in metres."""
COLUMNS_PER_ZONE = 8
"""Columns of 100 km squares in a zone."""
_COLUMN_LETTERS = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")
"""Column letters of zones whose number leaves 0, 1, 2 when divided by 3."""
_ROW_LETTERS = "ABCDEFGHJKLMNPQRSTUV"
_EVEN_ZONE_SHIFT = 5
"""Row letters; even zones start their rows with F."""
_FIRST_ROW_OF_LATITUDE_BAND = {
    "C": 7,
    "D": 20,
    "E": 29,
    "F": 38,
    "G": 47,
    "H": 56,
    "J": 65,
    "K": 73,
    "L": 82,
    "M": 91,
    "N": 100,
    "P": 109,
    "Q": 118,
    "R": 127,
    "S": 135,
    "T": 144,
    "U": 153,
    "V": 162,
    "W": 171,
    "X": 180,
    "end": ROWS_PER_ZONE,
}
"""First row of each latitude band, counted as in `tile_existence`; every row belongs to one band."""
_LATITUDE_BANDS = [name for name in _FIRST_ROW_OF_LATITUDE_BAND if name != "end"]
_LATITUDE_BAND_OF_ROW = [
    next(
        name
        for name in reversed(_LATITUDE_BANDS)
        if _FIRST_ROW_OF_LATITUDE_BAND[name] <= row or name == _LATITUDE_BANDS[0]
    )
    for row in range(ROWS_PER_ZONE)
]


@lru_cache(maxsize=1 << 16)
def square_from_letters(zone: int, latitude_band: str, column: str, row: str) -> tuple[int, int, int] | None:
    """Zone, row and column as counted in `tile_existence`; None where the zone has no such letters."""
    if not 1 <= zone <= 60 or column not in _COLUMN_LETTERS[zone % 3]:
        return None
    first, end = (
        _FIRST_ROW_OF_LATITUDE_BAND[latitude_band],
        _FIRST_ROW_OF_LATITUDE_BAND[[*_LATITUDE_BANDS, "end"][_LATITUDE_BANDS.index(latitude_band) + 1]],
    )
    letter = _ROW_LETTERS.index(row) - (0 if zone % 2 else _EVEN_ZONE_SHIFT)
    number = first + (letter - first) % len(_ROW_LETTERS)
    return (zone, number, _COLUMN_LETTERS[zone % 3].index(column)) if number < end else None


def square_from_id(id: str) -> tuple[int, int, int]:
    """Zone, row and column of a tile by its id of five characters.

    Raises:
        ValueError: No square has these letters.
    """
    place = square_from_letters(int(id[:2]), id[2], id[3], id[4])
    if place is None:
        raise ValueError(f"{id!r} is no tile")
    return place


@cache
def tile_id(zone: int, row: int, column: int) -> str:
    """The id of a square, such as 32TQM."""
    band = _LATITUDE_BAND_OF_ROW[row]
    letter = _ROW_LETTERS[(row + (0 if zone % 2 else _EVEN_ZONE_SHIFT)) % len(_ROW_LETTERS)]
    return f"{zone:02d}{band}{_COLUMN_LETTERS[zone % 3][column]}{letter}"


def utm_bounds(row: int, column: int) -> tuple[int, int, int, int]:
    """West, south, east, north in metres, the same in every zone."""
    west = (column + 1) * 100_000 // 60 * 60
    # Rounded relative to the equator, not to the false northing of the hemisphere.
    from_equator = -((SOUTHERN_ROWS - row - 1) * 100_000 // 60 * 60)
    north = from_equator + (0 if row >= SOUTHERN_ROWS else 10_000_000)
    return west, north - TILE_SIDE_M, west + TILE_SIDE_M, north


@cache
def existing_squares() -> list[tuple[int, int, int]]:
    """Zone, row and column of every tile, in the order of `tile_ids`."""
    return [
        (zone, row, column)
        for zone in range(1, 61)
        for row in range(ROWS_PER_ZONE)
        for column in range(COLUMNS_PER_ZONE)
        if exists(zone, row, column)
    ]
