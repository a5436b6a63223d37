"""What a page may read in Firestore: its user's own records, no others, no keys; and no writes.

The emulator enforces the rules that Terraform deploys; an unsigned token names the user
(cloud.google.com/firestore,
"Unit test security rules").
"""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from emulators import firestore, new_project
from id_token_signer import firebase_claims, unsigned_token
from products import FIELD, NOW, product
from revisit.domain.alert import Alert
from revisit.domain.api_key import ApiKey
from revisit.domain.audit_record import Audit
from revisit.domain.delivery import Delivery, Receiver
from revisit.domain.job import Cover, Job
from revisit.domain.order import Order
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Channel, Subscription
from revisit.domain.usage import Usage
from revisit.ports.record_types import KINDS, collection_name
from revisit.ports.system_records import (
    CatalogCursor,
    DeadLetter,
    IdempotencyRecord,
    ProductCopy,
    SourceState,
)

RULES = Path(__file__).parents[2] / "terraform" / "firestore.rules"
NDVI = Recipe(indices=("NDVI",))
SEEN = product(1)
READABLE = {Subscription, Order, Job, Alert, Delivery}
"""Kinds that a page reads by itself; all others come through the API or not at all."""


def of(owner: str) -> list[Any]:
    """A record of every kind that has an owner."""
    return [
        Subscription(
            f"sub_{owner}",
            "field",
            FIELD,
            ("32TNR",),
            NDVI,
            NOW,
            owner,
            channels=(Channel("webhook", "https://x.example.com/", generation=1),),
        ),
        Order(f"order_{owner}", FIELD, NDVI, NOW, owner=owner),
        Job(f"job_{owner}", SEEN, FIELD, NDVI, NOW, owner),
        Alert(
            f"alert_{owner}",
            f"sub_{owner}",
            1,
            f"job_{owner}",
            SEEN.acquisition,
            SEEN.id,
            NOW,
            NOW,
            Cover(1, 1, 1),
            {},
            owner=owner,
        ),
        Delivery(
            f"delivery_{owner}",
            f"alert_{owner}",
            f"sub_{owner}",
            "channel_1",
            "https://x.example.com/",
            NOW,
            NOW,
            owner=owner,
        ),
        ApiKey(f"key{owner}", owner, "laptop", "0" * 64, ("read",), NOW, NOW.replace(year=NOW.year + 1)),
        Usage(f"usage_{owner}", owner, NOW.date()),
        IdempotencyRecord(f"answer_{owner}", "", 200, {}, "", NOW, owner),
    ]


SYSTEM_RECORDS = [
    SEEN,
    SourceState("folder"),
    ProductCopy("copy_1", "acquisition", SEEN),
    CatalogCursor(),
    DeadLetter("letter_1", "extract", "job.started", "x", NOW, 1, ""),
    Audit("line_1", NOW, "", "", "", "", 200, "", ""),
    Receiver("host", 1, NOW, NOW),
]


@pytest.fixture(scope="module")
def rules_emulator():
    running = firestore(RULES).start()
    try:
        yield running
    finally:
        running.stop()


