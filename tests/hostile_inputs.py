"""Malicious request bodies of at most 1 MB, each made for its target."""

import gzip
import json
import math
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

MAX_BYTES = 1_000_000
"""Bytes that are read at all."""

type Ring = list[list[float]]


# -------------------------------------------------------------------------------------------------
# bytes


def malformed_bodies() -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Name, body and headers of what is no good body anywhere."""
    deep = MAX_BYTES // 2
    yield from (
        (name, body, {})
        for name, body in {
            "nothing": b"",
            "blanks": b" " * MAX_BYTES,
            "opening brackets": b"[" * MAX_BYTES,
            "lists in lists": b"[" * deep + b"]" * deep,
            "objects in objects": b'{"a":' * (MAX_BYTES // 6) + b"1" + b"}" * (MAX_BYTES // 6),
            "one text": b'"' + b"x" * (MAX_BYTES - 2) + b'"',
            "escapes": b'"' + b"\\u0041" * ((MAX_BYTES - 2) // 6) + b'"',
            "half a surrogate": b'{"name": "\\ud800"}',
            "one number": b"9" * MAX_BYTES,
            "a fraction": b"0." + b"1" * (MAX_BYTES - 2),
            "an exponent": b"1e" + b"9" * (MAX_BYTES - 2),
            "a text that never ends": b'"' + b"x" * (MAX_BYTES - 1),
            "not UTF-8": b"\xff" * MAX_BYTES,
            "overlong UTF-8": b'{"name": "' + b"\xc0\xaf" * 400_000 + b'"}',
            "UTF-16": json.dumps({"name": "x" * 200_000}).encode("utf-16"),
            "a byte order mark": b"\xef\xbb\xbf{}",
            "zeroes": b"\x00" * MAX_BYTES,
            "many members": json.dumps({f"k{at}": at for at in range(50_000)}).encode(),
            "one member many times": b"{" + b'"name":1,' * 110_000 + b'"name":1}',
            "a comment": b"{/*" + b"*" * (MAX_BYTES - 10) + b"*/}",
        }.items()
    )
    yield "packed", gzip.compress(b" " * 100 * MAX_BYTES)[:MAX_BYTES], {"Content-Encoding": "gzip"}
    yield (
        "said to be a form",
        b"a=" + b"1" * (MAX_BYTES - 2),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    yield (
        "said to be parts",
        b"--x\r\n" * (MAX_BYTES // 5),
        {"Content-Type": "multipart/form-data; boundary=x"},
    )


# -------------------------------------------------------------------------------------------------
# shapes


def _star(lon: float, lat: float, count: int, radius: Callable[[int], float]) -> Ring:
    ring = [
        [
            lon + radius(at) * math.cos(2 * math.pi * at / count),
            lat + radius(at) * math.sin(2 * math.pi * at / count),
        ]
        for at in range(count)
    ]
    return [*ring, ring[0]]


def _random_ring(count: int, seed: int, size: float = 0.5) -> Ring:
    chance = random.Random(seed)
    ring = [[9 + size * chance.random(), 45 + size * chance.random()] for _ in range(count)]
    return [*ring, ring[0]]


def _zigzag(count: int, step: float = 1e-4) -> Ring:
    """Valid: up and down with hardly a gap."""
    there = [[9 + step * at, 45 + 0.5 * (at % 2)] for at in range(count // 2)]
    back = [[lon + step / 4, lat + 1e-5] for lon, lat in reversed(there)]
    return [*there, *back, there[0]]


def _comb(teeth: int, west: float, south: float, width: float, height: float) -> Ring:
    step = width / teeth
    up = [
        at
        for k in range(teeth)
        for at in (
            [west + step * k, south + height / 100],
            [west + step * k, south + height],
            [west + step * (k + 0.5), south + height],
            [west + step * (k + 0.5), south + height / 100],
        )
    ]
    return [[west + width, south], [west, south], *up, [west + width, south]]


def _box(west: float, south: float, width: float, height: float) -> Ring:
    return [
        [west, south],
        [west + width, south],
        [west + width, south + height],
        [west, south + height],
        [west, south],
    ]


def _polygon(*rings: Ring) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def _multi_polygon(*rings: Ring) -> dict[str, Any]:
    return {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}


def _lines(count: int, length: int) -> dict[str, Any]:
    """Zigzags that all cross one another."""
    return {
        "type": "MultiLineString",
        "coordinates": [
            [[9 + 0.9 * (at % 2) + line / 1000, 45 + at / 50 + line / 977] for at in range(length)]
            for line in range(count)
        ],
    }


def _nested_collections(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = _polygon(_box(9, 45, 0.1, 0.1))
    for _ in range(depth):
        made = {"type": "GeometryCollection", "geometries": [made]}
    return made


def hostile_shapes() -> Iterator[tuple[str, Any]]:
    """Name and value of what may be sent as an AOI."""
    for count in (200, 500, 2000):
        yield f"a scattered ring of {count}", _polygon(_random_ring(count, count))
    yield "a small scattered ring", _polygon(_random_ring(200, 200, 1e-6))
    yield "a star", _polygon(_star(9, 45, 2000, lambda at: 0.1 if at % 2 else 0.4))
    yield "a star of tiles", _polygon(_star(9, 45, 2000, lambda at: 0.01 if at % 2 else 1.6))
    yield "a star of long rays", _polygon(_star(9, 10, 2000, lambda at: 1e-4 if at % 2 else 8))
    yield "a comb in the far north", _polygon(_comb(497, 9, 80, 20, 2))
    yield (
        "seventy lines across seventy",
        _polygon(
            [
                *(
                    at
                    for k in range(0, 70, 2)
                    for at in (
                        [9 + k / 100, 45],
                        [9 + k / 100, 45.9],
                        [9.01 + k / 100, 45.9],
                        [9.01 + k / 100, 45],
                    )
                ),
                *(
                    at
                    for k in range(0, 70, 2)
                    for at in (
                        [9.9, 45.1 + k / 100],
                        [9, 45.1 + k / 100],
                        [9, 45.11 + k / 100],
                        [9.9, 45.11 + k / 100],
                    )
                ),
            ]
        ),
    )
    yield "a zigzag", _polygon(_zigzag(2000))
    yield "a zigzag to repair", _polygon(_zigzag(500))
    yield (
        "a rose",
        _polygon(
            [
                [9 + 0.3 * math.cos(7 * at * math.pi / 200) * math.cos(at), 45 + 0.3 * math.cos(at * 1.7)]
                for at in range(200)
            ]
        ),
    )
    yield "many vertices", _polygon([[at % 10, at % 7] for at in range(150_000)])
    yield (
        "many holes",
        _polygon(_box(9, 45, 0.9, 0.9), *(_box(9.01 + at / 1e5, 45.01, 1e-6, 1e-6) for at in range(7_000))),
    )
    yield "ten scattered holes", _polygon(_box(9, 45, 0.9, 0.9), *(_random_ring(180, at) for at in range(10)))
    yield (
        "fifty parts that overlap",
        _multi_polygon(*(_star(9 + at / 1000, 45, 39, lambda at: 0.3) for at in range(50))),
    )
    yield "fifty scattered parts", _multi_polygon(*(_random_ring(39, at) for at in range(50)))
    yield (
        "fifty scattered features",
        {
            "type": "FeatureCollection",
            "features": [
                {"type": "Feature", "properties": {}, "geometry": _polygon(_random_ring(39, at))}
                for at in range(50)
            ],
        },
    )
    yield (
        "forty zigzags across one another",
        {
            "type": "GeometryCollection",
            "geometries": [
                _polygon(
                    _zigzag(49, 1e-3) if at % 2 else [[lat - 36, lon + 36] for lon, lat in _zigzag(49, 1e-3)]
                )
                for at in range(40)
            ],
        },
    )
    yield "fifty lines", _lines(50, 40)
    yield (
        "a collection of fifty long lines",
        {
            "type": "GeometryCollection",
            "geometries": [
                {"type": "LineString", "coordinates": line} for line in _lines(50, 450)["coordinates"]
            ],
        },
    )
    yield "ten thousand parts", _multi_polygon(*(_box(9, 45, 0.1, 0.1) for _ in range(8_000)))
    yield (
        "many features",
        {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": None}] * 24_000},
    )
    yield (
        "many collections",
        {
            "type": "GeometryCollection",
            "geometries": [{"type": "GeometryCollection", "geometries": []}] * 17_000,
        },
    )
    yield "collections of collections", _nested_collections(400)
    yield "the world", _polygon(_box(-180, -90, 360, 180))
    yield "a hair around the world", _polygon(_box(-180, 45, 360, 1e-5))
    yield "a hair across the world", _polygon([[-179, -80], [179, 80], [179, 80.00001], [-179, -80]])
    yield "fifty hairs", _multi_polygon(*(_box(-170 + at, -70 + 3 * at, 200, 1e-6) for at in range(46)))
    yield "fifty meridians", _multi_polygon(*(_box(-170 + 6.8 * at, -75, 1e-6, 150) for at in range(50)))
    yield (
        "a ring around the pole",
        _polygon([[-180 + at * 0.18 + 0.09, 89.5 + 0.2 * math.sin(at)] for at in range(1999)]),
    )
    yield (
        "a comb around the world",
        _polygon(
            [[-180 + at * 0.18, 10 + 1e-4 * (at % 2)] for at in range(1999)] + [[179, 9.9999], [-180, 9.9999]]
        ),
    )
    yield (
        "over the antimeridian and back",
        _polygon([[179 if at % 2 else -179, -50 + at / 20] for at in range(1999)]),
    )
    yield (
        "over the antimeridian a hundred times",
        _polygon([[179.9 if at % 4 in (1, 2) else -179.9, at / 10] for at in range(198)] + [[179.9, 50]]),
    )
    yield "round the pole", _polygon([[-180 + at * 0.18, 89 + (at % 2) / 2] for at in range(1999)])
    yield (
        "round the pole many times",
        _polygon([[(at * 100) % 360 - 180, 60 + at / 100] for at in range(1999)]),
    )
    yield "huge numbers", _polygon([[1e308, 45], [9, 1e308], [-1e308, -1e308], [1e308, 45]])
    yield "numbers of many digits", _polygon([[int("9" * 4000), 45], [9, 45], [9, 46]])
    yield "tiny numbers", _polygon([[9 + at * 5e-324, 45 + at * 1e-300] for at in range(2000)])
    yield "points on a line", _polygon([[9 + at / 1e6, 45 + at / 1e6] for at in range(1999)])
    yield "one point", _polygon([[9, 45]] * 60_000)
    yield "positions of many numbers", _polygon([[9] * 300_000, [9, 46], [10, 46]])
    yield "texts for numbers", _polygon([["9" * 900_000, 45], [9, 46], [10, 46]])
    yield "a long type", {"type": "P" * 900_000, "coordinates": []}
    yield (
        "a long system of coordinates",
        {**_polygon(_box(9, 45, 0.1, 0.1)), "crs": {"properties": {"name": "urn:ogc:def:crs:" * 50_000}}},
    )
    yield "many members", {**_polygon(_box(9, 45, 0.1, 0.1)), **{f"k{at}": at for at in range(60_000)}}


# -------------------------------------------------------------------------------------------------
# values


def hostile_values(kinds: set[str]) -> Iterator[tuple[str, Any]]:
    """Name and value of what may be sent as a member that takes these kinds of JSON; of other kinds a few."""
    for kind, pool in (("string", TEXTS), ("number", NUMBERS), ("array", LISTS), ("object", OBJECTS)):
        fits = kind in kinds or (kind == "number" and "integer" in kinds)
        yield from list(pool().items())[: None if fits else 1]


def _texts() -> dict[str, Any]:
    return {
        "a long text": "x" * 900_000,
        "blanks": " " * 900_000,
        "marks": "\u0301" * 400_000,
        "astral characters": "\U0001f6f0" * 200_000,
        "zeroes": "\x00" * 150_000,
        "a number": "9" * 900_000,
        "a day": "2024-06-" + "0" * 900_000 + "1",
        "a year": "9" * 400_000 + "-01-01T00:00:00Z",
        "an instant": "2024-06-01T00:00:00." + "1" * 900_000 + "Z",
        "a URL of many parts": "https://" + "a." * 450_000 + "example",
        "a URL of many turns": "https://hooks.example.com/" + "../" * 250_000,
        "a URL of colons": "https://[" + ":" * 900_000 + "]/",
        "a path": "../" * 300_000,
        "a pattern": "(a+)+$" * 150_000,
        "sums": "1+" * 450_000 + "1",
        "ands": "a=1 AND " * 110_000 + "a=1",
        "minus signs": "eo:cloud_cover < " + "-" * 3_900 + "1",
        "a short sum": "eo:cloud_cover < " + "1+" * 1_900 + "1",
        "powers": "eo:cloud_cover < " + "1^" * 1_900 + "1",
        "short nots": "NOT " * 900 + "eo:cloud_cover < 1",
        "a short pattern": "id LIKE '" + "%a" * 1_900 + "%'",
        "nots": "NOT " * 220_000 + "a=1",
        "brackets": "(" * 450_000 + ")" * 450_000,
        "many tiles": ",".join(["32TNR"] * 150_000),
        "an interval": "2024-06-01/" * 80_000,
        "WKT": "POLYGON ((" + ", ".join(f"{9 + at / 1e6:.6f} 45" for at in range(50_000)) + "))",
        "WKT that does not begin": "POLYGON" + " " * 900_000 + "x",
        "brackets of WKT": "GEOMETRYCOLLECTION (" * 45_000,
        "GeoJSON": json.dumps(_polygon([[at % 10, at % 7] for at in range(90_000)])),
        "objects in objects": '{"type":' * 70_000,
    }


def _numbers() -> dict[str, Any]:
    return {
        "many digits": int("9" * 4000),
        "a large one": 1e308,
        "a negative one": -1e308,
        "a tiny one": 5e-324,
        "true": True,
        "null": None,
    }


def _lists() -> dict[str, Any]:
    return {
        "many texts": ["x"] * 220_000,
        "many different texts": [f"x{at}" for at in range(90_000)],
        "many indices": ["NDVI", "EVI", "ndvi"] * 40_000,
        "many bands": ["B04", "nir", "b8a"] * 45_000,
        "many URLs": [f"https://h{at}.example.com/" for at in range(28_000)],
        "one URL many times": ["https://hooks.example.com/x"] * 31_000,
        "three hundred URLs": [f"https://h{at}.example.com/" for at in range(300)],
        "three hundred indices": ["x" * 3000] * 300,
        "many long texts": ["x" * 8_000] * 110,
        "many products": [f"S2A_MSIL2A_20240601T101600_N0510_R065_T32TNR_{at:015d}" for at in range(15_000)],
        "five hundred products": [
            f"S2A_MSIL2A_20240601T101600_N0510_R065_T32TNR_{at:015d}" for at in range(500)
        ],
        "many numbers": [9.123] * 150_000,
        "lists in lists": _nested_lists(400),
        "many objects": [{}] * 300_000,
        "many to sort by": [{"field": f"properties.p{at}", "direction": "desc"} for at in range(14_000)],
    }


def _objects() -> dict[str, Any]:
    return {
        "many members": {f"k{at}": at for at in range(60_000)},
        "a filter of many parts": {
            "op": "and",
            "args": [{"op": "=", "args": [{"property": "platform"}, "x"]}] * 14_000,
        },
        "a filter within filters": _nested_filter(150),
        "a filter of one list": {
            "op": "in",
            "args": [{"property": "platform"}, [f"x{at}" for at in range(90_000)]],
        },
        "a filter of five stars": {
            "op": "or",
            "args": [
                _intersects_filter(_polygon(_star(9 + at / 50, 45, 390, lambda at: 0.1 if at % 2 else 0.4)))
                for at in range(5)
            ],
        },
        "a filter of fifty lines": _intersects_filter(_lines(50, 40)),
        "a filter of patterns": {
            "op": "and",
            "args": [{"op": "like", "args": [{"property": "id"}, "S2%_" * 450 + "%x"]}] * 50,
        },
        "a filter of one long pattern": {"op": "like", "args": [{"property": "id"}, "%S" * 45_000]},
        "many fields": {
            "include": [f"properties.p{at}" for at in range(40_000)],
            "exclude": ["properties." * 8_000],
        },
        "a member of many dots": {"include": [".".join(["a"] * 400_000)]},
    }


TEXTS, NUMBERS, LISTS, OBJECTS = cache(_texts), cache(_numbers), cache(_lists), cache(_objects)


def _nested_lists(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


def _intersects_filter(shape: dict[str, Any]) -> dict[str, Any]:
    return {"op": "s_intersects", "args": [{"property": "geometry"}, shape]}


def _nested_filter(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {"op": "=", "args": [{"property": "platform"}, "x"]}
    for _ in range(depth):
        made = {"op": "not", "args": [made]}
    return made
