"""Selection of the products of each pass over an AOI: level, version, parts, tiles and alternates.

An acquisition is what one platform saw of one tile in one datatake; a pass is all its acquisitions. The
products of an acquisition are chosen first, whatever their cloud cover, and judged afterwards:

1. Level: the level requested, otherwise L2A where there is one.
2. Version: the highest numbered baseline; interim baselines (N9999) come below all numbers. An older baseline
   is taken only where it covers more of the AOI by over `SAME_SHARE`. Baselines of one tile are never mixed.
3. Parts: products of that version which add area are kept together (datastrips of one datatake). Where one
   adds nothing it is a redelivery, and the newest is taken.
4. Tile: the one that covers most of the AOI; further tiles follow while they add area.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from revisit.domain.footprint import product_footprint
from revisit.domain.product import Level, Product
from revisit.domain.product_name import package_name
from revisit.geo.mgrs_tile import Tile

SAME_SHARE = 0.01
"""Shares of the AOI that differ by less are taken as equal: footprints are drawn by their corners."""
MIN_ADDED = 0.005
"""Smallest share of the AOI that a product must add within a tile that is already seen."""
MIN_BEYOND = 1e-6
"""Smallest share of the AOI that a product must add beyond the tiles that are already seen."""
SAME_BOUNDS_DEGREES = 0.005
"""Bounds that differ by less are taken as equal."""
MAX_PASS_PIXELS = 6_000**2
"""Most pixels of the rectangle around an AOI that one job takes from several tiles: all bands of so many fit
into the memory of one function."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEGREE_M = 111_320
"""Length of a degree of the equator."""


@dataclass(frozen=True, slots=True)
class PassSelection:
    """The products of one pass, or of one acquisition where tiles are kept apart."""

    pass_id: str
    """Id of the pass; empty where tiles are kept apart."""
    product: Product
    """Of the tile that covers most of the AOI; it decides the grid."""
    parts: tuple[Product, ...] = ()
    """Products that add area, in the order to read: those of the same acquisition, then other tiles."""
    alternates: tuple[Product, ...] = ()
    """The same products as other sources have them."""
    coverage: float = 0.0
    """Share of the AOI inside the footprints of all products, 0 to 1."""
    tiles: tuple[str, ...] = ()
    """All tiles of the pass over the AOI, with those that no product is taken of, sorted."""

    @property
    def products(self) -> tuple[Product, ...]:
        """`product` and its `parts`."""
        return (self.product, *self.parts)

    @property
    def observed(self) -> str:
        """Id of the pass, or of the acquisition where tiles are kept apart."""
        return self.pass_id or self.product.acquisition


def select_passes(
    products: Iterable[Product], aoi_shape: Any, level: Level | None = None, per_tile: bool = False
) -> list[PassSelection]:
    """The products of each pass over an AOI, by sensing time.

    Args:
        products: All known products over the AOI, of any passes, levels, baselines and sources.
        aoi_shape: Shapely geometry in lon/lat degrees with an area, split at the antimeridian.
        level: The only level to select; None prefers L2A and takes L1C where a pass has no L2A.
        per_tile: Whether each acquisition is selected for itself.
    """
    area, passes = _Area(aoi_shape), dict[str, dict[str, list[Product]]]()
    for product in products:
        if level is None or product.level == level:
            acquisitions = passes.setdefault(product.pass_id, {})
            acquisitions.setdefault(product.acquisition, []).append(product)
    selections: list[PassSelection] = []
    for pass_id, acquisitions in passes.items():
        seen = [area.choose(known) for known in acquisitions.values()]
        if per_tile:
            selections += [_selection(area, "", one, [], seen) for one in seen]
            continue
        main = _choose_main(area, seen)
        others = [
            one if one.level == main.level else area.choose(known, main.level)
            for one, known in zip(seen, acquisitions.values(), strict=True)
            if one is not main and any(product.level == main.level for product in known)
        ]
        selections.append(_selection(area, pass_id, main, others, seen))
    return sorted(selections, key=lambda selected: (selected.product.sensing_time, selected.product.id))


