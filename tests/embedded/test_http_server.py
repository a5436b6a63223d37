"""The HTTP server's close: it releases threads and connections, and writes to no file of others."""

import socket
import threading
from contextlib import ExitStack

import httpx
import pytest

from revisit.embedded.http_server import HttpServer
from revisit.errors import InvalidInputError

WAIT_S = 20


class SlowApp:
    """Answers a request once it is released, in several chunks."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.released = threading.Event()
        self.threads: list[threading.Thread] = []

    def __call__(self, environ, start_response):
        self.threads.append(threading.current_thread())
        self.started.set()
        self.released.wait(WAIT_S)
        start_response("200 OK", [])
        return iter([b"chunk"] * 3)


def send_request(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=WAIT_S)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection


def test_a_request_that_outlives_the_server_writes_to_no_file_opened_later(tmp_path):
    """A stray byte at the start of a write-ahead log makes SQLite discard the commits in it."""
    app = SlowApp()
    server = HttpServer(app, port=0)
    server.start()
    with ExitStack() as stack:
        stack.enter_context(send_request(server.url))
        assert app.started.wait(WAIT_S)
        server.close()
        # These get the descriptors that the server has freed.
        files = [tmp_path / str(number) for number in range(20)]
        for file in files:
            stack.enter_context(file.open("wb"))
        app.released.set()
        app.threads[0].join(WAIT_S)
        assert not app.threads[0].is_alive()
        assert [file.read_bytes() for file in files] == [b""] * 20


def test_close_ends_the_threads_and_connections_and_frees_the_port():
    before = set(threading.enumerate())
    app = SlowApp()
    app.released.set()
    server = HttpServer(app, port=0)
    server.start()
    with httpx.Client() as client:
        assert client.get(server.url).text == "chunk" * 3
        server.close()
        with pytest.raises(httpx.TransportError):
            client.get(server.url)
    for thread in set(threading.enumerate()) - before:
        thread.join(WAIT_S)
    assert set(threading.enumerate()) <= before
    HttpServer(SlowApp(), int(server.url.rpartition(":")[2])).close()


def test_close_works_before_start_and_twice():
    server = HttpServer(SlowApp(), port=0)
    server.close()
    server.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_a_port_in_use_is_named_with_the_remedy():
    server = HttpServer(SlowApp(), port=0)
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(InvalidInputError, match=rf"port {port} on 127\.0\.0\.1 cannot be used .* --port"):
        HttpServer(SlowApp(), port)
    server.close()
