"""Server-sent events of orders from the real server: the events, and the limit of streams."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from products import FIELD, NOW, add_to_catalog, end_job, product
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from revisit.api.routes import event_stream
from revisit.domain.job import Cover
from revisit.embedded.server import create_api_server
from revisit.services.orders.cancel import cancel_order
from revisit.services.subscriptions.results import list_jobs


@pytest.fixture
def backend(tmp_path):
    backend = local_backend(tmp_path / "data", (), lambda: NOW)
    add_to_catalog(backend, product(1), product(2))
    return backend


@pytest.fixture
def url(backend, tmp_path) -> Iterator[str]:
    server = create_api_server(backend, tmp_path / "data", 0)
    server.start()
    yield server.url
    server.close()


@contextmanager
def heard(url: str, id: str) -> Iterator[Iterator[tuple[str, dict]]]:
    """The events of an order, one by one."""
    with httpx.stream("GET", f"{url}/orders/{id}/events", timeout=20) as answer:
        answer.raise_for_status()
        assert (
            answer.headers["Content-Type"].startswith("text/event-stream")
            and answer.headers["Cache-Control"] == "no-store"
        )

        def events() -> Iterator[tuple[str, dict]]:
            name = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield name, json.loads(line.removeprefix("data: "))

        yield events()


def test_a_listener_hears_each_change_and_the_end(backend, url):
    id = httpx.post(f"{url}/orders", json={"aoi": FIELD}).json()["order"]
    first, second = list_jobs(backend, id)
    with heard(url, id) as events:
        name, result = next(events)
        assert (name, result["state"], result["progress"]["open"]) == ("progress", "running", 2)
        end_job(backend, first, cover=Cover(10, 8, 6))
        name, result = next(events)
        assert (name, result["job"], result["state"]) == ("job", first.id, "done")
        assert next(events)[1]["progress"] == {
            "total": 2,
            "open": 1,
            "done": 1,
            "skipped": 0,
            "failed": 0,
            "share": 0.5,
        }
        cancel_order(backend, id)
        rest = list(events)
    assert [name for name, _ in rest] == ["job", "progress", "end"]
    assert (rest[0][1]["state"], rest[0][1]["reason"], rest[2][1]["state"]) == (
        "skipped",
        "the order was cancelled",
        "cancelled",
    )
    assert second.id == rest[0][1]["job"]


def test_a_change_is_sent_at_once_and_an_idle_stream_reads_nothing(backend, url, monkeypatch):
    reads = []
    read_jobs = event_stream.list_jobs
    monkeypatch.setattr(event_stream, "list_jobs", lambda *given: (reads.append(1), read_jobs(*given))[1])
    id = httpx.post(f"{url}/orders", json={"aoi": FIELD}).json()["order"]
    first, _ = list_jobs(backend, id)
    with heard(url, id) as events:
        next(events)
        time.sleep(2)
        assert len(reads) == 1, "without a commit nothing is read before the heartbeat"
        ended = time.monotonic()
        end_job(backend, first, cover=Cover(10, 8, 6))
        assert next(events)[0] == "job" and time.monotonic() - ended < 1


def test_as_many_listen_as_may_and_all_others_are_answered_meanwhile(backend, url, monkeypatch):
    monkeypatch.setattr(event_stream, "HEARTBEAT_INTERVAL_S", 0.2)
    id = httpx.post(f"{url}/orders", json={"aoi": FIELD}).json()["order"]
    with ExitStack() as stack:
        listeners = [stack.enter_context(heard(url, id)) for _ in range(event_stream.MAX_STREAMS)]
        assert {next(events)[0] for events in listeners} == {"progress"}
        refused = httpx.get(f"{url}/orders/{id}/events", timeout=5)
        assert (
            refused.status_code == 503
            and refused.headers["Retry-After"] == "5"
            and "event streams are in use" in refused.json()["detail"]
        )
        for _ in range(20):
            begun = time.monotonic()
            assert httpx.get(f"{url}/orders/{id}").status_code == 200
            assert time.monotonic() - begun < 2
    # All have gone without a word; the next heartbeats find it out.
    with ExitStack() as stack:
        listeners = [
            _patiently(lambda: stack.enter_context(heard(url, id))) for _ in range(event_stream.MAX_STREAMS)
        ]
        assert {next(events)[0] for events in listeners} == {"progress"}


def _patiently[T](ask: Callable[[], T]) -> T:
    for _ in range(100):
        try:
            return ask()
        except httpx.HTTPStatusError:
            time.sleep(0.1)
    raise AssertionError("no place came free")


def test_a_connection_ends_after_its_time_and_a_deployment_without_streams_says_so(backend, monkeypatch):
    app = create_app(backend)
    id = app.test_client().post("/orders", json={"aoi": FIELD}).json["order"]
    refused = app.test_client().get(f"/orders/{id}/events")
    assert refused.status_code == 404 and "offers no event stream" in refused.json["detail"]
    monkeypatch.setattr(event_stream, "MAX_STREAM_S", 0.0)
    event_stream.limit_streams(app, 1)
    for _ in range(3):
        answer = app.test_client().get(f"/orders/{id}/events", buffered=True)
        assert answer.data == b"retry: 2000\n\n"
    assert app.test_client().head(f"/orders/{id}/events", buffered=True).status_code == 200
    assert app.test_client().get(f"/orders/{id}/events", buffered=True).status_code == 200