def keeps_tiles_apart(aoi_shape: Any, tiles: Iterable[str], resolution_m: float | None = None) -> bool:
    """Whether an AOI is too large for one job a pass, so that each of its tiles gets a job.

    An AOI within one tile never is.

    Args:
        aoi_shape: Shapely geometry in lon/lat degrees, split at the antimeridian.
        tiles: All tiles that the AOI touches.
        resolution_m: Pixel size of the result; None counts pixels of 10 m.
    """
    import shapely

    pixel_m = resolution_m or 10.0
    parts = shapely.bounds(shapely.get_parts(aoi_shape))
    if parts[:, 2].max() - parts[:, 0].min() > 180:
        parts[parts[:, 2] <= 0, ::2] += 360
    (west, south), (east, north) = parts[:, :2].min(axis=0).tolist(), parts[:, 2:].max(axis=0).tolist()
    nearest = 0.0 if south < 0 < north else min(abs(south), abs(north))
    width_m, height_m = (
        (east - west) * _DEGREE_M * math.cos(math.radians(nearest)),
        (north - south) * _DEGREE_M,
    )
    if width_m * height_m <= MAX_PASS_PIXELS * pixel_m**2:
        return False
    return not any(Tile.parse(tile).footprint.covers(aoi_shape) for tile in tiles)


def select_best_products(products: Iterable[Product]) -> list[Product]:
    """The best products of each acquisition, whatever the area: one of each, or several parts of its tile."""
    acquisitions = dict[str, list[Product]]()
    for product in products:
        acquisitions.setdefault(product.acquisition, []).append(product)
    return [
        product
        for known in acquisitions.values()
        for product in (known if len(known) == 1 else _choose_of_tile(known))
    ]


def _choose_of_tile(known: Sequence[Product]) -> list[Product]:
    best = max(known, key=lambda product: (product.rank, product.source))
    rivals = [
        one
        for one in known
        if one.level == best.level and bool(one.baseline_number) >= bool(best.baseline_number)
    ]
    copies = [one for one in rivals if one.id == best.id and one.baseline == best.baseline]
    granules = [one for one in rivals if one.id != best.id and package_name(one.id) == package_name(best.id)]
    if not granules and all(_has_same_bounds(one, best) for one in rivals):  # No geometry is needed.
        return [min(copies, key=_source_order)]
    chosen = _Area(Tile.parse(best.tile).footprint).choose(known).chosen
    return [one.product for one in chosen]


@dataclass(slots=True, eq=False)
class _Seen:
    """A product and what it shows of the AOI."""

    product: Product
    shape: Any
    """Its footprint inside its tile and the AOI."""
    share: float
    """Of the AOI, 0 to 1."""


@dataclass(slots=True, eq=False)
class _Acquisition:
    """The products of the best version of an acquisition."""

    tile: str
    level: Level
    chosen: list[_Seen]
    """Those that are read, in order; never empty."""
    rest: list[_Seen]
    """Those that add nothing to them."""
    covered: Any
    """What the chosen products show together."""
    share: float
    """Of the AOI that they show together, 0 to 1."""


