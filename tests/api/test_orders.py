"""Orders over HTTP: estimate, progress, results and cancellation."""

from dataclasses import replace
from datetime import timedelta

import pytest

from backends import with_settings
from products import FIELD, NOW, add_to_catalog, end_job, product
from revisit.api import create_app
from revisit.api.http.request_context import Principal
from revisit.domain.job import Cover, JobCost, Statistics
from revisit.domain.order import Order
from revisit.services.accounts import limits
from revisit.services.subscriptions.results import list_jobs

WISH = {"aoi": FIELD, "indices": ["NDVI"]}


@pytest.fixture
def backend(backend):
    add_to_catalog(backend, product(1), product(1, "L1C"), product(2, cloud=90.0))
    return backend


def test_an_estimate_writes_nothing_and_is_stored_with_the_order(client, backend):
    document = client.post("/orders/estimate", json=WISH).json
    assert (
        document["products"],
        document["jobs"],
        document["pixels"],
        document["cost_usd"],
        document["refused"],
    ) == (
        3,
        2,
        2 * 35_234,
        None,
        None,
    )
    assert len(document["assumptions"]) == 3 and not backend.records.find(Order)
    placed = client.post("/orders", json=WISH)
    kept = client.get(placed.headers["Location"]).json["estimate"]
    assert kept == {
        name: value for name, value in document.items() if name not in ("assumptions", "refused", "notes")
    }


def test_in_a_deployment_an_estimate_has_its_price(backend):
    """2 jobs of 4 s and a little, a vCPU and 2 GiB each, and what is written, by the prices of
    docs/deploy.md."""
    client = create_app(with_settings(backend, on_google_cloud=True)).test_client()
    document = client.post("/orders/estimate", json=WISH).json
    seconds = document["seconds"] * (0.000024 + 2 * 0.0000025)
    rest = (
        6 / 1e6 * 0.40
        + document["bytes_written"] / 2**30 * 3 * 0.02
        + 2 * 12 * (0.06 + 0.18) / 1e5
        + 2 * 5 / 1e3 * 0.005
    )
    assert document["cost_usd"] == pytest.approx(seconds + rest, rel=0.02)
    assert document["seconds"] > 8 and len(document["assumptions"]) == 4


@pytest.mark.parametrize(
    ("more", "jobs"),
    [
        ({}, 2),
        ({"level": "L1C"}, 1),
        ({"level": "L2A"}, 2),
        ({"max_cloud": 50}, 1),
        ({"level": "any"}, 2),
        ({"per_tile": True}, 2),
        ({"products": [product(1, "L1C").id]}, 1),
        ({"aoi": None, "tile": "32TNR"}, 2),
        ({"aoi": None, "products": [product(1).id, product(1, "L1C").id]}, 2),
        ({"aoi": "POLYGON((9.3 45.3, 9.32 45.3, 9.32 45.32, 9.3 45.32, 9.3 45.3))"}, 2),
    ],
)
def test_each_condition_makes_an_order_of_its_own_which_a_repeat_finds(client, more, jobs):
    body = {name: value for name, value in {**WISH, **more}.items() if value is not None}
    assert client.post("/orders/estimate", json=body).json["jobs"] == jobs
    placed = client.post("/orders", json=body)
    assert placed.status_code == 202 and placed.json["total"] == jobs, placed.text
    assert client.post("/orders", json=body).json["order"] == placed.json["order"]
    other = client.post("/orders", json={**body, "min_clear": 20}).json["order"]
    assert other != placed.json["order"]


