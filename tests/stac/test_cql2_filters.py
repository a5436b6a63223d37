"""Filters over real products: the catalogs and the evaluation of items agree with plain Python."""

import re
from dataclasses import replace
from datetime import timedelta
from functools import cache, partial

import cql2
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog_samples import duckdb_with, merge_segments, sample_products
from figures import figure
from profiles import examples
from revisit.adapters.gcp import catalog_sql as sql
from revisit.adapters.gcp.month_partitions import Period
from revisit.adapters.local.catalog import LocalCatalog
from revisit.domain.clock import format_rfc3339
from revisit.domain.filters import Comparison, Constant, evaluate, matches_like, parse_like_pattern
from revisit.domain.footprint import product_footprint
from revisit.errors import InvalidInputError
from revisit.ports.catalog_query import tiles_to_search
from revisit.ports.catalog_schema import from_row, to_table
from revisit.stac import product_item
from revisit.stac.cql2 import parse_cql2_json, parse_cql2_text, push_down
from revisit.stac.item_search import SearchHit, matches_query
from revisit.stac.search_query import ItemQuery, build_catalog_query

PLACES = {
    "in Belgium": shapely.box(4.6, 50.9, 5.0, 51.1),
    "far away": shapely.box(100, 0, 101, 1),
    "a corner": shapely.box(3, 50, 4.2, 51.5),
}


@pytest.fixture(scope="module")
def products():
    """Real ones, some made to lack what a source may not state."""
    return [
        replace(one, cloud_cover=None)
        if number % 7 == 0
        else replace(one, relative_orbit=None, baseline=None, published=None)
        if number % 11 == 0
        else one
        for number, one in enumerate(sample_products()[::3])
    ]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory, products):
    """Most of it on the disk, the rest in memory."""
    made = LocalCatalog(tmp_path_factory.mktemp("catalog"))
    made.add(to_table(products[:600]))
    merge_segments(made)
    made.add(to_table(products[600:]))
    return made


@pytest.fixture(scope="module")
def duck(products):
    return duckdb_with(products)


def by_duck(duck, question: sql.Statement) -> set[str]:
    return {
        from_row(row).id
        for row in duck.execute(re.sub(r"@(\w+)", r"$\1", question.text), dict(question.values))
        .to_arrow_table()
        .to_pylist()
    }


@cache
def values() -> dict[str, list]:
    """Of each property: those that products have, and some that none has."""
    some = sample_products()[::97]
    return {
        "id": [one.id for one in some] + ["x", "S2A"],
        "platform": ["sentinel-2a", "sentinel-2b", "sentinel-2c", "landsat", "sentinel"],
        "collection": ["sentinel-2-l1c", "sentinel-2-l2a", "results"],
        "grid:code": ["MGRS-31UFS", "MGRS-31UES", "31UFS", "MGRS", "N"],
        "s2:mgrs_tile": ["31UFS", "31UES", "31", "32TQM"],
        "s2:processing_baseline": ["02.07", "05.00", "05.1", "0500", "99.99"],
        "revisit:acquisition": [one.acquisition for one in some] + ["x"],
        "mission": ["sentinel-2", "x"],
        "revisit:state": ["done"],
        "eo:cloud_cover": [0, 5.5, 50, 100, *(one.cloud_cover for one in some)],
        "sat:relative_orbit": [8, 51, 65, 51.5],
        "revisit:clear_fraction": [0.5],
        "datetime": [{"timestamp": format_rfc3339(one.sensing_time)} for one in some]
        + [{"date": "2019-01-01"}],
        "published": [{"timestamp": format_rfc3339(one.published)} for one in some]
        + [{"date": "2022-01-01"}],
    }


@cache
def footprints() -> dict:
    return {one.id: product_footprint(one) for one in sample_products()[::3]}


def seen(one):
    return footprints()[one.id]


TEXTS = [
    "id",
    "platform",
    "collection",
    "grid:code",
    "s2:mgrs_tile",
    "s2:processing_baseline",
    "revisit:acquisition",
    "mission",
    "revisit:state",
]
PATTERNS = [
    "S2A%",
    "%2b",
    "sentinel-2_",
    "MGRS-31U%",
    "31U_S",
    "%",
    "",
    "05.%",
    "%\\_MSIL2A\\_2019%",
    "%L1C%R051%",
    "_",
    "sentinel-2-l2_",
]