class Firestore:
    """Firestore as a page of one user reaches it: REST with an ID token."""

    def __init__(self, host: str, project: str) -> None:
        self.root = f"http://{host}/v1/projects/{project}/databases/(default)/documents"
        self.project = project

    def ask(self, method: str, path: str, uid: str | None, body: Any = None, **said: Any) -> tuple[int, Any]:
        """Status and answer; without a uid nobody signed in."""
        headers = {"Content-Type": "application/json"}
        if uid is not None:
            headers["Authorization"] = f"Bearer {unsigned_token(firebase_claims(self.project, uid, **said))}"
        request = urllib.request.Request(
            f"{self.root}{path}",
            json.dumps(body).encode() if body is not None else None,
            headers,
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def get(self, kind: type, id: str, uid: str | None) -> int:
        return self.ask("GET", f"/{collection_name(kind)}/{id}", uid)[0]

    def listed(self, kind: str, uid: str | None, owner: str | None) -> tuple[int, list[str]]:
        """Ids of a query over a collection, of one owner where one is named."""
        query: dict[str, Any] = {"from": [{"collectionId": kind}]}
        if owner is not None:
            query["where"] = {
                "fieldFilter": {
                    "field": {"fieldPath": "owner"},
                    "op": "EQUAL",
                    "value": {"stringValue": owner},
                }
            }
        status, rows = self.ask("POST", ":runQuery", uid, {"structuredQuery": query})
        return status, [
            row["document"]["name"].rpartition("/")[2] for row in rows if "document" in row
        ] if status == 200 else []


@pytest.fixture(scope="module")
def store(rules_emulator):
    """Records of every kind of ann, bob and the system, written by the suite's own adapter."""
    from revisit.adapters.gcp.backend import gcp_backend
    from revisit.adapters.gcp.settings import Settings

    project = new_project()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", rules_emulator.host)
        records = gcp_backend(Settings(project), lambda: NOW).records
        for record in [*of("ann"), *of("bob"), *of("local"), *SYSTEM_RECORDS]:
            records.transact(lambda transaction, record=record: transaction.put(record))
        records.transact(lambda transaction: transaction.add_dedupe_key("handled"))
    return Firestore(rules_emulator.host, project)


def test_the_records_written_are_of_every_kind_there_is():
    assert {type(record) for record in [*of("ann"), *SYSTEM_RECORDS]} == set(KINDS)


@pytest.mark.parametrize("record", of("ann"), ids=lambda record: collection_name(type(record)))
def test_a_user_reads_their_own_where_it_opens_nothing_but_what_is_theirs_and_nobody_else_does(store, record):
    assert store.get(type(record), record.id, "ann") == (200 if type(record) in READABLE else 403)
    assert [store.get(type(record), record.id, uid) for uid in ("bob", "", None)] == [403, 403, 403]
    # What never was is answered alike.
    assert store.get(type(record), "none_1", "bob") == 403


@pytest.mark.parametrize("kind", KINDS, ids=collection_name)
def test_a_user_lists_their_own_by_naming_themselves_and_nothing_else(store, kind):
    name = collection_name(kind)
    own = [record.id for record in of("ann") if type(record) is kind]
    assert store.listed(name, "ann", "ann") == ((200, own) if kind in READABLE else (403, []))
    assert [
        store.listed(name, uid, owner)[0]
        for uid, owner in (("ann", None), ("ann", "bob"), ("bob", "ann"), (None, "ann"), (None, None))
    ] == [403] * 5


def test_system_records_are_read_by_nobody(store):
    for record in SYSTEM_RECORDS:
        assert store.ask("GET", f"/{collection_name(type(record))}/{record.id}", "ann")[0] == 403
    for collection in ("mark", "outbox", "anything"):
        assert store.ask("GET", f"/{collection}/handled", "ann")[0] == 403
        assert store.listed(collection, "ann", "ann")[0] == 403
    assert store.ask("GET", "/order/order_ann/anything/below", "ann")[0] == 403


def test_no_other_way_of_reading_leads_around_the_rules(store):
    """Many at once, numbers of them, and collections of the same name wherever they are."""
    name = f"{store.root.partition('/v1/')[2]}/order/order_ann"
    assert store.ask("POST", ":batchGet", "bob", {"documents": [name]})[0] == 403
    of_ann = {
        "from": [{"collectionId": "order"}],
        "where": {
            "fieldFilter": {"field": {"fieldPath": "owner"}, "op": "EQUAL", "value": {"stringValue": "ann"}}
        },
    }
    counting = {
        "structuredAggregationQuery": {
            "structuredQuery": of_ann,
            "aggregations": [{"alias": "n", "count": {}}],
        }
    }
    assert store.ask("POST", ":runAggregationQuery", "ann", counting)[0] == 200
    assert store.ask("POST", ":runAggregationQuery", "bob", counting)[0] == 403
    assert (
        store.ask(
            "POST",
            ":runQuery",
            "ann",
            {"structuredQuery": {**of_ann, "from": [{"collectionId": "order", "allDescendants": True}]}},
        )[0]
        == 403
    )
    assert store.ask("GET", "/order", "ann")[0] == 403
    assert store.ask("POST", ":listCollectionIds", "ann", {})[0] == 403


def test_who_calls_himself_local_does_not_get_what_was_made_without_signing_in(store):
    assert store.get(Order, "order_local", "local") == 403
    assert store.listed("order", "local", "local")[0] == 403


def test_claims_of_ones_own_making_open_nothing(store):
    for said in (
        {"admin": True},
        {"operator": True},
        {"owner": "ann"},
        {"user_id": "ann"},
        {"email": "ann@example.org"},
    ):
        assert store.ask("GET", "/order/order_ann", "bob", **said)[0] == 403


MINE = {"fields": {"owner": {"stringValue": "ann"}, "body": {"stringValue": "{}"}}}


@pytest.mark.parametrize("collection", [*map(collection_name, KINDS), "mark", "outbox", "anything"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "?documentId=order_new", MINE),
        ("PATCH", "/{}", MINE),
        ("PATCH", "/{}?updateMask.fieldPaths=owner", MINE),
        ("PATCH", "/{}?updateMask.fieldPaths=admin", {"fields": {"admin": {"booleanValue": True}}}),
        ("DELETE", "/{}", None),
    ],
    ids=["create", "replace", "take over", "add a field", "delete"],
)
def test_a_page_writes_nothing_neither_of_its_users_nor_of_others(store, collection, method, path, body):
    for whose in ("ann", "bob"):
        known = next(
            (record.id for record in of(whose) if collection_name(type(record)) == collection), f"x_{whose}"
        )
        assert store.ask(method, f"/{collection}{path.format(known)}", "ann", body)[0] == 403
    assert store.ask(method, f"/{collection}{path.format('x')}", None, body)[0] == 403


