"""A data folder that an earlier version wrote opens with the current code, is served, and continues."""

import io
import json
import shutil
import sqlite3
import tarfile
from contextlib import closing
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from chain_runner import drain
from revisit.adapters.local.backend import local_backend
from revisit.adapters.local.integrity_check import check_data
from revisit.api import create_app
from revisit.chain.refresh import refresh_source
from revisit.cli import run
from revisit.domain.aoi import AOI
from revisit.domain.delivery import Delivery
from revisit.domain.events import RefreshDue
from revisit.domain.job import Job
from revisit.domain.subscription import Channel
from revisit.errors import ConflictError
from revisit.ports.catalog import Query
from revisit.ports.pagination import find_all
from revisit.services.subscriptions.create import create_subscription
from revisit.services.subscriptions.records import get_subscription

ARCHIVES = sorted((Path(__file__).parent / "data_folders").glob("*.tar.xz"))


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.partition(".")[0])
def earlier(request, tmp_path, monkeypatch):
    """The unpacked archive: its backend one minute after it was written, and what its own code reported."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REVISIT_WEBHOOK_ALLOW", "127.0.0.1:9")
    monkeypatch.setenv("REVISIT_DATA", str(tmp_path / "data"))
    expected = json.loads((tmp_path / "expected.json").read_text())
    now = datetime.fromisoformat(expected["now"]) + timedelta(minutes=1)
    backend = local_backend(tmp_path / "data", now=lambda: now)
    return SimpleNamespace(backend=backend, folder=tmp_path, archive=request.param, **expected)


@pytest.fixture
def client(earlier):
    client = create_app(earlier.backend, earlier.folder / "data").test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {earlier.key}"
    return client


def run_json(capsys, *arguments: str):
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refresh(earlier) -> None:
    due = RefreshDue(earlier.backend.now().isoformat())
    earlier.backend.commit(lambda commit: commit.emit(due), completes_event=False)
    drain(earlier.backend)


def alerts_of(client, earlier) -> list[dict]:
    return client.get(f"/subscriptions/{earlier.subscription}/alerts").json["alerts"]


def summary(alert: dict) -> dict:
    return {"number": alert["number"], "job": alert["job"], "product": alert["product"]}


def test_the_command_line_lists_all_records(earlier, capsys):
    assert {
        row["subscription"]: row["state"]
        for row in run_json(capsys, "subscriptions", "list")["subscriptions"]
    } == {earlier.subscription: "active", earlier.paused: "paused"}
    assert [
        (alert["number"], alert["job"], alert["indices"]["NDVI"]["mean"])
        for alert in run_json(capsys, "alerts", earlier.subscription)["alerts"]
    ] == [(alert["number"], alert["job"], pytest.approx(alert["mean"])) for alert in earlier.alerts]
    deliveries = run_json(capsys, "subscriptions", "deliveries", earlier.subscription)["deliveries"]
    assert earlier.deliveries == sorted(
        [row["delivery"], row["state"], row["target"], [attempt["outcome"] for attempt in row["attempts"]]]
        for row in deliveries
    )
    assert earlier.order in {row["order"] for row in run_json(capsys, "orders", "list")["orders"]}
    order = run_json(capsys, "orders", "show", earlier.order)
    assert order["state"] == "finished" and len(order["jobs"]) == 1
    assert [row["key"] for row in run_json(capsys, "keys", "list")["keys"]] == [earlier.key_id]
    assert [row["id"] for row in run_json(capsys, "dead-letters", "list")["dead_letters"]] == [
        earlier.dead_letter
    ]
    jobs = find_all(earlier.backend.records, Job)
    assert {job.id: job.state for job in jobs} == earlier.jobs
    products = earlier.backend.catalog().search(Query(tiles=("31TCJ",), limit=100)).products
    assert sorted(product.id for product in products) == earlier.products


def test_doctor_finds_no_damage(earlier):
    [finding] = check_data(earlier.folder / "data")
    assert finding.startswith("there is 1 dead letter")


def test_the_api_serves_the_records_and_results(earlier, client):
    listed = client.get("/subscriptions").json["subscriptions"]
    assert {row["subscription"] for row in listed} == {earlier.subscription, earlier.paused}
    assert [summary(alert) for alert in alerts_of(client, earlier)] == [
        summary(alert) for alert in earlier.alerts
    ]
    items = client.get(f"/orders/{earlier.order}/items").json["features"]
    assert len(items) == 1
    asset = client.get(items[0]["assets"]["NDVI"]["href"])
    assert asset.status_code == 200 and asset.data[:2] in (b"II", b"MM")
    assert b"North field" in client.get(f"/feeds/{earlier.feed}.atom").data
    found = client.get("/stac/search?collections=sentinel-2-l2a").json["features"]
    assert sorted(item["id"] for item in found) == earlier.products


def test_a_repeated_request_gets_the_stored_answer(earlier, client):
    before = len(client.get("/orders").json["orders"])
    answer = client.post(
        "/orders", json=earlier.request, headers={"Idempotency-Key": earlier.idempotency_key}
    )
    assert (answer.status_code, answer.json) == (202, earlier.answer)
    assert len(client.get("/orders").json["orders"]) == before


def test_a_refresh_adds_nothing_twice(earlier):
    [source] = earlier.backend.sources
    result = refresh_source(earlier.backend, source)
    assert (result.new, result.rejection_count) == (0, 0)


def test_a_queued_job_and_a_new_product_continue_the_alert_numbers(earlier, client):
    drain(earlier.backend)
    numbers = [alert["number"] for alert in alerts_of(client, earlier)]
    assert numbers == [1, 2, 3]
    shutil.copytree(earlier.folder / "later" / earlier.later, earlier.folder / "archive" / earlier.later)
    for _ in range(2):
        refresh(earlier)
    alerts = alerts_of(client, earlier)
    assert [alert["number"] for alert in alerts] == [1, 2, 3, 4]
    assert alerts[-1]["product"] == earlier.later and alerts[-1]["indices"]["NDVI"]["count"] > 0
    assert not {job.state for job in find_all(earlier.backend.records, Job)} - {"done"}


def test_a_due_delivery_is_attempted_and_the_file_continues(earlier, client):
    drain(earlier.backend)
    webhooks = [
        delivery
        for delivery in earlier.backend.records.find(Delivery, subscription=earlier.subscription)
        if delivery.target.startswith("https")
    ]
    assert len(webhooks) == 3 and any(delivery.attempts for delivery in webhooks)
    lines = io.StringIO((earlier.folder / "data" / "channels" / "alerts.jsonl").read_text())
    assert [json.loads(line)["data"]["number"] for line in lines] == [1, 2, 3]


def test_a_subscription_keeps_its_limits_its_revision_and_its_answer_to_a_repeated_request(client, earlier):
    """Without a minimum coverage, by the clear share of the seen part; new requests have other defaults."""
    unopened = earlier.folder / "unopened"
    with tarfile.open(earlier.archive) as archive:
        archive.extract("data/revisit.db", unopened, filter="data")
    with closing(sqlite3.connect(unopened / "data" / "revisit.db")) as database:
        ((body,),) = database.execute("select body from record where id = ?", (earlier.subscription,))
    record = json.loads(body) | {"alerts": 0, "last_sensing": None, "last_alert": None}
    written = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
    shown = client.get(f"/subscriptions/{earlier.subscription}")
    assert shown.headers["ETag"].strip('"').partition(".")[0] == sha256(written.encode()).hexdigest()[:16]
    assert (shown.json["min_coverage"], shown.json["min_clear_of"]) == (None, "seen")
    stored = get_subscription(earlier.backend, earlier.subscription)

    def repeat(**stated):
        area = AOI.from_normalized(stored.aoi)
        return create_subscription(
            earlier.backend,
            area,
            stored.name,
            stored.recipe,
            min_clear=stored.min_clear,
            channels=[Channel(one.kind, one.target) for one in stored.channels],
            backfill=stored.backfill,
            **stated,
        )

    assert repeat() == stored
    with pytest.raises(ConflictError, match="another min_coverage"):
        repeat(min_coverage=50.0)