def python(tree, one) -> bool | None:
    """What a filter says of a product, in SQL's three values: written without a look at the code it
    judges."""
    op, args = tree["op"], tree["args"]
    if op in ("and", "or"):
        said = [python(part, one) for part in args]
        decisive = op == "or"
        return decisive if decisive in said else None if None in said else not decisive
    if op == "not":
        said = python(args[0], one)
        return None if said is None else not said
    if op.startswith("s_"):
        other = shapely.geometry.shape(args[1])
        mine = seen(one)
        return {
            "s_intersects": mine.intersects,
            "s_within": mine.within,
            "s_disjoint": mine.disjoint,
            "s_contains": mine.contains,
        }[op](other)
    held = {
        "id": one.id,
        "platform": f"sentinel-2{one.platform[2].lower()}",
        "collection": f"sentinel-2-{one.level.lower()}",
        "grid:code": f"MGRS-{one.tile}",
        "s2:mgrs_tile": one.tile,
        "s2:processing_baseline": one.baseline and f"{one.baseline[:2]}.{one.baseline[2:]}",
        "mission": "sentinel-2",
        "revisit:acquisition": f"{one.platform}_{one.datatake}_T{one.tile}",
        "eo:cloud_cover": one.cloud_cover,
        "sat:relative_orbit": one.relative_orbit,
        "datetime": one.sensing_time,
        "published": one.published,
    }.get(args[0]["property"])
    if op == "isNull":
        return held is None
    if held is None:
        return None
    plain = [_plain(value) for value in (args[1] if op == "in" else args[1:])]
    if op == "like":
        pattern = re.sub(
            r"\\\\(.)|%|_",
            lambda found: re.escape(found[1]) if found[1] else ".*" if found[0] == "%" else ".",
            re.escape(plain[0]).replace(r"\%", "%"),
        )
        return re.fullmatch(pattern, held, re.DOTALL) is not None
    return {
        "=": lambda: held == plain[0],
        "<>": lambda: held != plain[0],
        "<": lambda: held < plain[0],
        "<=": lambda: held <= plain[0],
        ">": lambda: held > plain[0],
        ">=": lambda: held >= plain[0],
        "in": lambda: held in plain,
        "between": lambda: plain[0] <= held <= plain[1],
    }[op]()


def _plain(value):
    from datetime import datetime

    if isinstance(value, dict):
        return datetime.fromisoformat(
            value["timestamp"] if "timestamp" in value else value["date"] + "T00:00:00Z"
        )
    return value


@st.composite
def leaves(draw):
    kind = draw(st.sampled_from(["compare"] * 4 + ["in", "between", "isNull", "like", "like", "place"]))
    if kind == "place":
        shape = draw(st.sampled_from(list(PLACES.values())))
        return {
            "op": draw(st.sampled_from(["s_intersects", "s_within", "s_disjoint", "s_contains"])),
            "args": [{"property": "geometry"}, shapely.geometry.mapping(shape)],
        }
    name = draw(st.sampled_from(TEXTS if kind == "like" else list(values())))
    about, value = {"property": name}, st.sampled_from(values()[name])
    if kind == "compare":
        return {"op": draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">="])), "args": [about, draw(value)]}
    if kind == "in":
        return {"op": "in", "args": [about, draw(st.lists(value, min_size=1, max_size=4))]}
    if kind == "between":
        return {"op": "between", "args": [about, draw(value), draw(value)]}
    return (
        {"op": "isNull", "args": [about]}
        if kind == "isNull"
        else {"op": "like", "args": [about, draw(st.sampled_from(PATTERNS))]}
    )


FILTERS = st.recursive(
    leaves(),
    lambda inner: (
        st.builds(
            lambda op, parts: {"op": op, "args": parts},
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=2, max_size=3),
        )
        | st.builds(lambda part: {"op": "not", "args": [part]}, inner)
    ),
    max_leaves=6,
)
COUNTED = {"filters": 0, "found": 0}


SEARCHES = settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


