"""What is watched, by the API: feeds and their secret addresses, passes, the calendar, deliveries."""

from datetime import timedelta
from threading import Event

from products import FIELD, NOW, add_to_catalog, product
from revisit.domain.delivery import Attempt, Delivery
from revisit.domain.subscription import Subscription
from revisit.errors import TransientError
from subscription_samples import DISTANT_FIELD, HOOK, SUBSCRIPTION_BODY, add_job, finish_with_alert


def test_a_new_feed_address_ends_the_previous_one_at_once(client):
    made = client.post("/subscriptions", json=SUBSCRIPTION_BODY).json
    here = f"/subscriptions/{made['subscription']}"
    renewed = client.post(f"{here}/feed", headers={"Idempotency-Key": "lost"}).json
    assert renewed["feed"] != made["feed"] and renewed["calendar"] == renewed["feed"].replace(".atom", ".ics")
    assert client.post(f"{here}/feed", headers={"Idempotency-Key": "lost"}).json == renewed
    assert [client.get(path).status_code for path in (made["feed"], renewed["feed"])] == [404, 200]
    assert client.get(here).json["feed"] == renewed["feed"]
    assert client.delete(f"{here}/feed").status_code == 204
    assert client.get(renewed["feed"]).status_code == 404
    document = client.get(here).json
    assert (document["feed"], document["calendar"]) == (None, None)
    assert client.get(client.post(f"{here}/feed").json["feed"]).status_code == 200


def test_one_that_lives_again_has_a_feed_though_it_was_taken_away_before(client):
    here = client.post("/subscriptions", json=SUBSCRIPTION_BODY).headers["Location"]
    client.delete(f"{here}/feed")
    client.delete(here)
    assert client.get(client.post("/subscriptions", json=SUBSCRIPTION_BODY).json["feed"]).status_code == 200


def seen(backend) -> None:
    """Two platforms over the field: one on the 24th, one on the 29th, ten days apart before that."""
    add_to_catalog(
        backend,
        *[
            product(day, platform=platform, relative_orbit=65)
            for day, platform in ((4, "S2A"), (14, "S2A"), (24, "S2A"), (9, "S2B"), (19, "S2B"), (29, "S2B"))
        ],
        product(30, platform="S2C", relative_orbit=22, west=9.9, footprint=None),
    )


def test_passes_over_an_area_are_learnt_from_the_catalog(client, backend):
    assert client.post("/aoi", json={"aoi": FIELD}).json["next_pass"] is None
    seen(backend)
    # By hand: S2A on July 4, 14, 24; S2B on July 9, 19, 29; S2C does not reach the field.
    document = client.post("/aoi", json={"aoi": FIELD}).json
    assert (document["next_pass"], document["passes_per_month"]) == ("2024-07-04T10:16:00Z", 6)
    assert client.get("/aoi?tile=32TNR").json["passes_per_month"] == 9


def test_what_is_watched_tells_its_next_pass_and_its_last_alert(client, backend):
    seen(backend)
    here = client.post("/subscriptions", json=SUBSCRIPTION_BODY).headers["Location"]
    client.post("/subscriptions", json={**SUBSCRIPTION_BODY, "name": "far", "aoi": DISTANT_FIELD})
    finish_with_alert(backend, add_job(backend, here.rpartition("/")[2], product(24, relative_orbit=65)))
    there = {one["name"]: one for one in client.get("/subscriptions").json["subscriptions"]}
    assert [there[name]["next_pass"] for name in ("field", "far")] == ["2024-07-04T10:16:00Z", None]
    assert [there[name]["last_alert"] for name in ("field", "far")] == [
        {"number": 1, "datetime": "2024-06-24T10:16:00Z", "created": "2024-07-01T12:00:00Z"},
        None,
    ]
    assert client.get(here).json == there["field"]


def test_the_last_alert_is_found_for_a_record_without_its_time(client, backend):
    here = client.post("/subscriptions", json=SUBSCRIPTION_BODY).headers["Location"]
    for day in (1, 2):
        finish_with_alert(backend, add_job(backend, here.rpartition("/")[2], product(day)))
    before = backend.records.get(Subscription, here.rpartition("/")[2])
    backend.commit(
        lambda commit: commit.put(before.with_changes(last_sensing=None, last_alert=None)),
        completes_event=False,
    )
    last = {"number": 2, "datetime": "2024-06-02T10:16:00Z", "created": "2024-07-01T12:00:00Z"}
    assert (
        client.get(here).json["last_alert"]
        == client.get("/subscriptions").json["subscriptions"][0]["last_alert"]
        == last
    )


