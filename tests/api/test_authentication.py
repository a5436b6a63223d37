"""Who may ask a deployment for what: ID tokens, keys, scopes, and pages of other origins."""

import logging
from datetime import timedelta

import pytest

from backends import with_settings
from products import FIELD, NOW, add_to_catalog, product
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from revisit.domain.api_key import ApiKey
from revisit.errors import (
    InvalidInputError,
    NotFoundError,
    QuotaExceededError,
    TransientError,
    UnauthenticatedError,
)
from revisit.ports.authenticator import Authenticator, Claims
from revisit.runtime import configure_logging
from revisit.services.accounts.keys import create_key, list_keys, revoke_key

WATCH = {"aoi": FIELD, "name": "field", "indices": ["ndvi"]}
SITE = "https://watch.example.org"
PEOPLE = {
    "of-ann": Claims("ann", "ann@example.org", True),
    "of-bob": Claims("bob"),
    "of-boss": Claims("boss", operator=True),
    "of-local": Claims("local"),
}


def verify(token: str) -> Claims:
    if token == "at-night":
        raise TransientError("the certificates cannot be fetched")
    if token not in PEOPLE:
        raise UnauthenticatedError("the ID token is not one of ours; sign in again")
    return PEOPLE[token]


@pytest.fixture
def backend(backend):
    return with_settings(backend, authenticator=Authenticator(verify, (SITE,)))


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


ANN, BOB, BOSS = bearing("of-ann"), bearing("of-bob"), bearing("of-boss")


def key_of(client, headers=ANN, **body) -> str:
    made = client.post("/keys", json={"name": "laptop", **body}, headers=headers)
    assert made.status_code == 201, made.text
    return made.json["secret"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearing(""),
        bearing("of-nobody"),
        {"Authorization": "of-ann"},
        {"Authorization": "Basic of-ann"},
        bearing("rvt_"),
        bearing("rvt_a_b"),
        bearing("rvt_ä_b"),
        bearing("rvt_" + "a" * 100_000),
        bearing("of-local"),
    ],
)
def test_an_unauthenticated_request_is_rejected_in_one_sentence(client, headers):
    answer = client.get("/subscriptions", headers=headers)
    assert (answer.status_code, answer.content_type, answer.headers["WWW-Authenticate"]) == (
        401,
        "application/problem+json",
        "Bearer",
    )
    assert answer.json["detail"] and "\n" not in answer.json["detail"] and "Traceback" not in answer.text


def test_what_is_everybodys_asks_nobody_who_he_is(client):
    assert client.get("/health").status_code == 200
    feed = client.post("/subscriptions", json=WATCH, headers=ANN).json["feed"]
    assert client.get(feed).status_code == 200


def test_a_token_that_cannot_be_verified_at_present_is_no_refusal(client):
    answer = client.get("/subscriptions", headers=bearing("at-night"))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


def test_created_records_belong_to_the_signed_in_user(client):
    made = client.post("/subscriptions", json=WATCH, headers=ANN).headers["Location"]
    assert client.get(made, headers=ANN).json["name"] == "field"
    assert client.get(made, headers=BOB).status_code == 404
    assert client.get("/subscriptions", headers=BOB).json == {"subscriptions": []}


def test_operators_look_after_the_whole_and_others_do_not(client):
    assert client.get("/status", headers=BOSS).status_code == 200
    assert client.get("/status", headers=ANN).status_code == 403


def test_a_request_may_be_for_any_host_where_the_platform_routes_by_it(client):
    assert client.get("/health", headers={"Host": "revisit-api-xyz.a.run.app"}).status_code == 200


def test_limits_are_returned_with_the_usage(client):
    made = client.post(
        "/subscriptions", json={**WATCH, "webhooks": ["https://hooks.example.com/x"]}, headers=ANN
    )
    assert made.status_code == 201
    document = client.get("/limits", headers=ANN).json
    assert {
        name: document[name]
        for name in ("subscriptions", "area_km2", "days", "jobs_a_day", "orders_running", "webhooks")
    } == {
        "subscriptions": 20,
        "area_km2": 10_000,
        "days": 366,
        "jobs_a_day": 50,
        "orders_running": 2,
        "webhooks": 5,
    }
    assert (
        document["used"]
        == {"subscriptions": 1, "webhooks": 1, "jobs_a_day": 0, "keys_a_day": 0, "orders_running": 0}
        and document["day_ends"] == "2024-07-02T00:00:00Z"
    )
    assert client.get("/limits", headers=BOB).json["used"]["subscriptions"] == 0


