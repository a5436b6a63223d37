"""Every route against everybody who may come (rules.md A4): what is another's is not there, and a route nobody thought of fails here."""

from dataclasses import replace

import pytest

from products import FIELD, NOW, ended, known, product
from revisit.alert import Alert, alert_id
from revisit.api import create_app, routes
from revisit.bookkeeping import DeadLetter, SourceState
from revisit.commands import make_key, results
from revisit.errors import Unknown
from revisit.events import JobStarted
from revisit.job import Cover, Statistics
from revisit.local.backend import local_backend
from revisit.sign_in import Claims, SignIn
from revisit.wire import Envelope

WHO = ("anonymous", "other", "wrong scope", "right scope", "owner", "operator")
"""Wrong scope: a key of the owner's for writing where the route reads, and the reverse; operator: another user who looks after the whole."""

OPEN = (200, 200, 200, 200, 200, 200)
MINE = (401, 404, 403, 200, 200, 404)
"""Of one owner: it is not there for others, operators among them."""
THEIRS = (401, 200, 403, 200, 200, 200)
"""Each has their own."""
WHOLE = (401, 403, 403, 403, 403, 200)
"""For those who look after the whole."""

EXPECTED = {
    "GET /health": OPEN,
    "GET /feeds/<token>.atom": OPEN,
    "GET /status": WHOLE,
    "GET /limits": THEIRS,
    "POST /aoi": THEIRS,
    "GET /aoi": THEIRS,
    "POST /subscriptions/preview": THEIRS,
    "POST /subscriptions": (401, 201, 403, 201, 201, 201),
    "GET /subscriptions": THEIRS,
    "GET /subscriptions/<id>": MINE,
    "PATCH /subscriptions/<id>": MINE,
    "DELETE /subscriptions/<id>": (401, 404, 403, 204, 204, 404),
    "POST /subscriptions/<id>/channels/<channel>/secret": MINE,
    "GET /subscriptions/<id>/alerts": MINE,
    "GET /subscriptions/<id>/results": MINE,
    "GET /subscriptions/<id>/series": MINE,
    "POST /orders": (401, 202, 403, 202, 202, 202),
    "GET /orders": THEIRS,
    "GET /orders/<id>": MINE,
    "GET /orders/<id>/results": MINE,
    "GET /orders/<id>/series": MINE,
    "GET /results/<id>": MINE,
    "GET /results/<id>/assets/<name>": MINE,
    "GET /results/<id>/assets/<name>/link": MINE,
    "POST /keys": (401, 201, 403, 403, 201, 201),
    "GET /keys": THEIRS,
    "DELETE /keys/<id>": (401, 404, 403, 403, 204, 404),
    "GET /me": THEIRS,
    "GET /me/export": THEIRS,
    "DELETE /me": (401, 200, 403, 403, 200, 200),
    "GET /audit": WHOLE,
    "GET /dead-letters": WHOLE,
    "GET /dead-letters/<id>": WHOLE,
    "POST /dead-letters/<id>/replay": (401, 403, 403, 403, 403, 202),
    "POST /refresh": (401, 403, 403, 403, 403, 202),
}
"""Route -> what each of WHO is answered."""

BODIES = {
    "POST /subscriptions": {"aoi": FIELD, "name": "another"},
    "PATCH /subscriptions/<id>": {"state": "active"},
READS = ("POST /aoi", "POST /subscriptions/preview")
"""Posted, and yet a key that reads is enough."""

    "POST /orders": {"aoi": FIELD, "start": "2024-06-02"},
    "POST /aoi": {"aoi": FIELD},
    "POST /subscriptions/preview": {"aoi": FIELD},
    "POST /keys": {"name": "laptop"},
}
PEOPLE = {"ann": Claims("ann"), "bob": Claims("bob"), "boss": Claims("boss", operator=True)}
    "POST /orders/estimate": {"aoi": FIELD, "start": "2024-06-02"},


def verify(token: str) -> Claims:
    if token not in PEOPLE:
        raise Unknown("sign in again")
    return PEOPLE[token]


