"""Which AOIs a product touches: by tile first, then exactly by the footprint of its valid pixels.

AOIs are found through the tiles they may lie under. A footprint that holds the whole core of its tile matches every AOI that
reaches into the core without a test; geometry is only compared where a footprint is cut, and along the tile's rim.
"""

from array import array
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from revisit.aoi import AOI
from revisit.polygon_store import PER_DEGREE, PolygonStore
from revisit.product import Product
from revisit.tile import Tile, outline, outlines, tile_ids

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from shapely import STRtree

_RIM = 1.4
"""Width of the rim as `outlines` measures it: a footprint drawn by its corners leaves the square by 1."""
_IN_CORE = 1 << 31
"""Set on the slots of AOIs that reach into a tile's core."""


def footprint(product: Product) -> Any:
    """Where a product has valid pixels: a shapely geometry in lon/lat degrees, split at the antimeridian.

    The footprint its source states, or else its bounds within the tile. What lies beyond the tile's rim is cut off (old
    packages state that of many tiles together); a footprint that misses its own tile says nothing, and the tile is taken.
    """
    import shapely
    from shapely.geometry import shape

    if product.footprint is not None:
        stated = _mended(shape(product.footprint))
        if shapely.contains_xy(_hull(product.tile), shapely.get_coordinates(stated)).all():
            return stated
    else:
        boxes = [(product.west, product.east)] if product.west <= product.east else [(product.west, 180.0), (-180.0, product.east)]
        stated = shapely.union_all([shapely.box(west, product.south, east, product.north) for west, east in boxes])
    tile = Tile.parse(product.tile).footprint
    within = shapely.intersection(stated, tile)
    return tile if within.area == 0 else within


def touching(product: Product, aois: dict[str, AOI]) -> list[str]:
    """Ids of those AOIs that a product's footprint touches, sorted."""
    import shapely

    seen = footprint(product)
    shapely.prepare(seen)
    return sorted(id for id, aoi in aois.items() if seen.intersects(aoi.shape))


class AoiIndex:
    """AOIs in memory, to be matched with products as they come."""

    def __init__(self) -> None:
        self._store = PolygonStore()
        self._ids: list[str] = []
        self._slots: dict[str, int] = {}
        self._under: dict[int, array[int]] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, id: str, aoi: AOI) -> None:
        """Match this AOI from now on; one that had the id before is replaced."""
        import numpy as np

        shapes = np.empty(1, dtype=object)
        shapes[0] = aoi.shape
        self.add_all([id], shapes)

    def add_all(self, ids: Sequence[str], shapes: "NDArray[np.object_]") -> None:
        """Add many at once, ids all different: shapely geometries as `AOI` normalises them."""
        import numpy as np
        import shapely

        for id in ids:
            if id in self._slots:
                self.remove(id)
        slots = self._store.put(shapes)
        for id, slot in zip(ids, slots.tolist(), strict=True):
            if slot == len(self._ids):
                self._ids.append(id)
            else:
                self._ids[slot] = id
            self._slots[id] = slot
        shapes = self._store.shapes(slots)
        which, numbers = _tiles_near(shapes)
        cores = shapely.intersects(shapes[which], _cores()[numbers])
        entries = slots[which].astype(np.uint32) | np.where(cores, np.uint32(_IN_CORE), np.uint32(0))
        order = np.argsort(numbers, kind="stable")
        firsts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
        for number, group in zip(numbers[order][firsts].tolist(), np.split(entries[order], firsts[1:]), strict=False):
            self._under.setdefault(number, array("I")).frombytes(group.tobytes())

    def remove(self, id: str) -> None:
        """Match this AOI no more; unknown ids are let be."""
        import numpy as np

        slot = self._slots.pop(id, None)
        if slot is None:
            return
        for number in _tiles_near(self._store.shapes(np.array([slot])))[1].tolist():
            entries = self._under[number]
            at = int(np.flatnonzero(_slots_of(entries) == slot)[0])
            entries[at] = entries[-1]
            entries.pop()
        self._store.drop(slot)
        self._ids[slot] = ""

    def matches(self, product: Product) -> list[str]:
        """Ids of the AOIs that a product touches, sorted: those that `touching` would find among all."""
        return self.many([product])[0]

    def many(self, products: Sequence[Product]) -> list[list[str]]:
        """`matches` of each."""
        import numpy as np

        seen = np.empty(len(products), dtype=object)
        seen[:] = [footprint(product) for product in products]
        which, slots = self.pairs([product.tile for product in products], seen)
        found: list[list[str]] = [[] for _ in products]
        for at, slot in zip(which.tolist(), slots.tolist(), strict=True):
            found[at].append(self._ids[slot])
        return [sorted(ids) for ids in found]

    def pairs(self, tiles: Sequence[str], seen: "NDArray[np.object_]") -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
        """Which footprint touches which AOI.

        Args:
            tiles: The tile of each footprint.
            seen: Shapely geometries as `footprint` gives them.

        Returns:
            Indices of footprints and slots of AOIs, in pairs, in no order; `id_of` names the slots.
        """
        import numpy as np
        import shapely

        numbers = [_number(tile) for tile in tiles]
        empty = array("I")
        under = [self._under.get(number, empty) for number in numbers]
        counts = np.array([len(entries) for entries in under])
        if not counts.any():
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        which = np.repeat(np.arange(len(seen)), counts)
        entries = np.concatenate([np.frombuffer(each, np.uint32) for each in under if len(each)])
        shapely.prepare(seen)
        cores = _cores()[numbers]
        whole = shapely.area(seen) >= shapely.area(cores)
        whole[whole] = shapely.contains_properly(seen[whole], cores[whole])
        sure = whole[which] & (entries >= _IN_CORE)
        slots = (entries & (_IN_CORE - 1)).astype(np.int64)
        rest = np.flatnonzero(~sure)
        rest = rest[self._touch(seen, which[rest], slots[rest])]
        return np.concatenate([which[sure], which[rest]]), np.concatenate([slots[sure], slots[rest]])

    def id_of(self, slot: int) -> str:
        """The id of the AOI in a slot that `pairs` named."""
        return self._ids[slot]

    def _touch(self, seen: "NDArray[np.object_]", which: "NDArray[np.int64]", slots: "NDArray[np.int64]") -> "NDArray[np.bool_]":
        """Whether each pair of a prepared footprint and an AOI truly intersects."""
        import numpy as np
        import shapely

        boxes = self._store.boxes(slots)
        around = np.round(shapely.bounds(seen) * PER_DEGREE) + np.array([-1, -1, 1, 1])
        west, south, east, north = around[which].T
        touch: NDArray[np.bool_] = (boxes[:, 0] <= east) & (boxes[:, 2] >= west) & (boxes[:, 1] <= north) & (boxes[:, 3] >= south)
        near = np.flatnonzero(touch)
        points = self._store.first_vertices(slots[near])
        held = shapely.contains_xy(seen[which[near]], points[:, 0], points[:, 1])
        open_ = near[~held]
        touch[open_] = shapely.intersects(seen[which[open_]], self._store.shapes(slots[open_]))
        return touch


