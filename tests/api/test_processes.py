"""OGC API Processes 1.0 over orders, by the rules of the standard (OGC 18-062r2) written down by hand."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from products import FIELD, NOW, add_to_catalog, end_job, product
from revisit.domain.job import Cover
from revisit.services.subscriptions.results import list_jobs

REL = "http://www.opengis.net/def/rel/ogc/1.0"
CLASS = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf"
EXCEPTION = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0"
INPUTS = {"aoi": {"value": FIELD}, "start": "2024-06-01", "end": "2024-06-02", "indices": ["NDVI"]}
STATUSES = {"accepted", "running", "successful", "failed", "dismissed"}


@pytest.fixture
def backend(backend):
    add_to_catalog(backend, *(product(day) for day in range(1, 8)))
    return backend


def execute(client, **body):
    return client.post(
        "/processes/order/execution", json={"inputs": INPUTS, **body}, headers={"Prefer": "respond-async"}
    )


def finish(backend, id: str, *states: str) -> None:
    for job, state in zip(list_jobs(backend, id), states, strict=True):
        end_job(
            backend, job, state, cover=Cover(10, 8, 6), reason="" if state == "done" else "B04 cannot be read"
        )


def link(document: dict, rel: str) -> str:
    (found,) = [each["href"] for each in document["links"] if each["rel"] == rel]
    return urlsplit(found).path


def check_status(status_info: dict, status: str) -> None:
    """statusInfo.yaml: required members, their kinds, and the links of 7.12 and 7.13."""
    assert (
        status_info["status"] == status in STATUSES
        and status_info["type"] == "process"
        and status_info["processID"] == "order"
    )
    assert (
        isinstance(status_info["jobID"], str)
        and isinstance(status_info["progress"], int)
        and 0 <= status_info["progress"] <= 100
    )
    assert all(
        status_info[name].endswith("Z")
        for name in ("created", "started", "finished", "updated")
        if name in status_info
    )
    assert ("finished" in status_info) == (status in ("successful", "failed", "dismissed"))
    assert link(status_info, "self") == f"/jobs/{status_info['jobID']}"
    assert any(each["rel"] == f"{REL}/results" for each in status_info["links"]) == (status == "successful")


def test_a_client_finds_its_way_from_the_root_to_the_process(client):
    root = client.get("/", headers={"Accept": "application/json"})
    assert root.is_json and link(root.json, "service-desc") == "/openapi.json"
    declared = client.get(link(root.json, f"{REL}/conformance")).json["conformsTo"]
    assert declared == [
        f"{CLASS}/{name}" for name in ("core", "ogc-process-description", "json", "job-list", "dismiss")
    ]
    assert client.get("/processes/conformance").json["conformsTo"] == declared
    listed = client.get(link(root.json, f"{REL}/processes")).json
    (summary,) = listed["processes"]
    assert link(listed, "self") == "/processes" and summary["id"] == "order" and summary["version"]
    assert summary["jobControlOptions"] == ["async-execute", "dismiss"] and summary["outputTransmission"] == [
        "value",
        "reference",
    ]
    document = client.get(link(summary, "self")).json
    assert link(document, f"{REL}/execute") == "/processes/order/execution"
    assert (
        document["inputs"]["aoi"]["schema"]["format"] == "geojson-geometry"
        and document["outputs"]["items"]["schema"]["contentMediaType"] == "application/geo+json"
    )
    assert client.get(link(root.json, f"{REL}/job-list")).json["jobs"] == []


def test_a_browser_is_shown_the_page_at_the_root(client):
    assert (
        client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}).mimetype
        == "text/html"
    )


def test_a_job_is_accepted_runs_succeeds_and_has_results(client, backend):
    made = execute(client, response="document")
    assert made.status_code == 201 and made.headers["Preference-Applied"] == "respond-async"
    here = urlsplit(made.headers["Location"]).path
    check_status(made.json, "accepted")
    assert client.get(here).json == made.json
    missing = client.get(f"{here}/results")
    assert missing.status_code == 404 and missing.json["type"] == f"{EXCEPTION}/result-not-ready"
    end_job(backend, list_jobs(backend, made.json["jobID"])[0], cover=Cover(10, 8, 6))
    running = client.get(here).json
    check_status(running, "running")
    assert running["progress"] == 50
    finish(backend, made.json["jobID"], "done", "done")
    over = client.get(here).json
    check_status(over, "successful")
    assert over["progress"] == 100 and over["message"] == "2 of 2 acquisitions have ended: 2 done"
    document = client.get(link(over, f"{REL}/results")).json
    collection = document["items"]["value"]
    assert (
        document["items"]["mediaType"] == "application/geo+json" and collection["type"] == "FeatureCollection"
    )
    assert [item["properties"]["datetime"][:10] for item in collection["features"]] == [
        "2024-06-01",
        "2024-06-02",
    ]
    assert client.get(f"/orders/{over['jobID']}/items").json == collection


@pytest.mark.parametrize(
    ("body", "status", "media_type"),
    [
        ({}, 200, "application/geo+json"),
        ({"outputs": {"items": {"transmissionMode": "reference"}}}, 204, None),
        (
            {"outputs": {"items": {"transmissionMode": "reference"}}, "response": "document"},
            200,
            "application/json",
        ),
        ({"outputs": {"items": {}}, "response": "raw"}, 200, "application/geo+json"),
    ],
)
def test_results_have_the_requested_form(client, backend, body, status, media_type):
    id = execute(client, **body).json["jobID"]
    finish(backend, id, "done", "skipped")
    message = "2 of 2 acquisitions have ended: 1 done, 1 skipped"
    assert client.get(f"/jobs/{id}").json["message"] == message
    response = client.get(f"/jobs/{id}/results")
    assert response.status_code == status
    if status == 204:
        assert response.headers["Link"].startswith(f"<http://localhost/orders/{id}/items>; rel=")
    elif media_type == "application/json":
        assert response.json["items"]["href"] == f"http://localhost/orders/{id}/items"
    else:
        assert response.mimetype == media_type and response.json["numberReturned"] == 2


def test_a_job_is_dismissed_and_one_that_failed_says_why(client, backend):
    id = execute(client).json["jobID"]
    check_status(client.delete(f"/jobs/{id}").json, "dismissed")
    check_status(client.get(f"/jobs/{id}").json, "dismissed")
    assert client.get(f"/jobs/{id}/results").json["type"] == f"{EXCEPTION}/result-not-ready"
    again = execute(client).json["jobID"]
    assert again != id
    finish(backend, again, "failed", "failed")
    check_status(client.get(f"/jobs/{again}").json, "failed")
    response = client.get(f"/jobs/{again}/results")
    assert response.status_code == 422 and "B04 cannot be read" in response.json["detail"]


def test_what_is_not_there_has_the_standards_types(client):
    for path, kind in (
        ("/processes/none", "no-such-process"),
        ("/jobs/order_none", "no-such-job"),
        ("/jobs/order_none/results", "no-such-job"),
    ):
        response = client.get(path)
        assert (
            response.status_code == 404
            and response.content_type == "application/problem+json"
            and response.json["type"] == f"{EXCEPTION}/{kind}"
        )
    assert (
        client.post("/processes/none/execution", json={"inputs": {}}).json["type"]
        == f"{EXCEPTION}/no-such-process"
    )
    assert client.delete("/jobs/order_none").json["type"] == f"{EXCEPTION}/no-such-job"


@pytest.mark.parametrize(
    ("inputs", "body", "says"),
    [
        ({"colour": "red"}, {}, "no input 'colour'; it has aoi, tile"),
        ({"aoi": {"href": "https://example.com/aoi.json"}}, {}, "links are not followed"),
        ({"aoi": FIELD, "max_cloud": "low"}, {}, "max_cloud"),
        ({}, {}, "give an AOI, a tile such as 32TQM, or products"),
        (INPUTS, {"response": "letter"}, "choose raw or document"),
        (INPUTS, {"outputs": {"map": {}}}, "no output 'map'"),
        (INPUTS, {"outputs": {"items": {"transmissionMode": "pigeon"}}}, "value or reference"),
    ],
)
def test_an_invalid_execution_is_rejected_in_a_sentence(client, inputs, body, says):
    response = client.post("/processes/order/execution", json={"inputs": inputs, **body})
    assert response.status_code == 422 and says in response.json["detail"]


def test_an_execution_limits_coverage_and_clear_share(client):
    inputs = {**INPUTS, "min_coverage": 40, "min_clear": 30, "min_clear_of": {"value": "seen"}}
    order = client.get(f"/orders/{execute(client, inputs=inputs).json['jobID']}").json
    assert (order["min_coverage"], order["min_clear"], order["min_clear_of"]) == (40, 30, "seen")


def test_the_list_of_jobs_is_narrowed_as_the_standard_has_it(client, backend, clock):
    first = execute(client).json["jobID"]
    clock.append(NOW + timedelta(seconds=90))
    finish(backend, first, "done", "done")
    second = client.post(
        "/processes/order/execution", json={"inputs": {"aoi": FIELD, "indices": "NDWI"}}
    ).json["jobID"]

    def ids(query: str) -> list[str]:
        document = client.get(f"/jobs?{query}").json
        for job in document["jobs"]:
            check_status(job, job["status"])
        return [job["jobID"] for job in document["jobs"]]

    assert ids("") == [second, first]
    assert (
        ids("status=successful"),
        ids("status=accepted,running"),
        ids("type=process"),
        ids("processID=none"),
    ) == ([first], [second], [second, first], [])
    assert (ids("minDuration=60"), ids("maxDuration=60"), ids("minDuration=91")) == ([first], [second], [])
    moment = f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    assert (
        ids(f"datetime={moment}"),
        ids(f"datetime=../{moment}"),
        ids("datetime=2024-07-01T12:01:00Z/.."),
    ) == ([first], [first], [second])
    page = client.get("/jobs?limit=1").json
    (following,) = [each["href"] for each in page["links"] if each["rel"] == "next"]
    rest = client.get(following.removeprefix("http://localhost")).json
    assert [job["jobID"] for job in (*page["jobs"], *rest["jobs"])] == [second, first]
    assert not [each for each in rest["links"] if each["rel"] == "next"]
    narrowed = client.get("/jobs?limit=1&status=successful&status=accepted").json
    (following,) = [each["href"] for each in narrowed["links"] if each["rel"] == "next"]
    rest = client.get(following.removeprefix("http://localhost")).json
    assert [job["jobID"] for job in (*narrowed["jobs"], *rest["jobs"])] == [second, first], (
        "the way to the next page asks for both statuses too"
    )
    assert client.get("/jobs?status=asleep").status_code == 422