def test_an_exceeded_quota_is_answered_with_retry_after(client, backend):
    add_to_catalog(backend, *(product(day) for day in range(1, 31)))
    june = {"aoi": FIELD, "start": "2024-06-01", "end": "2024-06-30"}
    assert client.post("/orders", json=june, headers=ANN).status_code == 202
    refused = client.post("/orders", json={**june, "end": "2024-06-21"}, headers=ANN)
    assert (refused.status_code, refused.content_type) == (429, "application/problem+json")
    assert refused.json["detail"].startswith("this would be 21 acquisitions with 30 of today's 50 used")
    until_midnight = str(12 * 3600 + 1)
    assert {
        name: refused.headers[name]
        for name in ("Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
    } == {
        "Retry-After": until_midnight,
        "RateLimit-Limit": "50",
        "RateLimit-Remaining": "20",
        "RateLimit-Reset": until_midnight,
    }
    assert client.post("/orders", json={**june, "end": "2024-06-20"}, headers=ANN).status_code == 202
    busy = client.post("/orders", json={**june, "end": "2024-06-02"}, headers=ANN)
    assert (busy.status_code, busy.headers["Retry-After"]) == (429, str(until_midnight))
    assert client.post("/orders", json={**june, "end": "2024-06-02"}, headers=BOB).status_code == 202


# ------------------------------------------------------------------------------------------------------------
# keys


def test_a_key_stands_for_its_owner_is_shown_once_and_only_its_hash_is_kept(client, backend):
    key = key_of(client, scopes=["read", "write"])
    assert key.startswith("rvt_") and len(key.split("_", 2)[2]) == 43  # 32 bytes in base64url without padding
    assert client.post("/subscriptions", json=WATCH, headers=bearing(key)).status_code == 201
    assert len(client.get("/subscriptions", headers=ANN).json["subscriptions"]) == 1
    listed = client.get("/keys", headers=ANN)
    secret = key.split("_", 2)[2]
    assert [one["name"] for one in listed.json["keys"]] == ["laptop"] and secret not in listed.text
    assert secret.encode() not in b"".join(
        file.read_bytes() for file in backend.settings.channel_folder.parent.glob("revisit.db*")
    )


def test_a_key_sent_with_an_idempotency_key_is_not_kept_with_the_answer(client, backend):
    key = client.post("/keys", json={"name": "laptop"}, headers={**ANN, "Idempotency-Key": "one"}).json[
        "secret"
    ]
    assert key.encode() not in b"".join(
        file.read_bytes() for file in backend.settings.channel_folder.parent.glob("revisit.db*")
    )


def test_a_key_is_good_for_its_scopes_only(client):
    read, write, both = (
        key_of(client),
        key_of(client, scopes=["write"]),
        key_of(client, scopes=["read", "write"]),
    )
    refused = client.post("/subscriptions", json=WATCH, headers=bearing(read))
    assert (refused.status_code, refused.content_type) == (
        403,
        "application/problem+json",
    ) and "scope write" in refused.json["detail"]
    assert client.get("/subscriptions", headers=bearing(write)).status_code == 403
    assert client.post("/subscriptions", json=WATCH, headers=bearing(write)).status_code == 201
    assert client.get("/subscriptions", headers=bearing(both)).status_code == 200
    assert client.get("/status", headers=bearing(both)).status_code == 403


def test_only_an_operator_makes_a_key_for_the_whole_and_for_a_quarter_at_most(client):
    assert client.post("/keys", json={"name": "x", "scopes": ["operator"]}, headers=ANN).status_code == 403
    assert client.get("/status", headers=bearing(key_of(client, BOSS))).status_code == 403
    assert (
        client.get("/status", headers=bearing(key_of(client, BOSS, scopes=["read", "operator"]))).status_code
        == 200
    )
    assert (
        client.post("/keys", json={"name": "x", "scopes": ["operator"], "days": 91}, headers=BOSS).status_code
        == 422
    )


def test_a_key_makes_and_revokes_no_keys(client):
    key = key_of(client, scopes=["read", "write"])
    id = client.get("/keys", headers=bearing(key)).json["keys"][0]["key"]
    assert client.post("/keys", json={"name": "heir"}, headers=bearing(key)).status_code == 403
    assert client.delete(f"/keys/{id}", headers=bearing(key)).status_code == 403


def test_a_revoked_key_opens_nothing_and_revoking_again_changes_nothing(client):
    key = key_of(client)
    id = client.get("/keys", headers=ANN).json["keys"][0]["key"]
    assert client.delete(f"/keys/{id}", headers=BOB).status_code == 404
    assert client.get("/keys", headers=bearing(key)).status_code == 200
    for _ in range(2):
        assert client.delete(f"/keys/{id}", headers=ANN).status_code == 204
    assert client.get("/keys", headers=bearing(key)).status_code == 401
    assert client.get("/keys", headers=ANN).json["keys"][0]["state"] == "revoked"


def test_a_key_ends_by_itself(client, clock):
    key = key_of(client, days=1)
    clock.append(NOW + timedelta(days=1) - timedelta(seconds=1))
    assert client.get("/keys", headers=bearing(key)).status_code == 200
    clock.append(NOW + timedelta(days=1))
    assert client.get("/keys", headers=bearing(key)).status_code == 401
    assert client.get("/keys", headers=ANN).json["keys"][0]["state"] == "over"


def test_the_day_of_a_keys_use_is_noted_once_a_day(client, backend, clock, monkeypatch):
    key, writes = key_of(client), []
    real = type(backend.records).transact
    monkeypatch.setattr(
        type(backend.records), "transact", lambda self, work: (writes.append(1), real(self, work))[1]
    )
    for day in (0, 0, 0, 1, 1):
        clock.append(NOW + timedelta(days=day))
        assert client.get("/keys", headers=bearing(key)).status_code == 200
    assert len(writes) == 2
    assert (
        client.get("/keys", headers=ANN).json["keys"][0]["used"]
        == (NOW + timedelta(days=1)).date().isoformat()
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key[:-1],
        lambda key: key + "x",
        lambda key: key.upper(),
        lambda key: key.replace("rvt_", "rvt_0"),
        lambda key: "rvt_" + key.split("_", 2)[1] + "_",
        lambda key: key.split("_", 2)[2],
    ],
)
def test_a_key_changed_in_any_part_is_none(client, change):
    key = key_of(client)
    assert client.get("/keys", headers=bearing(change(key))).status_code == 401


