"""`revisit order --wait` follows an order by the server's events, and polls where there are none."""

import json
import time
from contextlib import contextmanager
from math import inf
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest

from products import FIELD, add_to_catalog, end_job, product
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from revisit.api.routes import event_stream
from revisit.cli import order_events, run
from revisit.cli.order_events import follow_order
from revisit.domain.job import Cover
from revisit.embedded import server as embedded_server
from revisit.embedded.lock import acquire_lock, write_url
from revisit.services.orders.create import list_orders
from revisit.services.subscriptions.results import list_jobs


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("REVISIT_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "field.geojson").write_text(json.dumps(FIELD))
    return tmp_path / "data"


@pytest.fixture
def backend(data):
    backend = local_backend(data)
    add_to_catalog(backend, product(1), product(2))
    return backend


@contextmanager
def running_server(backend, data):
    """The real HTTP server of a data folder, without workers."""
    server = embedded_server.create_api_server(backend, data, 0)
    server.start()
    with acquire_lock(data) as lock:
        write_url(lock, server.url)
        try:
            yield server.url
        finally:
            server.close()


def process_jobs(backend) -> None:
    """End the jobs of the first order one after another, as the chain would."""
    deadline = time.monotonic() + 20
    while not list_orders(backend) and time.monotonic() < deadline:
        time.sleep(0.02)
    [order] = list_orders(backend)
    for job in list_jobs(backend, order.id):
        time.sleep(0.2)
        end_job(backend, job, cover=Cover(10, 8, 6))


def order_and_wait(capsys) -> dict:
    assert run(["order", "--aoi", "field.geojson", "--wait", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_order_is_followed_by_the_events_of_the_server(backend, data, monkeypatch, capsys):
    monkeypatch.setattr(embedded_server, "run_until", lambda *_: pytest.fail("the order is polled"))
    with running_server(backend, data):
        Thread(target=process_jobs, args=[backend], daemon=True).start()
        order = order_and_wait(capsys)
    assert order["state"] == "finished" and {job["state"] for job in order["jobs"]} == {"done"}


@pytest.mark.parametrize("broken", ["no server", "no streams"])
def test_an_order_is_polled_where_there_are_no_events(backend, data, monkeypatch, capsys, broken):
    polled = []

    def run_until(backend, data, done, timeout_s):
        process_jobs(backend)
        polled.append(done())

    monkeypatch.setattr(embedded_server, "run_until", run_until)
    if broken == "no server":
        order = order_and_wait(capsys)
    else:
        monkeypatch.setattr(event_stream, "limit_streams", lambda *_: None)
        with running_server(backend, data):
            order = order_and_wait(capsys)
    assert polled == [True] and order["state"] == "finished"


def test_a_stream_that_the_server_closes_is_opened_again(backend, data, monkeypatch):
    monkeypatch.setattr(event_stream, "MAX_STREAM_S", 0.15)
    shown = []
    with running_server(backend, data) as url:
        assert create_app(backend).test_client().post("/orders", json={"aoi": FIELD}).status_code == 202
        Thread(target=process_jobs, args=[backend], daemon=True).start()
        [order] = list_orders(backend)
        assert follow_order(url, order.id, data, shown.append, inf)
    assert [event["progress"]["open"] for event in shown][:1] == [2] and len(shown) > 2


@contextmanager
def scripted_server(chunks: list[bytes], silent_s: float = 0.0, pause_s: float = 0.0):
    """A server that sends these bytes after the headers, then closes; yields its URL and the requests."""
    requests = []

    class Handler(StreamRequestHandler):
        def handle(self):
            lines = []
            while line := self.rfile.readline().strip():
                lines.append(line.decode())
            requests.append(lines)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for chunk in chunks:
                self.wfile.write(chunk)
                time.sleep(pause_s)
            time.sleep(silent_s)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", requests
        finally:
            server.shutdown()


def chunk(text: bytes) -> bytes:
    return f"{len(text):x}\r\n".encode() + text + b"\r\n"


PROGRESS = b'event: progress\ndata: {"progress": {"total": 2, "open": 1}}\n\n'


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [chunk(b"event: progress\nda")],
        [chunk(PROGRESS), b"ff\r\nbroken off"],
        [chunk(b"event: end\ndata: not JSON\n\n")],
        [b"no chunk at all\r\n"],
    ],
)
def test_a_broken_stream_ends_without_an_error(tmp_path, chunks):
    with scripted_server(chunks) as (url, _):
        assert not follow_order(url, "order_1", tmp_path, lambda _: None, time.monotonic() + 20)


def test_a_silent_stream_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(order_events, "SILENCE_TIMEOUT_S", 0.2)
    with scripted_server([chunk(PROGRESS)], silent_s=2) as (url, _):
        started = time.monotonic()
        assert not follow_order(url, "order_1", tmp_path, lambda _: None, inf)
        assert time.monotonic() - started < 2


def test_a_stream_ends_before_the_deadline(tmp_path, monkeypatch):
    monkeypatch.setattr(order_events, "POLLED_TAIL_S", 0.5)
    shown = []
    with scripted_server([chunk(PROGRESS), *[chunk(b": heartbeat\n")] * 40], pause_s=0.05) as (url, _):
        deadline = time.monotonic() + 1
        assert not follow_order(url, "order_1", tmp_path, shown.append, deadline)
        assert time.monotonic() < deadline and len(shown) == 1


def test_the_token_of_the_data_folder_is_sent(tmp_path):
    (tmp_path / "token").write_text("sesame\n")
    with scripted_server([chunk(b"event: end\ndata: {}\n\n"), chunk(b"")]) as (url, requests):
        assert follow_order(url, "order_1", tmp_path, lambda _: None, time.monotonic() + 20)
    assert requests[0][0] == "GET /orders/order_1/events HTTP/1.1"
    assert "Authorization: Bearer sesame" in requests[0]
