"""Products against AOIs: ours beside shapely's STRtree, the same pairs asked of both.

    .venv/bin/python -m bench.matching [--quick] [--aois N] [--alone]

AOIs are octagons of 1 to 20 km over land tiles; 40 % of the footprints are cut by the swath's edge. `--alone`
leaves the tree
out, for sizes that GEOS objects have no room for (0.8 kB an AOI).
"""

import ctypes
import gc
import time

import numpy as np
import shapely
from shapely.geometry import mapping, shape

from bench.common import arguments, figure, rounds, table
from revisit.domain.aoi import AOI
from revisit.domain.clock import parse_instant
from revisit.domain.matching import AoiIndex
from revisit.domain.product import Product
from revisit.geo.mgrs_tile import Tile, tile_ids

PRODUCTS = 15_000
CHUNK = 100_000
TRIES = 5


def resident_mb() -> float:
    """Memory in use by this process, without what its allocator keeps for later."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def land_tile_corners() -> tuple[list[str], np.ndarray]:
    """Ids of land tiles away from the antimeridian, and their corners in lon/lat: south-west first,
    counter-clockwise."""
    ids, corners = [], []
    for id in tile_ids():
        tile = Tile.parse(id)
        if tile.land and tile.footprint.geom_type == "Polygon":
            ring = shapely.get_coordinates(tile.footprint)[:-1]
            ids.append(id)
            corners.append(ring[:: len(ring) // 4])
    return ids, np.array(corners)


def random_octagons(count: int, corners: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """AOIs as `AOI` would round them."""
    of = chance.integers(0, len(corners), count)
    u, v = chance.random((2, count, 1))
    south, north = (corners[of, a] + (corners[of, b] - corners[of, a]) * u for a, b in ((0, 1), (3, 2)))
    centre = south + (north - south) * v
    reach = chance.uniform(0.5, 10, (count, 1)) / 111 * chance.uniform(0.6, 1, (count, 8))
    turn = np.arange(8) * np.pi / 4
    lon = centre[:, :1] + reach * np.cos(turn) / np.cos(np.radians(centre[:, 1:]))
    lat = centre[:, 1:] + reach * np.sin(turn)
    return shapely.polygons(np.round(np.stack([lon, lat], axis=-1), 7))


def random_footprints(
    count: int, corners: np.ndarray, chance: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Which tile each product is of, and the corners of its valid pixels."""
    of = chance.integers(0, len(corners), count)
    drawn = corners[of].copy()
    cut = chance.random(count) < 0.4
    for east, west in ((1, 0), (2, 3)):
        kept = chance.uniform(0.2, 0.9, (count, 1))
        drawn[cut, east] = (drawn[:, west] + (drawn[:, east] - drawn[:, west]) * kept)[cut]
    return of, shapely.polygons(drawn)


def quantiles(seconds: list[float]) -> tuple[float, float]:
    """Median and 99th percentile, ms."""
    return float(np.median(seconds) * 1e3), float(np.quantile(seconds, 0.99) * 1e3)


def time_calls(calls: list, best_of: int = 1) -> list[float]:
    """Seconds of each call, the best of some, all calls going before any is repeated so that none finds its
    memory warm.

    Other processes share the machine; what a call waits for them is not its own. Of calls that cannot be
    repeated, the
    seconds that this thread was at work.
    """
    clock = time.perf_counter if best_of > 1 else time.thread_time
    seconds = [float("inf")] * len(calls)
    for _ in range(best_of):
        for at, call in enumerate(calls):
            begun = clock()
            call()
            seconds[at] = min(seconds[at], clock() - begun)
    return seconds