def test_an_order_is_not_sent_again_while_nothing_but_its_age_changes(client, backend, clock):
    here = client.post("/orders", json=WISH).headers["Location"]
    first = client.get(here)
    assert first.headers["Retry-After"] == "1" and first.json["age_s"] == 0
    clock.append(NOW + timedelta(seconds=75))
    assert client.get(here).json["age_s"] == 75
    assert client.get(here, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    for job in list_jobs(backend, here.removeprefix("/orders/")):
        end_job(backend, job, cover=Cover(10, 8, 6), spent=JobCost(35_234, 1000, 0.5))
    over = client.get(here, headers={"If-None-Match": first.headers["ETag"]})
    assert over.status_code == 200 and "Retry-After" not in over.headers
    assert over.json["progress"] == {
        "total": 2,
        "open": 0,
        "done": 2,
        "skipped": 0,
        "failed": 0,
        "share": 1.0,
    }
    assert over.json["actual"] == {"pixels": 70_468, "bytes_read": 2000, "bytes_written": 0, "seconds": 1.0}
    clock.append(NOW + timedelta(hours=9))
    later = client.get(here, headers={"If-None-Match": over.headers["ETag"]})
    assert later.status_code == 304, "the age of what is over stands still"


def test_what_does_not_tell_its_bytes_leaves_the_sum_unknown(client, backend):
    here = client.post("/orders", json=WISH).headers["Location"]
    one, other = list_jobs(backend, here.removeprefix("/orders/"))
    end_job(backend, one, spent=JobCost(10, 1000, 0.5))
    end_job(backend, other, spent=JobCost(10, None, 0.5))
    assert client.get(here).json["actual"]["bytes_read"] is None


def test_large_orders_have_a_longer_retry_after(backend, client):
    add_to_catalog(backend, *(product(1 + number % 28, month=1 + number // 28) for number in range(40)))
    here = client.post("/orders", json={**WISH, "end": "2024-06-30"}).headers["Location"]
    assert client.get(here).headers["Retry-After"] == "8"


def test_a_cancelled_order_can_be_created_again(client, backend):
    placed = client.post("/orders", json=WISH).json["order"]
    end_job(backend, list_jobs(backend, placed)[0], cover=Cover(10, 8, 6))
    over = client.delete(f"/orders/{placed}")
    assert over.status_code == 200 and (over.json["state"], over.json["open"]) == ("cancelled", 0)
    assert [(job["state"], job["reason"]) for job in over.json["jobs"]] == [
        ("done", None),
        ("skipped", "the order was cancelled"),
    ]
    assert client.delete(f"/orders/{placed}").json == over.json
    assert client.get("/orders").json["orders"][0]["state"] == "cancelled"
    again = client.post("/orders", json=WISH).json
    assert again["order"] != placed and again["open"] == 2


def test_a_backfill_cannot_be_cancelled_by_its_order(client):
    client.post("/subscriptions", json={**WISH, "name": "field", "backfill": "2024-06-01"})
    (past,) = client.get("/orders").json["orders"]
    answer = client.delete(f"/orders/{past['order']}")
    assert answer.status_code == 409 and "delete the subscription instead" in answer.json["detail"]


def test_the_results_of_an_order_are_an_item_collection_in_pages(client, backend):
    placed = client.post("/orders", json=WISH).json["order"]
    assert client.get(f"/orders/{placed}/items").json["features"] == []
    one, other = list_jobs(backend, placed)
    end_job(backend, one, cover=Cover(10, 8, 6), indices={"NDVI": Statistics(6, 0.5, 0.1, 0.1, 0.9, 0.5)})
    end_job(backend, other, "skipped", reason="0.0 % of the AOI is clear")
    whole = client.get(f"/orders/{placed}/items")
    assert whole.content_type == "application/geo+json" and whole.json["numberMatched"] == 2
    assert [item["properties"]["revisit:state"] for item in whole.json["features"]] == ["done", "skipped"]
    page = client.get(f"/orders/{placed}/items?limit=1").json
    following = next(link["href"] for link in page["links"] if link["rel"] == "next")
    rest = client.get(following.removeprefix("http://localhost")).json
    assert [*page["features"], *rest["features"]] == whole.json["features"] and not [
        link for link in rest["links"] if link["rel"] == "next"
    ]
    assert (
        client.get(page["features"][0]["links"][0]["href"].removeprefix("http://localhost")).json
        == page["features"][0]
    )


def test_what_exceeds_the_plan_is_shown_in_the_estimate_and_rejected_as_an_order(backend, monkeypatch):
    monkeypatch.setitem(limits.PLANS, "free", replace(limits.PLANS["free"], jobs_a_day=3, orders_running=1))
    client = create_app(backend, authenticate=lambda _: Principal("ann")).test_client()
    body = {**WISH, "start": "2024-06-01"}
    first = client.post("/orders", json=body).json["order"]
    waiting = client.post("/orders", json={**body, "indices": ["NDWI"], "end": "2024-06-01"})
    assert waiting.status_code == 429 and "the maximum (1)" in waiting.json["detail"]
    client.delete(f"/orders/{first}")
    assert (
        "2 of today's 3 used"
        in client.post("/orders/estimate", json={**body, "indices": ["EVI"]}).json["refused"]
    )
    assert (
        client.post("/orders", json={**body, "indices": ["NDWI"], "end": "2024-06-01"}).status_code == 202
    ), "the cancelled order is not running"
    whole = client.post("/orders/estimate", json={"tile": "32TNR", "start": "2024-06-01"})
    assert (
        whole.status_code == 422
        and "the whole of tile 32TNR is too much" in whole.json["detail"]
        and "10,000 km2 at most" in whole.json["detail"]
    )
    named = client.post("/orders", json={**WISH, "products": [f"S2A_{number}" for number in range(51)]})
    assert "51 products are named, more than the 50 allowed" in named.json["detail"]


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("index=NDVY", 422, "no spectral index 'NDVY'"),
        ("index=EVI", 422, "has no EVI; its recipe holds NDVI"),
        ("format=xml", 422, "choose json or csv"),
    ],
)
def test_a_series_that_cannot_be_is_refused_in_one_sentence(client, query, status, says):
    placed = client.post("/orders", json=WISH).json["order"]
    answer = client.get(f"/orders/{placed}/series?{query}")
    assert answer.status_code == status and says in answer.json["detail"]


def test_a_series_has_no_value_where_nothing_was_clear_and_null_where_a_value_is_no_number(client, backend):
    placed = client.post("/orders", json=WISH).json["order"]
    assert client.get(f"/orders/{placed}/series").json["observations"] == []
    one, other = list_jobs(backend, placed)
    end_job(
        backend, one, cover=Cover(10, 8, 6), indices={"NDVI": Statistics(6, float("nan"), 0.1, 0.1, 0.9, 0.5)}
    )
    end_job(backend, other, cover=Cover(10, 8, 0), indices={"NDVI": Statistics(0)})
    (seen,) = client.get(f"/orders/{placed}/series").json["observations"]
    assert (seen["count"], seen["mean"], seen["max"]) == (6, None, 0.9)
    header, row = client.get(f"/orders/{placed}/series?format=csv").text.splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True))["mean"] == ""