def _slots_of(entries: "array[int]") -> "NDArray[np.uint32]":
    import numpy as np

    return np.frombuffer(entries, np.uint32) & np.uint32(_IN_CORE - 1)


def _mended(shape: Any) -> Any:
    """A footprint as a catalogue states it, made sound: over the antimeridian, crossing itself."""
    import shapely

    from revisit.polygon import mended

    if shape.geom_type not in ("Polygon", "MultiPolygon"):
        return shapely.convex_hull(shape)
    at = shapely.get_coordinates(shape)
    if shape.is_valid and (abs(at[1:, 0] - at[:-1, 0]) <= 180).all():
        return shape
    rings = [[list(part.exterior.coords), *(list(hole.coords) for hole in part.interiors)] for part in shapely.get_parts(shape)]
    return shapely.union_all([mended([[(lon, lat) for lon, lat, *_ in ring] for ring in polygon]) for polygon in rings])


@cache
def _numbers() -> dict[str, int]:
    """The index in `tile_ids` of each tile."""
    return {id: number for number, id in enumerate(tile_ids())}


def _number(tile: str) -> int:
    try:
        return _numbers()[tile]
    except KeyError:
        return _numbers()[Tile.parse(tile).id]  # says what is wrong with it


@cache
def _hulls() -> "tuple[NDArray[np.object_], NDArray[np.int64], STRtree]":
    """Convex outlines around all tiles and their rims, the tile each is of, and a tree of them."""
    import shapely

    rings, owners = outlines(_RIM)
    hulls = shapely.convex_hull(shapely.polygons(rings))
    return hulls, owners, shapely.STRtree(hulls)


@lru_cache(maxsize=4096)
def _hull(id: str) -> Any:
    """The outline around one tile; both sides where it lies over the antimeridian."""
    import shapely

    hull = shapely.union_all(shapely.convex_hull(shapely.polygons(outline(Tile.parse(id), _RIM))))
    shapely.prepare(hull)
    return hull


def _tiles_near(shapes: "NDArray[np.object_]") -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """Pairs of a geometry and a tile within whose rim it lies: indices of both."""
    import numpy as np

    _, owners, tree = _hulls()
    which, hit = tree.query(shapes, predicate="intersects")
    pairs = np.unique(np.stack([which, owners[hit]]), axis=1)
    return pairs[0], pairs[1]


@cache
def _cores() -> "NDArray[np.object_]":
    """The inner part of each tile, which every footprint of a whole tile holds."""
    import shapely

    rings, owners = outlines(-_RIM)
    cores: NDArray[np.object_] = shapely.polygons(rings[:len(tile_ids())])
    # Over the antimeridian there is no core: its tiles are few, and compared exactly.
    cores[owners[len(tile_ids()):]] = shapely.Polygon()
    return cores