class _Area:
    """An AOI, with its pieces inside tiles."""

    def __init__(self, shape: Any) -> None:
        self.shape, self.size = shape, shape.area
        self._pieces: dict[str, Any] = {}

    def share(self, shape: Any) -> float:
        """Share of the AOI that a part of it has, 0 to 1."""
        return min(float(shape.area / self.size), 1.0) if self.size else 0.0

    def piece(self, tile: str) -> Any:
        """The AOI inside the square of a tile."""
        if tile not in self._pieces:
            square = Tile.parse(tile).footprint
            self._pieces[tile] = (
                self.shape if square.covers(self.shape) else _polygons(square.intersection(self.shape))
            )
        return self._pieces[tile]

    def look(self, product: Product) -> _Seen:
        """What a product shows of the AOI."""
        footprint, piece = product_footprint(product), self.piece(product.tile)
        shape = piece if footprint.covers(piece) else _polygons(footprint.intersection(piece))
        return _Seen(product, shape, self.share(shape))

    def choose(self, known: Sequence[Product], level: Level | None = None) -> _Acquisition:
        """The best version of the products of one acquisition, of one level where it is given."""
        level = level or max(product.level for product in known)
        versions = dict[tuple[int, str], list[_Seen]]()
        for product in known:
            if product.level == level:
                number = product.baseline_number
                label = "" if number else product.baseline or ""
                versions.setdefault((number, label), []).append(self.look(product))
        if any(number for number, _ in versions):
            versions = {key: seen for key, seen in versions.items() if key[0]}
        ordered = sorted(
            versions.items(), key=lambda item: (item[0][0], max(map(_newest, item[1]))), reverse=True
        )
        candidates = [self._complete_version(level, seen) for _, seen in ordered]
        most = max(candidate.share for candidate in candidates)
        return next(candidate for candidate in candidates if candidate.share >= most - SAME_SHARE)

    def _complete_version(self, level: Level, seen: list[_Seen]) -> _Acquisition:
        """The parts of one version, without redeliveries and copies in other sources."""
        if len(seen) == 1:
            return _Acquisition(seen[0].product.tile, level, seen, [], seen[0].shape, seen[0].share)
        by_id: dict[str, _Seen] = {}
        for one in sorted(seen, key=lambda one: _source_order(one.product)):
            by_id.setdefault(one.product.id, one)
        tile, chosen = seen[0].product.tile, list[_Seen]()
        newest_first = sorted(by_id.values(), key=_newest, reverse=True)
        place = {one.product.id: number for number, one in enumerate(newest_first)}
        covered = self.add(chosen, newest_first, _union([]), lambda one: (place[one.product.id],))
        if not chosen:  # It touches the AOI only.
            chosen.append(newest_first[0])
        for one in newest_first:
            if (
                one not in chosen
                and one.share
                and (_may_be_part(one.product, chosen) or _is_same_package(one.product, chosen))
            ):
                chosen.append(one)
        rest = [one for one in seen if all(one is not kept for kept in chosen)]
        return _Acquisition(tile, level, chosen, rest, covered, self.share(covered))

    def add(
        self,
        chosen: list[_Seen],
        candidates: Iterable[_Seen],
        covered: Any,
        preference: Callable[[_Seen], tuple[int | str, ...]],
    ) -> Any:
        """Add the candidates that show more of the AOI to the chosen ones, those that add most first.

        Args:
            chosen: Extended in place.
            covered: What the chosen ones show.
            preference: Sorts candidates that add equal shares.

        Returns:
            What all chosen ones show.
        """
        left = list(candidates)
        while left and self.share(covered) < 1 - MIN_BEYOND:
            squares = _union([self.piece(tile) for tile in {one.product.tile for one in chosen}])
            added = [(self._added(one, covered, squares), one) for one in left]
            left = [one for share, one in added if share]
            most = max((share for share, _ in added), default=0.0)
            if not most:
                break
            pick = min((one for share, one in added if share and share >= most - SAME_SHARE), key=preference)
            left.remove(pick)
            chosen.append(pick)
            covered = pick.shape if covered.is_empty else _union([covered, pick.shape])
        return covered

    def _added(self, one: _Seen, covered: Any, squares: Any) -> float:
        """Share of the AOI that a product adds, 0 where that may be an inexact footprint."""
        if covered.is_empty:
            return one.share
        open_part = _polygons(one.shape.difference(covered))
        added = self.share(open_part)
        beyond = self.share(_polygons(open_part.difference(squares))) if added else 0.0
        return added if beyond > MIN_BEYOND or added - beyond > MIN_ADDED else 0.0