def test_a_key_or_token_in_an_address_is_not_looked_at(client):
    key = key_of(client)
    for query in ({"key": key}, {"token": key}, {"access_token": "of-ann"}):
        assert client.get("/keys", query_string=query).status_code == 401
    assert client.get(f"/keys/{key}").status_code == 404


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"name": ""}, "1 to 100 characters"),
        ({"name": "x" * 101}, "1 to 100 characters"),
        ({"name": "x", "scopes": ["root"]}, "'root'"),
        ({"name": "x", "scopes": []}, "needs at least one scope"),
        ({"name": "x", "days": 366}, "1 to 365 days"),
        ({"name": "x", "days": 0}, "1 to 365 days"),
        ({"name": "x", "days": 10**30}, "days"),
        ({"name": "x", "colour": "red"}, "colour"),
        ({}, "name"),
    ],
)
def test_an_invalid_key_request_is_rejected(client, body, says):
    answer = client.post("/keys", json=body, headers=ANN)
    assert answer.status_code == 422 and says in answer.json["detail"]


def test_there_are_only_so_many_keys_and_a_revoked_one_makes_room(backend, clock):
    made = [create_key(backend, f"key {number}", owner="ann")[0] for number in range(20)]
    with pytest.raises(InvalidInputError, match="20 keys are the most allowed"):
        create_key(backend, "one more", owner="ann")
    revoke_key(backend, made[0].id, "ann")
    with pytest.raises(QuotaExceededError, match="20 keys have been created today"):
        create_key(backend, "one more", owner="ann")
    clock.append(NOW + timedelta(hours=12))
    create_key(backend, "one more", owner="ann")
    create_key(backend, "of another", owner="bob")
    with pytest.raises(NotFoundError):
        revoke_key(backend, made[1].id, "bob")
    assert len(list_keys(backend, "ann")) == 21


