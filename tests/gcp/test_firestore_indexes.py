"""Every query of the code has an index, which the emulator does not require and Firestore does."""

import ast
import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from google.cloud.firestore_v1.base_query import BaseQuery

from emulators import ROOT, new_project
from revisit.adapters.gcp.backend import gcp_backend
from revisit.adapters.gcp.records import create_client
from revisit.adapters.gcp.settings import Settings
from revisit.domain.audit_record import Audit
from revisit.domain.delivery import Delivery, Receiver
from revisit.ports.record_types import KINDS, RETENTION, SORTED_LISTS, collection_name
from revisit.ports.system_records import IdempotencyRecord
from samples import NOON

DESCENDING = 2
"""StructuredQuery.Direction of Firestore's protocol."""
DECLARED = json.loads((ROOT / "terraform" / "firestore.indexes.json").read_text())
ASKING = ("find", "find_all", "count", "find_sorted", "find_page", "find_all_sorted")
OPTIONS = {"after", "limit", "sort", "descending"}
OF_KINDS = {"Job": "job", **{kind.__name__: collection_name(kind) for kind in KINDS}}
SORT_KEYS = {sort for lists in SORTED_LISTS.values() for _, sort in lists}
PLURAL = {("subscription", "tiles"), ("job", "orders")}


def directed(field: str, descending: bool) -> str:
    """A field as it is sorted by."""
    return f"{field} DESC" if descending else field


def queries() -> Iterator[tuple[str, str, frozenset[str]]]:
    """Place, collection ("" where it is not named) and fields of each question to the records in the code."""
    for path in [*(ROOT / "shared" / "revisit").rglob("*.py"), *(ROOT / "functions").glob("*/main.py")]:
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call):
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name not in ASKING:
                continue
            values = {word.arg: word.value for word in call.keywords if word.arg}
            fields = frozenset(values) - OPTIONS
            if isinstance(values.get("sort"), ast.Constant):
                fields |= {directed(ast.literal_eval(values["sort"]), "descending" in values)}
            named = next(
                (
                    OF_KINDS[argument.id]
                    for argument in call.args
                    if isinstance(argument, ast.Name) and argument.id in OF_KINDS
                ),
                "",
            )
            yield f"{path.relative_to(ROOT)}:{call.lineno}", named, fields


def lacking(asked: Iterable[tuple[str, str, frozenset[str]]], declared: dict[str, Any]) -> list[str]:
    """The queries that no index answers, with the place that asks them."""
    composite = {
        (
            index["collectionGroup"],
            frozenset(
                directed(field["fieldPath"], field.get("order") == "DESCENDING") for field in index["fields"]
            ),
        )
        for index in declared["indexes"]
    }
    exempted = {
        (field["collectionGroup"], field["fieldPath"])
        for field in declared["fieldOverrides"]
        if not field["indexes"]
    }
    return [
        f"{place}: {collection} by {' and '.join(sorted(fields))}"
        for place, collection, fields in asked
        if (len(fields) > 1 and (collection, fields) not in composite)
        or any((collection, field) in exempted for field in fields)
    ]


def test_every_query_in_the_code_has_its_index():
    asked = list(queries())
    assert ("subscription", frozenset({"tiles", "state"})) in {query[1:] for query in asked}
    assert not [query for query in asked if len(query[2]) > 1 and not query[1]], (
        "a query by several fields names its kind"
    )
    assert lacking(asked, DECLARED) == []


@pytest.mark.parametrize("gone", range(len(DECLARED["indexes"])))
def test_an_index_that_is_taken_away_is_missed_by_the_name_of_its_query(gone):
    less = {
        **DECLARED,
        "indexes": [index for number, index in enumerate(DECLARED["indexes"]) if number != gone],
    }
    index = DECLARED["indexes"][gone]
    assert any(f": {index['collectionGroup']} by " in line for line in lacking(queries(), less))