@SEARCHES
@given(FILTERS, st.booleans())
def test_any_filter_finds_the_products_that_pass_it(catalog, duck, products, tree, latest_first):
    expected = {one.id for one in products if python(tree, one) is True}
    wanted = ItemQuery(
        ("sentinel-2-l1c", "sentinel-2-l2a"), filter=parse_cql2_json(tree), latest_first=latest_first
    )
    asked = build_catalog_query(wanted)
    COUNTED["filters"] += 1
    COUNTED["found"] += len(expected)
    if asked is None:
        assert not expected
        return
    asked = replace(asked, limit=3000)
    found = catalog.search(asked).products
    order = [(one.sensing_time, one.id, one.source) for one in found]
    assert order == sorted(order, reverse=latest_first)
    assert {one.id for one in found} == by_duck(
        duck,
        sql.search(
            sql.Tables("product", "addition", "turn"),
            asked,
            tiles_to_search(asked),
            None,
            Period(asked.start, asked.end),
            3000,
        ),
    )
    assert {one.id for one in found if matches_query(SearchHit(one), wanted)} == expected


@SEARCHES
@given(FILTERS)
def test_the_pushdown_and_its_residual_select_what_the_filter_selects(products, tree):
    filter = parse_cql2_json(tree)
    pushed = push_down(filter)
    for one in products[::9]:
        get = SearchHit(one).getter()
        meets = all(evaluate(condition, partial(getattr, one)) for condition in pushed.conditions)
        assert evaluate(filter, get) == (python(tree, one) is True)
        assert (meets and evaluate(pushed.residual, get)) == evaluate(filter, get)


def _compares_instants_as_texts(tree: str) -> bool:
    """Whether the library compares instants as texts in this filter: dates, and timestamps in `between` and
    `in`."""
    return "'date'" in tree or ("'timestamp'" in tree and ("'between'" in tree or "'in'" in tree))


@SEARCHES
@given(FILTERS.filter(lambda tree: not _compares_instants_as_texts(str(tree))))
def test_the_library_agrees_where_it_knows_an_answer(products, tree):
    expression = cql2.Expr(tree)
    for one in products[::40]:
        hit = SearchHit(one)
        item = {
            "type": "Feature",
            "id": one.id,
            "collection": hit.values()["collection"],
            "geometry": shapely.geometry.mapping(seen(one)),
            "properties": hit.values(),
        }
        try:
            expected = expression.matches(item)
        except Exception:  # noqa: BLE001 - the library has no exception of its own for an unknown result
            expected = False
        assert evaluate(parse_cql2_json(tree), hit.getter()) == expected


def test_a_filter_on_columns_builds_no_properties(products, monkeypatch):
    def refuse(_product):
        raise AssertionError("properties were built")

    monkeypatch.setattr(product_item, "product_properties", refuse)
    filter = parse_cql2_text(
        "eo:cloud_cover < 20 AND platform = 'sentinel-2a' AND datetime > DATE('2018-01-01')"
    )
    pushed = push_down(filter)
    assert pushed.residual == Constant()
    assert [evaluate(pushed.residual, SearchHit(one).getter()) for one in products[:3]] == [True] * 3


@pytest.mark.usefixtures("products")
def test_many_filters_were_compared():
    figure(
        "cql2",
        f"{COUNTED['filters']} filters drawn by chance over 757 real products: catalog, DuckDB and plain "
        f"Python agree, {COUNTED['found']:,} found",
    )
    assert COUNTED["found"] > 1000


@given(st.text("ab%_", max_size=8), st.text("ab", max_size=10))
def test_a_like_pattern_matches_as_its_regular_expression(pattern, text):
    assert matches_like(text, parse_like_pattern(pattern)) == (
        re.fullmatch(pattern.replace("%", ".*").replace("_", "."), text) is not None
    )


def test_an_adversarial_pattern_takes_no_exponential_time():
    assert matches_like("a" * 20_000, parse_like_pattern("%a" * 300 + "b")) is False