def test_no_log_line_tells_a_key_or_a_token(client, backend, capsys, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("out of order")

    before = logging.getLogger("revisit").handlers[:]
    configure_logging()
    try:
        key = key_of(client, scopes=["read", "write"])
        monkeypatch.setattr("revisit.api.routes.orders.list_order_page", broken)
        assert client.get("/orders", headers=bearing(key)).status_code == 500
        assert client.get("/orders", headers=bearing(key + "x")).status_code == 401
        assert client.get("/orders", headers=ANN).status_code == 500
    finally:
        logging.getLogger("revisit").handlers[:] = before
    said = "".join(capsys.readouterr())
    assert (
        "out of order" in said
        and key not in said
        and key.split("_", 2)[2] not in said
        and "of-ann" not in said
    )


def test_a_rejected_request_is_logged_with_its_address_and_without_its_credentials(client, monkeypatch):
    lines = []
    keeping = logging.Handler()
    keeping.emit = lambda record: lines.append((record.getMessage(), record.line))
    monkeypatch.setattr(logging.getLogger("revisit"), "handlers", [keeping])
    answers = [
        client.get(
            "/subscriptions/sub_1", headers={**bearing(token), "X-Forwarded-For": f"1.2.3.4, {address}"}
        )
        for token, address in (
            ("guessed-1", "203.0.113.7"),
            ("rvt_guessed_2", "203.0.113.7"),
            ("guessed-3", "203.0.113.8"),
        )
    ]
    assert [line["request_id"] for _, line in lines] == [answer.headers["X-Request-Id"] for answer in answers]
    assert {message for message, _ in lines} == {"unauthenticated request for /subscriptions/<id>"}
    assert lines[0][1]["origin"] == lines[1][1]["origin"] != lines[2][1]["origin"]
    assert "guessed" not in repr(lines) and "203.0.113" not in repr(lines) and "sub_1" not in repr(lines)


def test_keys_that_were_made_by_hand_are_checked_too():
    with pytest.raises(InvalidInputError, match="365 days"):
        ApiKey("a", "ann", "x", "0" * 64, ("read",), NOW, NOW + timedelta(days=366))


def test_on_ones_own_computer_a_key_is_good_beside_the_token_and_for_its_scopes_only(tmp_path):
    backend = local_backend(tmp_path / "data", (), lambda: NOW)
    client = create_app(backend, token="sesame").test_client()
    _, key = create_key(backend, "script")
    assert client.get("/subscriptions", headers=bearing(key)).status_code == 200
    assert client.post("/subscriptions", json=WATCH, headers=bearing(key)).status_code == 403
    assert client.get("/status", headers=bearing(key)).status_code == 403
    assert client.get("/subscriptions", headers=bearing(key + "x")).status_code == 401
    assert client.get("/subscriptions").status_code == 401
    assert client.post("/subscriptions", json=WATCH, headers=bearing("sesame")).status_code == 201


# ------------------------------------------------------------------------------------------------------------
# other origins


def test_a_page_of_the_deployments_site_may_ask_and_read_what_it_needs(client):
    asked = client.options(
        "/subscriptions",
        headers={
            "Origin": SITE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )
    assert asked.status_code == 204 and asked.headers["Access-Control-Allow-Origin"] == SITE
    assert (
        "POST" in asked.headers["Access-Control-Allow-Methods"]
        and "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    )
    made = client.post(
        "/subscriptions", json=WATCH, headers={**ANN, "Origin": SITE, "Sec-Fetch-Site": "cross-site"}
    )
    assert made.status_code == 201 and made.headers["Access-Control-Allow-Origin"] == SITE
    assert {"Location", "ETag", "Retry-After"} <= {
        name.strip() for name in made.headers["Access-Control-Expose-Headers"].split(",")
    }
    assert "Access-Control-Allow-Credentials" not in made.headers and "Origin" in made.headers["Vary"]
    refused = client.get("/subscriptions", headers={"Origin": SITE})
    assert refused.status_code == 401 and refused.headers["Access-Control-Allow-Origin"] == SITE


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://watch.example.org.evil.example",
        "http://watch.example.org",
        "null",
        "*",
        "https://watch.example.org:8443",
        "https://WATCH.example.org",
    ],
)
def test_a_page_of_any_other_origin_is_given_no_word_of_permission(client, origin):
    asked = client.options(
        "/subscriptions", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
    )
    assert not [name for name, _ in asked.headers if name.startswith("Access-Control")]
    assert client.post("/subscriptions", json=WATCH, headers={**ANN, "Origin": origin}).status_code == 403
    read = client.get("/subscriptions", headers={**ANN, "Origin": origin})
    assert "Access-Control-Allow-Origin" not in read.headers and "Origin" in read.headers["Vary"]


def test_a_site_may_change_nothing_without_its_users_token(client):
    assert client.post("/subscriptions", json=WATCH, headers={"Origin": SITE}).status_code == 403


def test_a_local_server_sends_no_cors_origin(tmp_path):
    answer = (
        create_app(local_backend(tmp_path / "data")).test_client().get("/health", headers={"Origin": SITE})
    )
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