def test_the_catalog_is_read_once_per_list_and_a_list_works_without_it(client, backend, clock, monkeypatch):
    seen(backend)
    for number in range(5):
        client.post("/subscriptions", json={**SUBSCRIPTION_BODY, "name": f"field {number}"})
    searches = []
    search = type(backend.catalog()).search
    monkeypatch.setattr(
        type(backend.catalog()),
        "search",
        lambda self, query: (searches.append(query), search(self, query))[1],
    )
    for _ in range(3):
        assert [one["next_pass"] for one in client.get("/subscriptions").json["subscriptions"]] == [
            "2024-07-04T10:16:00Z"
        ] * 5
    assert len(searches) == 1

    def broken(self, query):
        raise TransientError("the catalog does not answer")

    monkeypatch.setattr(type(backend.catalog()), "search", broken)
    client.post("/subscriptions", json={**SUBSCRIPTION_BODY, "name": "far", "aoi": DISTANT_FIELD})
    response = client.get("/subscriptions")
    assert (
        response.status_code == 200
        and [one["next_pass"] for one in response.json["subscriptions"]] == [None] * 6
    )
    monkeypatch.setattr(type(backend.catalog()), "search", search)
    clock.append(NOW + timedelta(minutes=2))
    assert [one["next_pass"] for one in client.get("/subscriptions").json["subscriptions"]].count(
        "2024-07-04T10:16:00Z"
    ) == 5


def test_a_catalog_that_takes_long_holds_up_no_list(client, backend, monkeypatch):
    seen(backend)
    client.post("/subscriptions", json=SUBSCRIPTION_BODY)
    search, go = type(backend.catalog()).search, Event()
    monkeypatch.setattr(
        type(backend.catalog()), "search", lambda self, query: (go.wait(20), search(self, query))[1]
    )
    monkeypatch.setattr("revisit.services.products.passes.CATALOG_TIMEOUT_S", 0.2)
    assert client.get("/subscriptions").json["subscriptions"][0]["next_pass"] is None
    go.set()
    monkeypatch.setattr("revisit.services.products.passes.CATALOG_TIMEOUT_S", 20)
    assert client.get("/subscriptions").json["subscriptions"][0]["next_pass"] == "2024-07-04T10:16:00Z"


def test_the_calendar_tells_the_passes_of_three_months(client, backend):
    import icalendar

    seen(backend)
    made = client.post(
        "/subscriptions", json={**SUBSCRIPTION_BODY, "name": "field; of wheat, \u00e4cker"}
    ).json
    response = client.get(made["calendar"])
    assert response.content_type == "text/calendar; charset=utf-8"
    calendar = icalendar.Calendar.from_ical(response.data)
    entries = calendar.walk("VEVENT")
    # July 4 to September 29: nine of each platform.
    assert len(entries) == 18 and entries[0]["dtstart"].dt.isoformat() == "2024-07-04T10:16:00+00:00"
    assert "field; of wheat, \u00e4cker" in calendar["x-wr-calname"]
    assert client.get(made["calendar"].replace(".ics", "x.ics")).status_code == 404


def test_deliveries_are_paged_with_their_attempts_and_retried(client, backend, clock):
    made = client.post("/subscriptions", json={**SUBSCRIPTION_BODY, "webhooks": [HOOK]}).json
    here = f"/subscriptions/{made['subscription']}"
    for day in range(1, 6):
        clock.append(NOW + timedelta(minutes=day))
        finish_with_alert(backend, add_job(backend, made["subscription"], product(day)))
    whole = client.get(f"{here}/deliveries").json
    assert [way["created"][14:16] for way in whole["deliveries"]] == ["05", "04", "03", "02", "01"] and whole[
        "next"
    ] is None
    pages, after = [], ""
    while after is not None:
        page = client.get(f"{here}/deliveries", query_string={"limit": 2, "after": after}).json
        pages.append([way["delivery"] for way in page["deliveries"]])
        after = page["next"]
    assert [len(page) for page in pages] == [2, 2, 1] and [id for page in pages for id in page] == [
        way["delivery"] for way in whole["deliveries"]
    ]
    last = backend.records.get(Delivery, pages[0][0])
    backend.commit(
        lambda commit: commit.put(
            last.with_changes(state="failed", due=None, attempts=(Attempt(clock[-1], "410"),))
        ),
        completes_event=False,
    )
    [failed] = client.get(f"{here}/deliveries?state=failed").json["deliveries"]
    assert (failed["delivery"], failed["attempts"]) == (
        last.id,
        [{"at": "2024-07-01T12:05:00Z", "outcome": "410"}],
    )
    again = client.post(f"/deliveries/{last.id}/redeliver")
    assert (again.status_code, again.json["delivery"], again.json["state"], again.json["due"]) == (
        202,
        last.id,
        "due",
        "2024-07-01T12:05:00Z",
    )
    assert (
        client.get(f"{here}/deliveries?state=none").status_code
        == client.get(f"{here}/deliveries?after=none").status_code
        == 422
    )
