"""A subscription that is changed, in part, by several at once, and what stays with it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from products import FIELD, NOW, add_to_catalog, product
from revisit.api import create_app
from revisit.api.http.request_context import Principal
from revisit.domain.job import Job
from revisit.domain.subscription import Subscription
from subscription_samples import (
    BOW_TIE,
    DISTANT_FIELD,
    HOOK,
    HOOK_2,
    NEARBY_FIELD,
    SUBSCRIPTION_BODY,
    add_job,
    finish_with_alert,
)


def test_what_is_named_is_changed_and_all_else_stays(client):
    made = client.post("/subscriptions", json={**SUBSCRIPTION_BODY, "min_clear": 30}).json
    here = f"/subscriptions/{made['subscription']}"
    changed = client.patch(
        here, json={"name": " lake ", "level": "L1C", "max_cloud": None, "bands": ["nir"]}
    ).json
    different = {
        "name": "lake",
        "level": "L1C",
        "max_cloud": None,
        "recipe": {**made["recipe"], "bands": ["B08"]},
    }
    assert changed == {**made, **different} == client.get(here).json
    assert client.patch(here, json={"indices": ["evi"], "resolution_m": 20}).json["recipe"] == {
        "bands": ["B08"],
        "indices": ["EVI"],
        "resolution_m": 20,
        "resampling": "bilinear",
    }
    assert client.patch(here, json={"min_clear": 55.5}).json["min_clear"] == 55.5
    limits = {"min_coverage": None, "min_clear_of": "seen"}
    assert {name: client.patch(here, json=limits).json[name] for name in limits} == limits


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "nothing to change"),
        ({"name": " "}, "1 to 200"),
        ({"state": "deleted"}, "deleted"),
        ({"max_cloud": 101}, "percentage"),
        ({"indices": []}, "at least one"),
        ({"indices": ["NDVY"]}, "did you mean NDVI"),
        ({"aoi": BOW_TIE}, "crosses itself"),
        ({"level": "L9"}, "L9"),
        ({"webhooks": ["http://10.0.0.1/"]}, "https"),
        ({"files": ["../x"]}, "file channel"),
        ({"owner": "me"}, "owner"),
        ({"alerts": 0}, "alerts"),
        ({"webhooks": [f"https://hooks.example.com/{number}" for number in range(21)]}, "20 channels"),
        ({"name": "x\x1fy"}, "control character"),
        ({"name": None}, "name"),
    ],
)
def test_an_invalid_change_changes_nothing(client, body, says):
    made = client.post("/subscriptions", json=SUBSCRIPTION_BODY).json
    here = f"/subscriptions/{made['subscription']}"
    refused = client.patch(here, json={**({"min_clear": 9} if body else {}), **body})
    assert refused.status_code == 422 and says in refused.json["detail"]
    assert client.get(here).json == made


def test_a_changed_area_keeps_id_log_and_number(client, backend):
    made = client.post("/subscriptions", json={**SUBSCRIPTION_BODY, "webhooks": [HOOK]}).json
    here = f"/subscriptions/{made['subscription']}"
    finish_with_alert(backend, add_job(backend, made["subscription"], product(1)))
    under_way = add_job(backend, made["subscription"], product(2))
    changed = client.patch(here, json={"aoi": DISTANT_FIELD}).json
    assert (changed["subscription"], changed["alerts"], changed["feed"]) == (
        made["subscription"],
        1,
        made["feed"],
    )
    assert changed["aoi"] == DISTANT_FIELD and changed["tiles"] != made["tiles"]
    assert [
        one.id for one in backend.records.find(Subscription, tiles=changed["tiles"][0], state="active")
    ] == [made["subscription"]]
    assert backend.records.find(Subscription, tiles="32TNR", state="active") == []
    finish_with_alert(backend, under_way)  # as it was begun, over the area of then
    assert [alert["number"] for alert in client.get(f"{here}/alerts").json["alerts"]] == [1, 2]
    assert backend.records.get(Job, under_way.id).aoi == FIELD
    assert client.get(here).json["last_alert"] == {
        "number": 2,
        "datetime": "2024-06-02T10:16:00Z",
        "created": "2024-07-01T12:00:00Z",
    }


def test_a_series_is_of_one_area(client, backend):
    here = client.post("/subscriptions", json=SUBSCRIPTION_BODY).headers["Location"]
    id = here.rpartition("/")[2]
    finish_with_alert(backend, add_job(backend, id, product(1)))
    client.patch(here, json={"aoi": NEARBY_FIELD})
    finish_with_alert(backend, add_job(backend, id, product(2)))
    assert [
        seen["datetime"][:10] for seen in client.get(f"{here}/series?index=NDVI").json["observations"]
    ] == ["2024-06-02"]
    assert len(client.get(f"{here}/results").json["jobs"]) == 2


def test_if_match_holds_a_change_to_what_was_read(client, backend):
    here = client.post("/subscriptions", json=SUBSCRIPTION_BODY).headers["Location"]
    tag = client.get(here).headers["ETag"]
    first = client.patch(here, json={"name": "one"}, headers={"If-Match": tag})
    assert first.status_code == 200 and first.headers["ETag"] != tag
    refused = client.patch(here, json={"name": "two"}, headers={"If-Match": tag})
    assert (refused.status_code, refused.content_type) == (
        412,
        "application/problem+json",
    ) and "changed since" in refused.json["detail"]
    assert client.delete(here, headers={"If-Match": tag}).status_code == 412
    assert (
        client.patch(
            here, json={"name": "two"}, headers={"If-Match": f'"other", {first.headers["ETag"]}'}
        ).json["name"]
        == "two"
    )
    assert client.patch(here, json={"name": "three"}, headers={"If-Match": "*"}).json["name"] == "three"
    assert client.patch(here, json={"name": "four"}).json["name"] == "four"
    assert client.delete(here, headers={"If-Match": client.get(here).headers["ETag"]}).status_code == 204


def test_an_alert_that_comes_makes_another_answer_but_no_other_state_to_change(client, backend):
    here = client.post("/subscriptions", json=SUBSCRIPTION_BODY).headers["Location"]
    tag = client.get(here).headers["ETag"]
    assert client.get(here, headers={"If-None-Match": tag}).status_code == 304
    finish_with_alert(backend, add_job(backend, here.rpartition("/")[2], product(1)))
    assert client.get(here, headers={"If-None-Match": tag}).status_code == 200
    assert client.patch(here, json={"name": "one"}, headers={"If-Match": tag}).status_code == 200


def test_changes_at_the_same_time_undo_none_of_one_another(client, backend):
    here = client.post("/subscriptions", json=SUBSCRIPTION_BODY).headers["Location"]
    parts = [
        {"name": "lake"},
        {"level": "L1C"},
        {"max_cloud": 7},
        {"min_clear": 8},
        {"bands": ["B02"]},
        {"aoi": NEARBY_FIELD},
        {"webhooks": [HOOK]},
        {"files": ["log"]},
    ]
    with ThreadPoolExecutor(len(parts)) as pool:
        assert {
            answer.status_code
            for answer in pool.map(
                lambda part: create_app(backend).test_client().patch(here, json=part), parts
            )
        } == {200}
    document = client.get(here).json
    assert (
        document["name"],
        document["level"],
        document["max_cloud"],
        document["min_clear"],
        document["recipe"]["bands"],
        document["aoi"],
    ) == ("lake", "L1C", 7, 8, ["B02"], NEARBY_FIELD)
    assert {way["target"] for way in document["channels"]} == {HOOK, "log"}


def test_a_webhook_that_is_added_tells_its_secret_once_and_never_has_that_of_before(client):
    here = client.post("/subscriptions", json=SUBSCRIPTION_BODY).headers["Location"]
    added = client.patch(here, json={"webhooks": [HOOK]})
    secret = added.json["channels"][0]["secret"]
    assert (
        secret.startswith("whsec_")
        and added.headers["Cache-Control"] == "no-store"
        and "whsec_" not in client.get(here).text
    )
    both = client.patch(here, json={"webhooks": [HOOK, HOOK_2]}).json["channels"]
    assert ["secret" in way for way in both] == [False, True]
    assert client.patch(here, json={"webhooks": []}).json["channels"] == []


def test_a_webhook_that_comes_back_is_signed_with_another_secret(client, clock):
    made = client.post("/subscriptions", json={**SUBSCRIPTION_BODY, "webhooks": [HOOK], "files": ["log"]})
    here, secrets = made.headers["Location"], {made.json["channels"][0]["secret"]}
    for _ in range(3):
        clock.append(clock[-1] + timedelta(seconds=30))
        assert [way["target"] for way in client.patch(here, json={"webhooks": []}).json["channels"]] == [
            "log"
        ]
        secrets.add(client.patch(here, json={"webhooks": [HOOK]}).json["channels"][0]["secret"])
    assert len(secrets) == 4


def test_a_disabled_webhook_that_is_named_gets_alerts_again(client, backend):
    made = client.post("/subscriptions", json={**SUBSCRIPTION_BODY, "webhooks": [HOOK]}).json
    there = backend.records.get(Subscription, made["subscription"])
    dead = replace(there.channels[0], state="disabled", reason="410")
    backend.commit(lambda commit: commit.put(there.with_changes(channels=(dead,))), completes_event=False)
    document = client.patch(f"/subscriptions/{there.id}", json={"webhooks": [HOOK]}).json["channels"][0]
    assert (document["state"], document["reason"]) == ("live", None) and "secret" not in document


def test_a_change_and_a_pause_are_one(client, backend):
    here = client.post("/subscriptions", json=SUBSCRIPTION_BODY).headers["Location"]
    paused = client.patch(here, json={"state": "paused", "name": "resting"}).json
    assert (paused["state"], paused["name"], paused["paused"]) == (
        "paused",
        "resting",
        "2024-07-01T12:00:00Z",
    )
    add_to_catalog(backend, replace(product(30), published=NOW + timedelta(minutes=1)))
    resumed = client.patch(here, json={"state": "active", "max_cloud": 50}).json
    assert (resumed["state"], resumed["paused"]) == ("active", None)
    assert [job["datetime"][:10] for job in client.get(f"{here}/results").json["jobs"]] == ["2024-06-30"]


def test_what_began_alike_and_was_changed_is_another_subscription(client):
    first = client.post("/subscriptions", json=SUBSCRIPTION_BODY).json
    client.patch(f"/subscriptions/{first['subscription']}", json={"name": "renamed"})
    second = client.post("/subscriptions", json=SUBSCRIPTION_BODY).json
    assert second["subscription"] != first["subscription"]
    assert (
        client.post("/subscriptions", json=SUBSCRIPTION_BODY).json["subscription"] == second["subscription"]
    )
    assert client.get(second["feed"]).status_code == client.get(first["feed"]).status_code == 200
    assert [one["name"] for one in client.get("/subscriptions").json["subscriptions"]] in (
        ["renamed", "field"],
        ["field", "renamed"],
    )
    assert client.patch(f"/subscriptions/{first['subscription']}", json={"name": "field"}).status_code == 409
    third = client.post("/subscriptions", json={**SUBSCRIPTION_BODY, "name": "third"}).json
    refused = client.patch(f"/subscriptions/{second['subscription']}", json={"name": "third"})
    assert refused.status_code == 409 and "another subscription 'third'" in refused.json["detail"]
    client.delete(f"/subscriptions/{third['subscription']}")
    assert client.patch(f"/subscriptions/{second['subscription']}", json={"name": "third"}).status_code == 200


def test_a_guest_has_no_more_webhooks_by_a_change_than_when_one_is_made(backend):
    client = create_app(backend, authenticate=lambda _: Principal("ann")).test_client()
    hooks = [f"{HOOK}/{number}" for number in range(7)]
    first = client.post("/subscriptions", json={**SUBSCRIPTION_BODY, "webhooks": hooks[:3]}).headers[
        "Location"
    ]
    second = client.post(
        "/subscriptions", json={**SUBSCRIPTION_BODY, "name": "second", "webhooks": hooks[3:5]}
    ).headers["Location"]
    refused = client.patch(second, json={"webhooks": hooks[3:6]})
    assert refused.status_code == 422 and "5 different webhooks" in refused.json["detail"]
    assert client.patch(second, json={"webhooks": hooks[:5]}).status_code == 200  # three of them it shares
    assert client.patch(first, json={"webhooks": []}).status_code == 200
    assert client.patch(second, json={"webhooks": hooks[2:7]}).status_code == 200