def test_a_page_writes_nothing_by_a_batch_or_a_transaction(store):
    write = {"update": {"name": f"{store.root.partition('/v1/')[2]}/order/order_ann", **MINE}}
    for path in (":commit", ":batchWrite"):
        status, answer = store.ask("POST", path, "ann", {"writes": [write]})
        refused = status == 403 or (
            status == 200 and all(one["code"] == 7 for one in answer["status"])
        )  # 7 is PERMISSION_DENIED
        assert refused, answer
    assert store.ask("GET", "/order/order_ann", "ann")[1]["fields"]["body"]["stringValue"] != "{}"


def load(rules_emulator, project: str, text: str) -> list[str]:
    """Put rules in the place of others; what the emulator finds wrong with them, be it no more than a
    function that there is not."""
    body = json.dumps({"rules": {"files": [{"name": "firestore.rules", "content": text}]}}).encode()
    request = urllib.request.Request(
        f"http://{rules_emulator.host}/emulator/v1/projects/{project}:securityRules",
        body,
        {"Content-Type": "application/json"},
        method="PUT",
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return [issue["description"] for issue in json.load(answer).get("issues", [])]
    except urllib.error.HTTPError as error:
        return [error.read().decode()]


def test_the_rules_are_read_without_fault_and_ones_with_a_fault_are_noticed(rules_emulator):
    assert load(rules_emulator, new_project(), RULES.read_text()) == []
    for was, becomes in (
        ("if mine();", "if ours();"),
        ("return ", "retrun "),
        ("owner ==", "owner ="),
        ("service cloud.firestore", "allow everything"),
    ):
        assert was in RULES.read_text() and load(
            rules_emulator, new_project(), RULES.read_text().replace(was, becomes, 1)
        ), was


@pytest.mark.parametrize(
    ("was", "becomes", "opened"),
    [
        ("resource.data.owner == request.auth.uid", "true", "another's"),
        (
            "request.auth != null && request.auth.uid != 'local' && resource.data.owner == request.auth.uid",
            "resource.data.owner != 'x'",
            "anonymous",
        ),
        (
            "match /order/{id} { allow read: if mine(); }",
            "match /order/{id} { allow read, write: if mine(); }",
            "writing",
        ),
        ("allow read, write: if false", "allow read: if request.auth != null", "keys"),
    ],
)
def test_each_part_of_the_rules_keeps_something_out(rules_emulator, store, was, becomes, opened):
    """Rules without it let in what the tests above find shut: it is not something else that shuts it."""
    assert was in RULES.read_text()
    assert load(rules_emulator, store.project, RULES.read_text().replace(was, becomes)) == []
    try:
        let_in = {
            "another's": lambda: store.get(Order, "order_ann", "bob"),
            "anonymous": lambda: store.get(Order, "order_ann", None),
            "writing": lambda: store.ask(
                "PATCH",
                "/order/order_ann?updateMask.fieldPaths=admin",
                "ann",
                {"fields": {"admin": {"booleanValue": True}}},
            )[0],
            "keys": lambda: store.get(ApiKey, "keyann", "ann"),
        }[opened]()
        assert let_in == 200
    finally:
        load(rules_emulator, store.project, RULES.read_text())
