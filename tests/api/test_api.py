"""The API by its real application: what it answers, what it refuses and how."""

import hashlib
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from products import FIELD, NOW, WATCH, add_to_catalog, end_job, product
from revisit import __version__
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from revisit.api.http.request_context import Principal
from revisit.domain.alert import Alert, alert_id
from revisit.domain.clock import format_rfc3339
from revisit.domain.events import JobStarted
from revisit.domain.job import Cover, Job, Statistics
from revisit.ports.cloudevents import Envelope
from revisit.ports.system_records import DeadLetter, IdempotencyRecord
from revisit.services.subscriptions.results import list_jobs

ROOT = Path(__file__).parents[2]


def worked(client, backend) -> Job:
    """The one job of an order over one product, done, with a file of 1,000 known bytes."""
    add_to_catalog(backend, product(1))
    placed = client.post("/orders", json={"aoi": FIELD})
    file = backend.assets.workspace() / "ndvi"
    file.write_bytes(bytes(range(250)) * 4)
    asset = backend.assets.store(
        file, "jobs/x/NDVI.tif", "image/tiff; application=geotiff; profile=cloud-optimized"
    )
    job = list_jobs(backend, placed.json["order"])[0]
    return end_job(
        backend,
        job,
        cover=Cover(10, 8, 6, cloud=2),
        assets=(asset,),
        notes=("a note",),
        indices={"NDVI": Statistics(6, 1 / 3, 0.125, 0.1, 0.5, 0.25)},
    )


def test_health_limits_and_status_answer(client):
    assert client.get("/health").json["status"] == "ok"
    assert client.get("/limits").json["subscriptions"] == 10_000
    document = client.get("/status").json
    assert document["jobs"] == {"started": 0, "extracted": 0, "done": 0, "skipped": 0, "failed": 0}
    assert document["queue"]["ready"] == 0 and document["dead_letters"] == 0


def test_slashes_that_are_doubled_or_at_the_end_of_an_address_say_nothing(client, backend):
    add_to_catalog(backend, product(1))
    point = {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [9.31, 45.31]}]}
    for path in ("/stac", "/stac/collections", "/limits", "/health", "/subscriptions", "/conformance"):
        for form in (f"{path}/", f"/{path}", f"{path}//", path.replace("/", "//")):
            # The client itself would read //name as the name of a host.
            assert client.get("/", environ_overrides={"PATH_INFO": form}).text == client.get(path).text
    found = client.post("/stac/search/", json={"intersects": point}).json
    assert found == client.post("/stac/search", json={"intersects": point}).json
    assert [item["id"] for item in found["features"]] == [product(1).id]
    assert found["links"] and "search/" not in str(found["links"])
    assert client.post("/subscriptions/", json=WATCH).headers["Location"].startswith("/subscriptions/sub")
    assert client.get("/docs/").headers["Location"] == "/docs"
    assert client.get("/nothing/").status_code == client.get("/nothing").status_code == 404