@pytest.fixture
def world(tmp_path):
    """Ann's records of every kind; who may come, by what they send; and where each route's own things are."""
    backend = replace(local_backend(tmp_path / "data", ("folder:/archive",), lambda: NOW), sign_in=SignIn(verify))
    backend.records.transact(lambda transaction: transaction.put(SourceState("folder:/archive", refreshed=NOW)))
    known(backend, product(1), product(2))
    client = create_app(backend).test_client()
    ann = {"Authorization": "Bearer ann"}
    made = client.post("/subscriptions", json={"aoi": FIELD, "name": "the secret lake", "backfill": "2024-06-01", "webhooks": ["https://hooks.example.com/x"]},
                       headers=ann)
    placed = client.post("/orders", json={"aoi": FIELD, "start": "2024-06-01", "end": "2024-06-01"}, headers=ann)
    assert (made.status_code, placed.status_code) == (201, 202), made.text + placed.text
    file = backend.assets.workspace() / "ndvi"
    file.write_bytes(b"pixels")
    asset = backend.assets.store(file, "jobs/x/NDVI.tif", "image/tiff")
    job = ended(backend, results(backend, placed.json["order"], "ann")[0], cover=Cover(10, 8, 6, cloud=2), assets=(asset,),
                indices={"NDVI": Statistics(6, 0.5, 0.1, 0.1, 0.9, 0.5)})
    letter = DeadLetter("event_1:extract", "extract", "job.started", "no memory", NOW, 8, Envelope(JobStarted("job_1"), NOW).encode().decode())
    line = Alert(alert_id(made.json["subscription"], job.acquisition), made.json["subscription"], 1, job.id, job.acquisition, job.product.id,
                 job.product.sensing_time, NOW, Cover(1, 1, 1), {}, owner="ann")
    backend.commit(lambda commit: (commit.put(letter), commit.put(line)), last=False)
    read, write = (make_key(backend, scope, [scope], owner="ann") for scope in ("read", "write"))
    things = {"subscriptions": made.json["subscription"], "orders": placed.json["order"], "results": job.id, "keys": read[0].id,
              "dead-letters": letter.id, "<name>": "NDVI", "<channel>": made.json["channels"][0]["id"], "<token>": made.json["feed"].removeprefix("/feeds/").removesuffix(".atom")}
    return client, things, {"read": read[1], "write": write[1]}


def ask(world, route: str, who: str):
    client, things, keys = world
    method, _, path = route.partition(" ")
    here = path.replace("<name>", things["<name>"]).replace("<token>", things["<token>"]).replace("<channel>", things["<channel>"]) \
        .replace("<id>", things.get(path.split("/")[1], ""))
    right, wrong = ("read", "write") if method == "GET" or route in READS else ("write", "read")
    token = {"anonymous": "", "other": "bob", "owner": "ann", "operator": "boss", "right scope": keys[right], "wrong scope": keys[wrong]}[who]
    return client.open(here, method=method, json=BODIES.get(route), headers={"Authorization": f"Bearer {token}"} if token else {})


    here += "?tile=32TNR" if route == "GET /aoi" else ""
def test_every_route_is_in_the_matrix():
    assert {f"{method} {path}" for method, path, _ in routes()} == set(EXPECTED)


@pytest.mark.parametrize("route", EXPECTED)
@pytest.mark.parametrize("who", WHO)
def test_a_route_answers_everybody_as_it_should(world, route, who):
    answer = ask(world, route, who)
    assert answer.status_code == EXPECTED[route][WHO.index(who)], answer.text
    if answer.status_code >= 400:
        assert answer.content_type == "application/problem+json"
    if who in ("anonymous", "other") and EXPECTED[route] is not OPEN:
        assert "the secret lake" not in answer.text


@pytest.mark.parametrize("route", [route for route in EXPECTED if "<id>" in route and EXPECTED[route] is not WHOLE])
def test_what_is_anothers_is_answered_as_what_never_was(world, route):
    """Nobody learns from an answer which ids there are."""
    client, things, keys = world
    kind = route.split("/")[1]
    there = things[kind]
    never = there.partition("_")[0] + "_none" if "_" in there else "none"
    told, untold = ask(world, route, "other"), ask((client, {**things, kind: never}, keys), route, "other")
    assert told.status_code == untold.status_code
    assert told.status_code == 403 or told.json["detail"].replace(there, never) == untold.json["detail"]


def test_what_each_sees_in_lists_is_their_own(world):
    for route, name in (("GET /subscriptions", "subscriptions"), ("GET /orders", "orders"), ("GET /keys", "keys")):
        assert ask(world, route, "other").json[name] == ask(world, route, "operator").json[name] == []
        assert len(ask(world, route, "owner").json[name]) >= 1
