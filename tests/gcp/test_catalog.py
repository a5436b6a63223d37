"""What the catalog asks BigQuery: bounded in cost, and in words that DuckDB understands alike."""

import gzip
import io
import random
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from google.cloud import bigquery

from catalog_samples import duckdb_with, real_products
from emulators import new_project
from emulators.bigquery import create_catalog, recorded_jobs
from product_tables import to_products
from revisit.adapters.gcp import catalog_sql as sql
from revisit.adapters.gcp.bigquery_client import INCOMING_COLUMNS, MAX_QUERY_BYTES, create_client
from revisit.adapters.gcp.catalog import BigQueryCatalog
from revisit.adapters.gcp.month_partitions import Period
from revisit.adapters.gcp.settings import Settings
from revisit.adapters.local.catalog import LocalCatalog
from revisit.domain.filters import (
    And,
    BoundsOverlap,
    Comparison,
    Constant,
    InList,
    IsNull,
    Like,
    Or,
    parse_like_pattern,
)
from revisit.ports.catalog import OrderBy, Query
from revisit.ports.catalog_query import page_token, parse_position, tiles_to_search
from revisit.ports.catalog_schema import from_row, to_table
from samples import StoppedClock

ALWAYS = Period()


@pytest.fixture(scope="module")
def products():
    """Real ones, every third: bqemulator takes 20 s for all."""
    return to_products(to_table(real_products()[::3]))


@pytest.fixture(scope="module")
def catalog(google, products):
    settings = Settings(new_project())
    create_catalog(settings)
    catalog = BigQueryCatalog(settings, StoppedClock())
    assert catalog.add(to_table(products)) == len(products)
    return catalog


@pytest.fixture(scope="module")
def duck(products):
    return duckdb_with(products)


def answer(duck, question: sql.Statement) -> list[dict]:
    """DuckDB's answer to the same text: only the sign before a parameter's name is another."""
    found = duck.execute(re.sub(r"@(\w+)", r"$\1", question.text), dict(question.values))
    return found.to_arrow_table().to_pylist()


TABLES = sql.Tables("product", "addition", "turn")


def queries(products):
    """Searches by everything that can be searched by."""
    first, last = products[0].sensing_time, products[-1].sensing_time
    middle = first + (last - first) / 2
    return [
        Query(),
        Query(limit=7),
        Query(tiles=(products[0].tile,)),
        Query(tiles=(products[0].tile, products[1].tile), max_cloud=20),
        Query(level="L1C"),
        Query(level="L2A", max_cloud=0.5),
        Query(start=middle),
        Query(end=middle),
        Query(start=middle, end=middle + timedelta(days=60), max_cloud=50),
        Query(bounds=(4.6, 50.9, 5.0, 51.1)),
        Query(bounds=(179.0, -20.0, -179.0, 10.0)),
        Query(source="nowhere"),
        Query(source=products[0].source, limit=3),
        Query(latest_first=True, limit=7),
        Query(latest_first=True, tiles=(products[0].tile,), end=middle, max_cloud=40),
        Query(ids=(products[3].id, products[-1].id, "x")),
        *(
            Query(order_by=order, latest_first=latest_first, limit=9, after=after)
            for order in ((OrderBy("cloud_cover"),), (OrderBy("tile", True), OrderBy("relative_orbit")))
            for latest_first in (True, False)
            for after in ("", page_token(products[7], order))
        ),
        *(
            Query(conditions=(condition,), latest_first=number % 2 == 1)
            for number, condition in enumerate(conditions(products))
        ),
    ]


def conditions(products):
    """One of each kind, and all of them together."""
    kinds = [
        Comparison("relative_orbit", ">=", 51.0),
        Comparison("sensing_time", "<", products[100].sensing_time),
        Comparison("platform", "<>", "S2A"),
        Comparison("cloud_cover", "<=", 12.5),
        InList("baseline", ("0500", "0301")),
        InList("level", ("L1C",), is_in=False),
        IsNull("published", is_null=False),
        IsNull("size"),
        Like("id", parse_like_pattern("S2B%L2A_2018%")),
        Like("tile", parse_like_pattern("31U_S"), is_match=False),
        BoundsOverlap((4.6, 50.9, 5.0, 51.1)),
        Constant(False),
        InList("tile", ()),
    ]
    return [
        *kinds,
        And((kinds[0], Or((kinds[2], kinds[4])), kinds[6])),
        Or((kinds[8], And((kinds[3], kinds[5])))),
    ]


def test_the_same_text_finds_the_same_in_bigquery_in_duckdb_and_in_the_local_catalog(
    catalog, duck, products, tmp_path
):
    local = LocalCatalog(tmp_path / "catalog")
    local.add(to_table(products))
    found = 0
    for query in queries(products):
        pages = [catalog.search(query), local.search(query)]
        after = parse_position(query.after, query.order_by) if query.after else None
        question = sql.search(
            TABLES, query, tiles_to_search(query), after, Period(query.start, query.end), query.limit
        )
        by_duck = tuple(from_row(row) for row in answer(duck, question))
        assert pages[0] == pages[1], query
        assert pages[0].products == by_duck, query
        found += len(by_duck)
    assert found > 1000