def main() -> None:
    options = arguments(__doc__, aois={"type": float, "default": 0}, alone={"action": "store_true"})
    count = int(options.aois) or (100_000 if options.quick else 1_000_000)
    ids, corners = land_tile_corners()
    chance = np.random.default_rng(20)
    of, seen = random_footprints(PRODUCTS, corners, chance)
    tiles = [ids[at] for at in of]
    index = AoiIndex()
    index.add_all(["warm"], random_octagons(1, corners, chance))
    index.remove("warm")
    before, begun, shapes = resident_mb(), 0.0, []
    for first in range(0, count, CHUNK):
        some = random_octagons(min(CHUNK, count - first), corners, chance)
        start = time.perf_counter()
        index.add_all([f"sub_{number:030x}" for number in range(first, first + len(some))], some)
        begun += time.perf_counter() - start
        if not options.alone:
            shapes.append(some)
        del some
    megabytes = resident_mb() - before
    if not options.alone:
        every = np.concatenate(shapes)
        del shapes
        held = resident_mb()
        start = time.perf_counter()
        tree = shapely.STRtree(every)
        print(
            f"{count:,} AOIs, {PRODUCTS:,} products; tree built in {time.perf_counter() - start:.2f} s, index in {begun:.2f} s, "
            f"process {held:.0f} MB"
        )
    else:
        print(
            f"{count:,} AOIs: index built in {begun:.2f} s, {megabytes:.0f} MB, {megabytes * 1e6 / count:.0f} bytes an AOI"
        )
        figure(
            "matching memory",
            f"{megabytes / 1024:.2f} GiB at {count:.0e} AOIs",
            "3 GiB at 1e7",
            megabytes / 1024 <= 3 * count / 1e7,
        )

    def ours() -> tuple[np.ndarray, np.ndarray]:
        shapely.destroy_prepared(seen)
        return index.match_pairs(tiles, seen)

    if not options.alone:

        def peer() -> tuple[np.ndarray, np.ndarray]:
            shapely.destroy_prepared(seen)
            return tuple(tree.query(seen, predicate="intersects"))

        found, wanted = ours(), peer()
        number = np.array([int(index.id_of(slot)[4:] or "0", 16) for slot in range(count + 1)])
        same = np.array_equal(
            np.sort(found[0] * count + number[found[1]]), np.sort(wanted[0] * count + wanted[1])
        )
        print(f"pairs: {len(found[0]):,} and {len(wanted[0]):,}, {'equal' if same else 'DIFFERENT'}")
        ratios = table(
            rounds(
                {"shapely STRtree.query(intersects)": peer, "AoiIndex.pairs": ours}, 3 if options.quick else 5
            )
        )
        faster = 1 / ratios["AoiIndex.pairs"]
        goal = 2.5 if count >= 1_000_000 else 1
        figure(
            "matching batch",
            f"{faster:.2f} x STRtree at {count:.0e} AOIs, pairs {'equal' if same else 'different'}",
            f">= {goal} x, equal; 2.5 x at 1e6",
            same and faster >= goal,
        )

    some = range(min(1000, PRODUCTS))
    products = [
        Product(
            f"p{at}",
            "bench",
            "L2A",
            "S2A",
            tiles[at],
            parse_instant("2024-06-01"),
            "20240601T000000",
            *seen[at].bounds,
            footprint=mapping(seen[at]),
        )
        for at in some
    ]
    index.match_many(products)
    one = time_calls([lambda each=each: index.match(each) for each in products], TRIES)
    bare = time_calls([lambda at=at: index.match_pairs([tiles[at]], seen[at : at + 1]) for at in some], TRIES)
    print(f"  one event, GeoJSON in, ids out     p50 {quantiles(one)[0]:.3f}  p99 {quantiles(one)[1]:.3f} ms")
    print(
        f"  AoiIndex.pairs of one footprint    p50 {quantiles(bare)[0]:.3f}  p99 {quantiles(bare)[1]:.3f} ms"
    )
    if not options.alone:
        shapely.destroy_prepared(seen)
        peers = time_calls([lambda at=at: tree.query(seen[at], predicate="intersects") for at in some], TRIES)
        parsed = time_calls(
            [
                lambda each=each: [
                    f"{at}" for at in sorted(tree.query(shape(each.footprint), predicate="intersects"))
                ]
                for each in products
            ],
            TRIES,
        )
        print(
            f"  STRtree.query of one footprint     p50 {quantiles(peers)[0]:.3f}  p99 {quantiles(peers)[1]:.3f} ms"
        )
        print(
            f"  STRtree, GeoJSON in, names out     p50 {quantiles(parsed)[0]:.3f}  p99 {quantiles(parsed)[1]:.3f} ms"
        )
        ratio = quantiles(one)[1] / quantiles(peers)[1]
        figure(
            "matching one event",
            f"p99 {quantiles(one)[1]:.3f} ms, {ratio:.2f} x bare STRtree",
            "<= 1 ms; <= 2 x at 1e6",
            quantiles(one)[1] <= 1 and (ratio <= 2 or count < 1_000_000),
        )

    fresh = [AOI.from_normalized(mapping(each)) for each in random_octagons(1000, corners, chance)]
    added = time_calls(
        [
            lambda number=number, each=each: index.add(f"new {number}", each)
            for number, each in enumerate(fresh)
        ]
    )
    removed = time_calls(
        [lambda number=number: index.remove(f"new {number}") for number in range(0, 1000, 2)]
    )
    again = time_calls(
        [lambda number=number: index.add(f"new {number}", fresh[number]) for number in range(0, 1000, 2)]
    )
    slowest = max(quantiles(part)[1] for part in (added, removed, again))
    print(
        f"  add p50 {quantiles(added)[0]:.3f} p99 {quantiles(added)[1]:.3f}, remove p50 {quantiles(removed)[0]:.3f} "
        f"p99 {quantiles(removed)[1]:.3f}, add again p50 {quantiles(again)[0]:.3f} p99 {quantiles(again)[1]:.3f} ms"
    )
    figure("matching add or remove", f"p99 {slowest:.3f} ms at {count:.0e} AOIs", "<= 1 ms", slowest <= 1)


if __name__ == "__main__":
    main()