def test_files_of_a_data_folder_with_a_relative_path_are_sent(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backend = local_backend(Path("data"), (), lambda: NOW)
    client = create_app(backend, Path("data")).test_client()
    job = worked(client, backend)
    monkeypatch.chdir("/")
    assert client.get(f"/results/{job.id}/assets/NDVI").data == bytes(range(250)) * 4
    assert Path(backend.settings.channel_folder) == tmp_path / "data" / "channels"


def test_status_is_not_sent_again_while_nothing_changes(client, backend):
    tag = client.get("/status").headers["ETag"]
    assert client.get("/status", headers={"If-None-Match": tag}).status_code == 304
    client.post("/subscriptions", json=WATCH)
    assert client.get("/status", headers={"If-None-Match": tag}).status_code == 200


def test_a_subscription_is_made_shown_listed_paused_resumed_and_deleted(client):
    made = client.post("/subscriptions", json=WATCH)
    assert (
        made.status_code == 201 and made.headers["Location"] == f"/subscriptions/{made.json['subscription']}"
    )
    here = made.headers["Location"]
    assert client.get(here).json["recipe"]["indices"] == ["NDVI"] and client.get(here).json["tiles"] == [
        "32TNR"
    ]
    assert [one["name"] for one in client.get("/subscriptions").json["subscriptions"]] == ["field"]
    assert client.patch(here, json={"state": "paused"}).json["state"] == "paused"
    assert client.patch(here, json={"state": "active"}).json["state"] == "active"
    assert client.patch(here, json={"state": "asleep"}).status_code == 422
    assert client.delete(here).status_code == 204
    assert client.get(here).status_code == 404


def test_a_webhook_secret_is_shown_when_the_subscription_is_made_and_never_again(client):
    made = client.post("/subscriptions", json={**WATCH, "webhooks": ["https://hooks.example.com/x"]})
    assert made.json["channels"][0]["secret"].startswith("whsec_")
    shown = client.get(made.headers["Location"])
    assert "whsec_" not in shown.text and shown.json["channels"][0]["target"] == "https://hooks.example.com/x"


def test_a_new_webhook_secret_is_shown_once_with_the_end_of_the_old_one(client):
    made = client.post("/subscriptions", json={**WATCH, "webhooks": ["https://hooks.example.com/x"]})
    [channel] = made.json["channels"]
    here = f"{made.headers['Location']}/channels/{channel['id']}/secret"
    rotated = client.post(here)
    assert rotated.status_code == 200 and rotated.headers["Cache-Control"] == "no-store"
    assert rotated.json == {
        "subscription": made.json["subscription"],
        "channel": channel["id"],
        "target": "https://hooks.example.com/x",
        "before_until": format_rfc3339(NOW + timedelta(hours=24)),
        "secret": rotated.json["secret"],
    }
    assert rotated.json["secret"].startswith("whsec_") and rotated.json["secret"] != channel["secret"]
    assert client.post(here).json["secret"] not in (rotated.json["secret"], channel["secret"])
    assert client.post(f"{made.headers['Location']}/channels/none/secret").status_code == 404


def test_an_order_is_accepted_and_tells_how_far_it_is(client, backend):
    add_to_catalog(backend, product(1), product(2))
    placed = client.post(
        "/orders", json={"aoi": FIELD, "indices": ["NDVI"], "start": "2024-06-02", "end": "2024-06-02"}
    )
    assert placed.status_code == 202 and placed.json["total"] == 1
    running = client.get(placed.headers["Location"])
    assert running.json["state"] == "running" and running.headers["Retry-After"] == "1"
    end_job(backend, list_jobs(backend, placed.json["order"])[0], "failed", reason="B04 cannot be read")
    over = client.get(placed.headers["Location"]).json
    assert (over["state"], over["jobs"][0]["state"], over["jobs"][0]["reason"]) == (
        "finished",
        "failed",
        "B04 cannot be read",
    )
    assert [one["order"] for one in client.get("/orders").json["orders"]] == [over["order"]]


def test_a_job_tells_its_numbers_to_nine_digits(client, backend):
    job = worked(client, backend)
    document = client.get(f"/orders/{job.orders[0]}").json["jobs"][0]
    assert document["indices"]["NDVI"] == {
        "count": 6,
        "mean": 0.333333333,
        "std": 0.125,
        "min": 0.1,
        "max": 0.5,
        "median": 0.25,
    }
    assert (document["coverage"], document["clear_fraction"], document["item"], document["notes"]) == (
        0.8,
        0.75,
        f"/results/{job.id}",
        ["a note"],
    )
    assert backend.assets.locate("jobs") not in json.dumps(document)


def test_a_result_is_a_stac_item_that_leads_to_its_files(client, backend):
    job = worked(client, backend)
    item = client.get(f"/results/{job.id}")
    assert item.content_type == "application/geo+json"
    assert (item.json["type"], item.json["stac_version"], item.json["id"]) == ("Feature", "1.1.0", job.id)
    asset = item.json["assets"]["NDVI"]
    file = client.get(asset["href"])
    assert file.data == bytes(range(250)) * 4 and file.content_type == asset["type"]
    assert asset["file:checksum"] == "1220" + hashlib.sha256(file.data).hexdigest()


def test_a_file_is_sent_in_ranges_and_not_again_where_it_is_known(client, backend):
    job = worked(client, backend)
    here = f"/results/{job.id}/assets/NDVI"
    part = client.get(here, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.data, part.headers["Content-Range"]) == (
        206,
        bytes(range(10, 20)),
        "bytes 10-19/1000",
    )
    assert part.headers["ETag"] == f'"{job.assets[0].sha256}"'
    assert client.get(here, headers={"If-None-Match": part.headers["ETag"]}).status_code == 304
    assert client.get(here, headers={"Range": "bytes=5000-"}).status_code == 416
    assert client.get(f"/results/{job.id}/assets/../../etc/passwd").status_code == 404
    assert client.get(f"/results/{job.id}/assets/EVI").status_code == 404


def test_results_are_listed_latest_first_up_to_the_limit(client, backend):
    add_to_catalog(backend, product(1), product(2))
    here = client.post("/orders", json={"aoi": FIELD}).headers["Location"]
    assert [job["datetime"][:10] for job in client.get(f"{here}/results").json["jobs"]] == [
        "2024-06-01",
        "2024-06-02",
    ]
    assert [job["datetime"][:10] for job in client.get(f"{here}/results?limit=1").json["jobs"]] == [
        "2024-06-02"
    ]
    assert client.get(f"{here}/results?limit=0").status_code == 422


def test_an_open_job_is_no_item_yet(client, backend):
    add_to_catalog(backend, product(1))
    placed = client.post("/orders", json={"aoi": FIELD}).json
    assert client.get(f"/results/{list_jobs(backend, placed['order'])[0].id}").status_code == 409


def test_a_series_is_json_or_csv(client, backend):
    job = worked(client, backend)
    here = f"/orders/{job.orders[0]}/series?index=NDVI"
    assert client.get(here).json["observations"][0]["mean"] == 0.333333333
    table = client.get(f"{here}&format=csv")
    assert table.content_type.startswith("text/csv")
    assert table.text.splitlines()[1].startswith(
        "2024-06-01T10:16:00Z,S2A_20240601T101600_T32TNR,6,0.333333333,"
    )
    assert client.get(f"{here}&format=xml").status_code == 422


def test_alerts_and_feed_tell_the_same_log(client, backend):
    made = client.post("/subscriptions", json=WATCH).json
    for number in (1, 2, 3):
        seen = product(number)
        backend.commit(
            lambda commit, number=number, seen=seen: commit.put(
                Alert(
                    alert_id(made["subscription"], seen.acquisition),
                    made["subscription"],
                    number,
                    "job_x",
                    seen.acquisition,
                    seen.id,
                    seen.sensing_time,
                    NOW,
                    Cover(1, 1, 1),
                    {},
                )
            ),
            completes_event=False,
        )
    log = client.get(f"/subscriptions/{made['subscription']}/alerts?after=1&limit=1").json
    assert ([alert["number"] for alert in log["alerts"]], log["last"]) == ([2], 2)
    assert client.get(f"/subscriptions/{made['subscription']}/alerts?after=-1").status_code == 422
    feed = client.get(made["feed"])
    assert feed.content_type.startswith("application/atom+xml") and feed.text.count("<entry>") == 3
    assert client.get(made["feed"].replace(".atom", "x.atom")).status_code == 404
    assert client.get(f"/feeds/{made['subscription']}.atom").status_code == 404


def test_the_same_key_and_body_get_the_same_answer_for_a_day(client, backend, clock):
    key = {"Idempotency-Key": "one"}
    first = client.post("/subscriptions", json=WATCH, headers=key)
    again = client.post("/subscriptions", json=WATCH, headers=key)
    assert (again.status_code, again.data, again.headers["Location"]) == (
        201,
        first.data,
        first.headers["Location"],
    )
    other = client.post("/subscriptions", json={**WATCH, "name": "another"}, headers=key)
    assert other.status_code == 422 and "was used for another request" in other.json["detail"]
    assert client.post("/subscriptions?x=y", json=WATCH, headers=key).status_code == 422
    clock.append(NOW + timedelta(hours=25))
    assert client.post("/subscriptions", json={**WATCH, "name": "another"}, headers=key).status_code == 201


def test_answers_kept_for_a_key_are_forgotten_in_time_however_rarely_one_comes(client, backend, clock):
    for day in range(60):
        clock.append(NOW + timedelta(days=5 * day))
        assert (
            client.post(
                "/subscriptions", json=WATCH, headers={"Idempotency-Key": f"key {day}".replace(" ", "")}
            ).status_code
            == 201
        )
    assert backend.records.count(IdempotencyRecord) < 30


def test_dead_letters_are_listed_and_replayed(client, backend):
    letter = DeadLetter(
        "event_1:extract",
        "extract",
        "job.started",
        "no memory",
        NOW,
        8,
        Envelope(JobStarted("job_1"), NOW).encode().decode(),
    )
    backend.commit(lambda commit: commit.put(letter), completes_event=False)
    listed = client.get("/dead-letters").json["dead_letters"]
    assert listed[0]["reason"] == "no memory"
    assert client.post(listed[0]["replay"], json={}).status_code == 202
    assert client.get("/dead-letters").json["dead_letters"] == []
    assert client.post(listed[0]["replay"], json={}).status_code == 404


def test_a_refresh_is_accepted_for_known_sources_only(tmp_path):
    backend = local_backend(tmp_path / "data", ("folder:/archive",), lambda: NOW)
    client = create_app(backend).test_client()
    assert client.post("/refresh?source=folder:/etc").status_code == 422
    assert client.post("/refresh").status_code == 202
    assert [(depth.function, depth.ready) for depth in backend.bus.depth()] == [("refresh", 1)]


def test_a_token_is_required_except_for_page_health_and_feeds(backend, tmp_path):
    (tmp_path / "token").write_text("sesame\n")
    client = create_app(backend, tmp_path).test_client()
    refused = client.get("/status")
    assert refused.status_code == 401 and refused.headers["WWW-Authenticate"] == "Bearer"
    assert client.get("/status", headers={"Authorization": "Bearer sesam"}).status_code == 401
    assert client.get("/status", headers={"Authorization": "Bearer sesame"}).status_code == 200
    assert client.get("/health").status_code == 200
    feed = client.post("/subscriptions", json=WATCH, headers={"Authorization": "Bearer sesame"}).json["feed"]
    assert client.get(feed).status_code == 200


def test_every_answer_carries_the_security_headers(client):
    for answer in (
        client.get("/health"),
        client.get("/nowhere"),
        client.get("/"),
        client.get("/health", headers={"Host": "evil.example"}),
    ):
        policy = answer.headers["Content-Security-Policy"]
        assert (
            "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        )
        assert (
            answer.headers["X-Content-Type-Options"] == "nosniff"
            and answer.headers["Referrer-Policy"] == "no-referrer"
        )


def test_one_owner_sees_nothing_of_another(backend):
    mine = create_app(backend).test_client()
    theirs = create_app(backend, authenticate=lambda _: Principal("guest")).test_client()
    add_to_catalog(backend, product(1))
    made = mine.post("/subscriptions", json=WATCH).headers["Location"]
    placed = mine.post("/orders", json={"aoi": FIELD}).headers["Location"]
    job = list_jobs(backend, placed.rpartition("/")[2])[0]
    for path in (
        made,
        f"{made}/alerts",
        f"{made}/results",
        f"{made}/series",
        placed,
        f"{placed}/results",
        f"{placed}/series",
        f"/results/{job.id}",
        f"/results/{job.id}/assets/NDVI",
    ):
        assert theirs.get(path).status_code == 404, path
    assert theirs.patch(made, json={"state": "paused"}).status_code == theirs.delete(made).status_code == 404
    assert theirs.get("/subscriptions").json == {"subscriptions": []} and theirs.get("/orders").json == {
        "orders": [],
        "next": None,
    }
    for path in ("/status", "/dead-letters"):
        assert theirs.get(path).status_code == 403
    assert theirs.post("/refresh").status_code == 403


def test_the_deployed_function_answers_by_the_same_application(tmp_path):
    """In a process of its own, as the framework keeps one backend and one set of functions a process."""
    program = (
        "import functions_framework, json;"
        f"app = functions_framework.create_app('api', {str(ROOT / 'functions/api/main.py')!r});"
        "client = app.test_client();"
        "made = client.post('/subscriptions', json=json.loads(input()));"
        "stored = client.get(made.headers['Location']);"
        "refused = client.get('/health', headers={'Host': 'evil.example'});"
        "print(json.dumps([client.get('/health').json, made.status_code, stored.json['name'],"
        " client.get('/nowhere').content_type, refused.status_code]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(WATCH),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "REVISIT_DATA": str(tmp_path)},
    )
    assert json.loads(done.stdout) == [
        {"status": "ok", "version": __version__},
        201,
        "field",
        "application/problem+json",
        403,
    ], done.stderr