def test_fields_of_several_values_are_indexed_by_what_they_contain_and_sort_keys_last():
    for index in DECLARED["indexes"]:
        for number, field in enumerate(index["fields"], 1):
            plural = (index["collectionGroup"], field["fieldPath"]) in PLURAL
            newest_first = field["fieldPath"] in SORT_KEYS and field.get("order") == "DESCENDING"
            assert not newest_first or number == len(index["fields"])
            order = "DESCENDING" if newest_first else "ASCENDING"
            assert (field.get("arrayConfig"), field.get("order")) == (
                ("CONTAINS", None) if plural else (None, order)
            )


def test_what_is_read_whole_is_not_indexed_and_what_expires_is_removed():
    bodies = {
        field["collectionGroup"]
        for field in DECLARED["fieldOverrides"]
        if field["fieldPath"] == "body" and not field["indexes"]
    }
    assert bodies == {*(collection_name(kind) for kind in KINDS), "outbox"}
    assert {
        (field["collectionGroup"], field["fieldPath"])
        for field in DECLARED["fieldOverrides"]
        if field.get("ttl")
    } == {
        ("mark", "expires"),
        ("outbox", "expires"),
        *((collection_name(kind), "expires") for kind in RETENTION),
    }


def test_what_is_not_kept_for_ever_states_when_it_goes_and_nothing_else_does(google):
    """Read back as Firestore's TTL does, which the emulator does not carry out."""
    settings = Settings(new_project())
    kept = [
        (
            Audit("line_1", NOON, "", "", "DELETE /subscriptions/<id>", "", 204, "", ""),
            NOON.replace(year=2025, month=7, day=6),
        ),
        (
            Delivery(
                "delivery_1",
                "alert_1",
                "sub_1",
                "channel_1",
                "https://x.example/",
                NOON,
                None,
                state="delivered",
            ),
            NOON.replace(month=7),
        ),
        (IdempotencyRecord("answer_1", "", 200, {}, "", NOON), NOON.replace(day=2)),
        (Receiver("x.example", 1, NOON, NOON), None),
    ]
    gcp_backend(settings).records.transact(
        lambda transaction: [transaction.put(record) for record, _ in kept]
    )
    client = create_client(settings)
    found = [
        client.collection(collection_name(type(record))).document(record.id).get().to_dict().get("expires")
        for record, _ in kept
    ]
    assert found == [moment for _, moment in kept]
    assert set(RETENTION) == {type(record) for record, moment in kept if moment}


def test_what_is_really_sent_for_each_of_them_has_its_index(google, monkeypatch):
    """The fields of the structured queries that leave, as the client itself writes them for the wire."""
    sent: list[tuple[str, str, frozenset[str]]] = []
    real = BaseQuery._to_protobuf

    def listening(query):
        made = real(query)
        filters = made.where.composite_filter.filters or [made.where]
        fields = {one.field_filter.field.field_path for one in filters} - {""}
        orders = {
            directed(order.field.field_path, order.direction == DESCENDING)
            for order in made.order_by
            if order.field.field_path != "__name__"
        }
        sent.append(("sent", made.from_[0].collection_id, frozenset(fields | orders)))
        return made

    monkeypatch.setattr(BaseQuery, "_to_protobuf", listening)
    backend = gcp_backend(Settings(new_project()))
    by_name = {name: kind for kind, name in ((kind, collection_name(kind)) for kind in KINDS)}
    asked = {(collection, fields) for _, collection, fields in queries() if collection}
    for collection, fields in asked:
        known = dict.fromkeys(fields & set(KINDS[by_name[collection]]), "x")
        records, kind = backend.records, by_name[collection]
        if sort := next(iter(fields - known.keys()), ""):
            name, _, direction = sort.partition(" ")
            assert records.find_sorted(kind, name, descending=bool(direction), **known) == []
        else:
            assert records.find(kind, **known) == [] and records.count(kind, **known) == 0
    backend.bus.publish_pending()
    assert backend.bus.depth() == []
    assert {query[1:] for query in sent} >= asked | {("outbox", frozenset({"at"}))}
    assert lacking(sent, DECLARED) == []