def _choose_main(area: _Area, seen: Sequence[_Acquisition]) -> _Acquisition:
    """The acquisition of the tile that covers most.

    Of equal shares an L2A is taken first, then a numbered baseline, the tile that holds most of the AOI, and
    the lowest tile id: the grid is then the same in every pass.
    """
    most = max(one.share for one in seen)
    return min(
        (one for one in seen if one.share >= most - SAME_SHARE),
        key=lambda one: (
            one.level != "L2A",
            one.chosen[0].product.baseline_number == 0,
            -round(area.share(area.piece(one.tile)), 6),
            one.tile,
        ),
    )


def _selection(
    area: _Area,
    pass_id: str,
    main: _Acquisition,
    others: Sequence[_Acquisition],
    seen: Sequence[_Acquisition],
) -> PassSelection:
    chosen, zone = list(main.chosen), main.tile[:2]
    candidates = [one for other in others for one in other.chosen]
    order = {id(one): number for number, one in enumerate(candidates)}
    covered = area.add(
        chosen,
        candidates,
        main.covered,
        lambda one: (one.product.tile[:2] != zone, one.product.tile, order[id(one)]),
    )
    used = {one.product.tile for one in chosen}
    alternates = [other for one in (main, *others) if one.tile in used for other in _alternates(one)]
    tiles = {main.tile} if not pass_id else {one.tile for one in seen}
    return PassSelection(
        pass_id,
        chosen[0].product,
        tuple(one.product for one in chosen[1:]),
        tuple(alternates),
        area.share(covered),
        tuple(sorted(tiles)),
    )


def _alternates(acquisition: _Acquisition) -> list[Product]:
    """The products of an acquisition as other sources have them, those with the same id first."""
    ids = {one.product.id for one in acquisition.chosen}
    sources = {one.product.source for one in acquisition.chosen}
    least = min(one.share for one in acquisition.chosen) - SAME_SHARE
    found = [
        one.product
        for one in acquisition.rest
        if one.product.id in ids or (one.product.source not in sources and one.share >= least)
    ]
    return sorted(found, key=lambda product: (product.id not in ids, product.source, product.id))


def _may_be_part(product: Product, chosen: Sequence[_Seen]) -> bool:
    """Whether a product may show what the chosen ones do not: bounds are known only, and differ."""
    return all(
        (product.footprint is None or one.product.footprint is None)
        and not _has_same_bounds(product, one.product)
        for one in chosen
    )


def _is_same_package(product: Product, chosen: Sequence[_Seen]) -> bool:
    """Whether a product is a further granule of the tile in an old package, whose footprint is not known."""
    return any(
        product.id != one.product.id
        and product.source == one.product.source
        and package_name(product.id) == package_name(one.product.id)
        for one in chosen
    )


def _has_same_bounds(one: Product, other: Product) -> bool:
    sides = ("west", "south", "east", "north")
    return all(abs(getattr(one, side) - getattr(other, side)) <= SAME_BOUNDS_DEGREES for side in sides)


def _source_order(product: Product) -> tuple[bool, str, float]:
    """Sort key of copies of one product: those with a footprint first, then by source, then the newest."""
    return product.footprint is None, product.source, -(product.published or _EPOCH).timestamp()


def _newest(one: _Seen) -> tuple[datetime, str]:
    return (one.product.published or _EPOCH, one.product.id)


def _union(shapes: Sequence[Any]) -> Any:
    import shapely

    return _polygons(shapes[0] if len(shapes) == 1 else shapely.union_all(shapes))


def _polygons(shape: Any) -> Any:
    """The polygons of a geometry; touching neighbours share lines and points too."""
    import shapely

    if shape.geom_type != "GeometryCollection":
        return shape if shape.geom_type in ("Polygon", "MultiPolygon") else shapely.Polygon()
    return shapely.union_all([part for part in shapely.get_parts(shape) if shapely.get_dimensions(part) == 2])