def test_what_is_known_and_what_is_read_on_is_the_same_in_duckdb(catalog, duck, products):
    source, ids = (
        products[0].source,
        [product.id for product in products[:50]] + ["not there", "'; DROP TABLE product; --"],
    )
    known = {row["id"] for row in answer(duck, sql.known_ids(TABLES, source, ids, ALWAYS))}
    assert (
        [id not in known for id in ids]
        == catalog.missing_mask(source, ids).tolist()
        == [False] * 50 + [True] * 2
    )
    read = answer(duck, sql.read_log(TABLES, 10, 40, ALWAYS, {}, 100))
    assert [from_row(row) for row in read] == catalog.read_additions(10, 30)[0][:30] == products[10:40]
    one = products[5]
    assert (
        from_row(answer(duck, sql.get(TABLES, one.id, source, one.tile, ALWAYS))[0])
        == catalog.get(one.id, source)
        == one
    )


def test_every_query_says_what_it_may_cost(google, products):
    settings = Settings(new_project())
    create_catalog(settings)
    catalog = BigQueryCatalog(settings, StoppedClock())
    catalog.add(to_table(products[:5]))
    catalog.missing_mask("s", ["a"])
    catalog.get("a")
    catalog.search(Query(tiles=("32TQM",)))
    catalog.read_additions(0)
    catalog.freshness()
    host = google["BIGQUERY_EMULATOR_HOST"].host
    bodies = [one["body"] for one in recorded_jobs(host, settings.project)]
    requests = [body.get("configuration", {}).get("query", body) for body in bodies]
    ours = [query for query in requests if "query" in query and not query["query"].startswith("CREATE TABLE")]
    assert len(ours) >= 6
    assert {int(query.get("maximumBytesBilled", 0)) for query in ours} == {MAX_QUERY_BYTES}
    assert all(query.get("useLegacySql") is False for query in ours)


def test_the_history_of_many_months_is_passed_over_without_being_read(google, products):
    settings = Settings(new_project())
    create_catalog(settings)
    catalog = BigQueryCatalog(settings, StoppedClock())
    history = sorted(products, key=lambda product: product.sensing_time)[::40]
    assert catalog.add(to_table(history)) == len(history)
    since = history[-1].sensing_time
    host = google["BIGQUERY_EMULATOR_HOST"].host
    before = len(recorded_jobs(host, settings.project))
    assert catalog.read_additions(0, limit=1, min_sensing_times={products[0].source: since}) == (
        history[-1:],
        len(history),
    )
    questions = [one["body"] for one in recorded_jobs(host, settings.project)[before:]]
    assert len({(product.sensing_time.year, product.sensing_time.month) for product in history}) > 10
    assert len(questions) == 2, "of the account of the additions, and of the products of the last month"


def loads(google, settings: Settings) -> list[dict]:
    """The load jobs of a project."""
    host = google["BIGQUERY_EMULATOR_HOST"].host
    bodies = [one["body"] for one in recorded_jobs(host, settings.project)]
    return [body["configuration"]["load"] for body in bodies if "load" in body.get("configuration", {})]


def test_rows_too_many_for_a_request_are_loaded_as_a_file_and_are_the_same(google, products, monkeypatch):
    settings = Settings(new_project())
    create_catalog(settings)
    catalog = BigQueryCatalog(settings, StoppedClock())
    some = [
        *products[:12],
        replace(
            products[0],
            published=None,
            cloud_cover=None,
            relative_orbit=None,
            size=123456789012,
            footprint=None,
        ),
    ]
    monkeypatch.setattr("revisit.adapters.gcp.staged_rows.MAX_PARAMETER_BYTES", 0)
    assert catalog.add(to_table(some)) == 13
    assert catalog.read_additions(0) == (to_products(to_table(some)), 13)
    assert catalog.add(to_table(some)) == 0
    load = loads(google, settings)[0]
    assert (load["sourceFormat"], load["writeDisposition"]) == ("PARQUET", "WRITE_TRUNCATE")
    assert {field["name"]: field["type"] for field in load["schema"]["fields"]} == dict(INCOMING_COLUMNS)
    tables = [
        table.table_id
        for table in create_client(settings).list_tables(f"{settings.project}.{settings.dataset}")
    ]
    assert not [table for table in tables if table.startswith("staging_")]


@pytest.mark.parametrize("size", [True, False], ids=["in one request", "in pieces"])
def test_a_file_that_a_client_sends_is_in_the_table(google, monkeypatch, size):
    """Held to what the emulator lends: text with commas, an empty cell, and a cell longer than a piece."""
    monkeypatch.setattr("google.cloud.bigquery.client._DEFAULT_CHUNKSIZE", 1 << 18)
    settings = Settings(new_project())
    client = create_client(settings)
    client.create_dataset(f"{settings.project}.{settings.dataset}")
    long = random.Random(5).randbytes(350_000).hex()
    content = gzip.compress(f'a,b\n"1, one",{long}\n2,\n'.encode())
    config = bigquery.LoadJobConfig(
        source_format="CSV",
        skip_leading_rows=1,
        schema=[bigquery.SchemaField(name, "STRING") for name in "ab"],
        write_disposition="WRITE_EMPTY",
    )
    table = f"{settings.project}.{settings.dataset}.sent"
    job = client.load_table_from_file(
        io.BytesIO(content), table, size=len(content) if size else None, job_config=config
    )
    assert job.result().output_rows == 2
    assert [tuple(row) for row in client.query(f"SELECT a, b FROM `{table}` ORDER BY a").result()] == [
        ("1, one", long),
        ("2", None),
    ]