@pytest.mark.parametrize(
    "text",
    [
        "((((((((((a = 1",
        "NOT " * 30 + "id = 'x'",
        "id = 'x' AND " * 400 + "id = 'y'",
        "x" * 4001,
        "id = '",
        "id",
        "id = id",
        "1 = 1",
        "TRUE AND id",
        "eo:cloud_cover + 1 > 3",
        "CASEI(id) = 'x'",
        "A_CONTAINS(id, ('a'))",
        "foo = 1",
        "geometry = 1",
        "S_INTERSECTS(geometry, 'x')",
        "S_INTERSECTS(geometry, POINT(500 500))",
        *(
            f"S_INTERSECTS(geometry, {shape})"
            for shape in (
                "POINT EMPTY",
                "POINT(1)",
                "POINT Z(1 2)",
                "POINT(1 2-3)",
                "LINESTRING(1 1, 2 2 2)",
                "MULTIPOINT((1 1, 2 2))",
                "GEOMETRYCOLLECTION(POINT EMPTY)",
            )
        ),
        *(f"S_INTERSECTS(geometry, {kind} EMPTY)" for kind in ("LINESTRING", "POLYGON", "MULTIPOLYGON")),
        "T_AFTER(id, DATE('2020-01-01'))",
        "datetime > 'yesterday'",
        "id = 1",
        "eo:cloud_cover LIKE 'x'",
        "id IN (" + ", ".join(["'x'"] * 501) + ")",
        "T_OVERLAPS(datetime, INTERVAL('2020-01-01', '2021-01-01'))",
    ],
)
def test_invalid_cql2_text_is_refused_in_a_sentence(text):
    with pytest.raises(InvalidInputError) as refused:
        parse_cql2_text(text)
    assert 20 < len(str(refused.value)) < 600
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "shape", ["POINT(1 2)", "POINTZ(1 2 3)", "POINT ZM (1 2 3 4)", "MULTIPOINT((1 2), (3 4))"]
)
def test_points_of_a_text_filter_are_read_in_each_form(shape):
    found = parse_cql2_text(f"S_INTERSECTS(geometry, {shape}) AND id <> 'POINT EMPTY'")
    assert re.search(r"POINT( Z)? \(+1 2", str(found))


@pytest.mark.parametrize(
    "tree",
    [
        [],
        3,
        "x",
        {},
        {"op": "and"},
        {"op": "and", "args": []},
        {"op": 1, "args": [1]},
        {"op": "=", "args": [{"property": "id"}]},
        {"op": "=", "args": [{"property": 3}, 1]},
        {"op": "not", "args": [True, True]},
        {"op": "in", "args": [{"property": "id"}, []]},
        {"op": "=", "args": [{"property": "eo:cloud_cover"}, True]},
        {"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": [1, 2]}]},
        {"op": "like", "args": [{"property": "id"}, 3]},
        {"op": "t_during", "args": [{"property": "datetime"}, {"interval": ["2021-01-01", "2020-01-01"]}]},
    ],
)
def test_invalid_cql2_json_is_refused_in_a_sentence(tree):
    with pytest.raises(InvalidInputError):
        parse_cql2_json(tree)


def test_a_number_in_json_is_compared_exactly():
    tree = {"op": "=", "args": [{"property": "eo:cloud_cover"}, 99.22909999999999]}
    assert parse_cql2_json(tree) == Comparison("eo:cloud_cover", "=", 99.22909999999999)


@pytest.mark.parametrize("word", ["'); ATTACH 'x' AS y; --", '" OR 1=1', "x' OR 'a'='a", "%\\", "`product`"])
def test_user_input_is_passed_as_parameters_only(catalog, duck, word):
    for tree in (
        {"op": "=", "args": [{"property": "id"}, word]},
        {"op": "in", "args": [{"property": "s2:mgrs_tile"}, [word]]},
        {"op": "like", "args": [{"property": "id"}, word]},
    ):
        asked = build_catalog_query(ItemQuery(("sentinel-2-l2a",), filter=parse_cql2_json(tree)))
        question = sql.search(
            sql.Tables("product", "addition", "turn"), asked, asked.tiles or None, None, Period(), 10
        )
        assert word not in question.text
        wanted = ItemQuery(("sentinel-2-l2a",), filter=parse_cql2_json(tree))
        assert not [one for one in catalog.search(asked).products if matches_query(SearchHit(one), wanted)]
        assert not {id for id in by_duck(duck, question) if word in id}


def test_instants_are_compared_to_the_microsecond(products, catalog):
    moment = products[0].sensing_time
    for sign, shift, there in (
        (">", -1, True),
        (">", 0, False),
        ("<", 1, True),
        ("=", 0, True),
        ("=", 1, False),
    ):
        instant = format_rfc3339(moment + timedelta(microseconds=shift))
        text = f"datetime {sign} TIMESTAMP('{instant}') AND id = '{products[0].id}'"
        asked = build_catalog_query(ItemQuery(filter=parse_cql2_text(text)))
        assert (
            bool(
                asked
                and [
                    one
                    for one in catalog.search(asked).products
                    if matches_query(SearchHit(one), ItemQuery(filter=parse_cql2_text(text)))
                ]
            )
            is there
        ), text
    assert str(push_down(parse_cql2_text("datetime > DATE('2020-01-01')"))).count("2020, 1, 1")
