"""A subscription before it is saved, judged by what the catalog knows."""

from dataclasses import replace

import pytest

from backends import with_settings
from products import FIELD, NOW, add_to_catalog, end_job, product
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from revisit.domain.audit_record import Audit
from revisit.domain.job import Cover
from revisit.domain.order import Order
from revisit.domain.subscription import Subscription
from revisit.errors import UnauthenticatedError
from revisit.ports.authenticator import Authenticator, Claims
from revisit.services.accounts.keys import create_key
from revisit.services.subscriptions.results import list_jobs
from subscription_samples import BOW_TIE


def test_the_past_is_judged_by_what_the_catalog_knows(client, backend, clock):
    add_to_catalog(
        backend,
        product(1, cloud=5),
        product(2, cloud=60),
        product(3, cloud=None),
        product(9, month=5, cloud=20),
        product(1, level="L1C", cloud=5),
        product(4, tile="32TPR", west=20.0, east=21.0),
        replace(product(1), published=NOW, cloud_cover=7.0),
    )
    document = client.post(
        "/subscriptions/preview", json={"aoi": FIELD, "max_cloud": 20, "from": "2024-05-01"}
    ).json
    assert (document["from"], document["to"]) == ("2024-05-01T00:00:00Z", "2024-07-01T12:00:00Z")
    assert (document["acquisitions"], document["would_have_fired"], document["too_cloudy"]) == (4, 3, 1)
    assert document["months"] == [
        {"month": "2024-05", "fired": 1, "passed": 1},
        {"month": "2024-06", "fired": 2, "passed": 3},
        {"month": "2024-07", "fired": 0, "passed": 0},
    ]
    assert document["first"] == "2024-05-09T10:16:00Z"
    assert (
        client.post("/subscriptions/preview", json={"aoi": FIELD, "level": "L1C"}).json["would_have_fired"]
        == 1
    )
    assert (backend.records.count(Subscription), backend.records.count(Order)) == (0, 0)


def preview(client, **body):
    """A preview, whose months add up to its number of alerts."""
    document = client.post("/subscriptions/preview", json={"aoi": FIELD, **body}).json
    assert sum(month["fired"] for month in document["months"]) == document["would_have_fired"]
    assert all(month["fired"] <= month["passed"] for month in document["months"])
    assert document["would_have_fired"] <= document["at_most"]
    assert f"{document['would_have_fired']} alert" in document["headline"]
    return document


def test_a_preview_states_one_number_of_alerts_and_what_it_rests_on(client, backend):
    """June was processed, and its pixels are known; of July only products are known."""
    june = [product(day) for day in range(1, 11)]
    add_to_catalog(backend, *june, *[product(day, month=5) for day in range(1, 8)])
    body = {"min_clear": 50, "min_coverage": 30}
    unknown = preview(client, **body)
    assert (unknown["headline"], unknown["at_most"]) == ("at most 17 alerts since 2023-07-02", 17)
    assert (unknown["basis"], unknown["clear_share"]) == ("upper bound", None)
    assert "30 % of the AOI seen and 50 % of it clear" in unknown["judged"]
    placed = client.post("/orders", json={"aoi": FIELD, "start": "2024-06-01"}).json["order"]
    for number, job in enumerate(list_jobs(backend, placed)):
        end_job(backend, job, cover=Cover(100, 100, 10 * number))  # 0, 10, ... 90 % clear
    known = preview(client, **body, **{"from": "2024-06-01"})
    assert (known["headline"], known["basis"]) == ("5 alerts since 2024-06-01", "processed")
    assert (known["would_have_fired"], known["at_most"], known["clear_share"]) == (5, 5, 0.5)
    estimated = preview(client, **body)
    assert (estimated["headline"], estimated["basis"]) == ("about 8 alerts since 2023-07-02", "estimated")
    assert estimated["at_most"] == 5 + 7 and "about 8 alerts, and 12 at most" in estimated["judged"]
    assert [month["fired"] for month in estimated["months"]][-3:] == [4, 4, 0]
    assert preview(client, **body, aoi=BOW_TIE, repair=True)["clear_share"] is None
    nothing = preview(client, max_cloud=5)
    assert (nothing["headline"], nothing["too_cloudy"]) == ("0 alerts since 2023-07-02", 17)
    assert nothing["judged"] == (
        "none of 17 passes meets the conditions: 17 with more than 5 % cloud, the least 10 % on 2024-05-01"
    )
    order = client.post("/orders", json={"aoi": FIELD, "max_cloud": 5, "level": "L2A"}).json
    shown = client.get(f"/orders/{order['order']}").json
    assert (shown["state"], shown["notes"]) == ("finished", [nothing["judged"]])


def test_a_preview_leaves_out_a_pass_whose_footprint_covers_too_little(client, backend):
    """The field is 0.02 degrees wide; the swath of the second product ends 0.005 degrees inside it."""
    add_to_catalog(backend, product(1), product(2, east=9.305))
    found = preview(client)
    assert (found["would_have_fired"], found["too_little_seen"], found["acquisitions"]) == (1, 1, 2)
    assert preview(client, min_coverage=20)["would_have_fired"] == 2


def test_a_preview_judges_coverage_and_the_clear_share_of_the_whole_area(client, backend):
    """Each pass sees 36 % of the area, all of it clear; the sixth sees all, and half of it is cloudy."""
    add_to_catalog(backend, *[product(day) for day in range(1, 7)])
    placed = client.post("/orders", json={"aoi": FIELD, "start": "2024-06-01"}).json["order"]
    for number, job in enumerate(list_jobs(backend, placed), 1):
        end_job(backend, job, cover=Cover(100, 36, 36) if number < 6 else Cover(100, 100, 50))
    counts = {
        name: preview(client, **body)["would_have_fired"]
        for name, body in {
            "default": {},
            "any coverage": {"min_coverage": None},
            "of the area": {"min_coverage": 0, "min_clear": 40},
            "of the seen part": {"min_coverage": 0, "min_clear": 60, "min_clear_of": "seen"},
            "too much": {"min_clear": 60},
        }.items()
    }
    assert counts == {
        "default": 1,
        "any coverage": 6,
        "of the area": 1,
        "of the seen part": 5,
        "too much": 0,
    }


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"from": "2025-01-01"}, "has not come yet"),
        ({"from": "yesterday"}, "not a date"),
        ({"max_cloud": 101}, "percentage"),
        ({"level": "L9"}, "L9"),
        ({"indices": ["NDVY"]}, "did you mean NDVI"),
        ({"colour": 1}, "colour"),
    ],
)
def test_an_invalid_preview_is_rejected(client, body, says):
    refused = client.post("/subscriptions/preview", json={"aoi": FIELD, **body})
    assert refused.status_code == 422 and says in refused.json["detail"]


def test_a_question_that_is_posted_is_no_change(tmp_path):
    """The scope read is enough, and the audit log has no entry of it."""

    def verify(token):
        if token != "ann":
            raise UnauthenticatedError("sign in again")
        return Claims("ann")

    backend = with_settings(
        local_backend(tmp_path / "data", (), lambda: NOW), authenticator=Authenticator(verify)
    )
    client = create_app(backend).test_client()
    key = {"Authorization": f"Bearer {create_key(backend, 'reader', ['read'], owner='ann')[1]}"}
    for path in ("/aoi", "/subscriptions/preview"):
        assert client.post(path, json={"aoi": FIELD}, headers=key).status_code == 200
    assert backend.records.count(Audit) == 0
    assert client.post("/orders", json={"aoi": FIELD, "start": "2024-06-01"}, headers=key).status_code == 403
    assert backend.records.count(Audit) == 1
