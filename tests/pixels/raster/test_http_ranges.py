"""Settings, connections and cached headers of reads over HTTP."""

import socket
import threading

import pytest

from revisit.errors import TransientError
from revisit.pixels.raster.gdal import configure_gdal
from revisit.pixels.raster.grid import Grid
from revisit.pixels.raster.http_ranges import RangeClient
from revisit.pixels.raster.http_settings import HttpSettings
from revisit.pixels.raster.remote_cog import Header, HeaderCache
from revisit.pixels.raster.tiff_header import Layout

PART = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\nContent-Range: bytes 0-3/9\r\n\r\nabcd"


def test_settings_are_read_from_gdals_variables():
    settings = HttpSettings.from_environment(
        {"GDAL_HTTP_TIMEOUT": "7", "GDAL_HTTP_CONNECTTIMEOUT": "", "CURL_CA_BUNDLE": "/ca.pem"}
    )
    assert settings == HttpSettings(total_timeout_s=7.0, ca_bundle="/ca.pem")
    assert settings.gdal_options["GDAL_HTTP_TIMEOUT"] == "7"
    assert HttpSettings.from_environment({}) == HttpSettings()


def test_a_header_or_proxy_for_gdal_leaves_the_read_to_gdal():
    settings = HttpSettings.from_environment({"GDAL_HTTP_HEADERS": "Authorization: Bearer x"})
    with RangeClient(settings) as client:
        assert not client.can_fetch("http://127.0.0.1/x.tif")


def test_an_empty_time_out_does_not_mean_that_gdal_waits_for_ever(monkeypatch):
    import os

    monkeypatch.setattr(os, "environ", {"GDAL_HTTP_TIMEOUT": "", "GDAL_HTTP_MAX_RETRY": "3"})
    configure_gdal.__wrapped__()
    assert os.environ["GDAL_HTTP_TIMEOUT"] == "60"
    assert os.environ["GDAL_HTTP_MAX_RETRY"] == "3"


@pytest.fixture
def server():
    """Starts a server that gives the answers of each list on one connection and closes it; None waits."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[list[bytes | None]] = []
    requests: list[bytes] = []

    def serve():
        for answers in connections:
            connection, _ = listener.accept()
            with connection:
                for answer in answers:
                    if answer is None:
                        connection.recv(1)
                        continue
                    requests.append(connection.recv(4096))
                    connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)

    def start(*answers_of_connections):
        connections.extend(answers_of_connections)
        thread.start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/x.tif", requests

    yield start
    listener.close()


def test_a_kept_connection_that_the_server_closed_is_replaced_once(server):
    href, requests = server([PART], [PART])
    with RangeClient(HttpSettings()) as client:
        assert bytes(client.fetch(href, 0, 3).content) == b"abcd"
        assert client.fetch(href, 0, 3).size == 9
    assert len(requests) == 2


def test_a_new_connection_that_the_server_closes_is_not_retried(server):
    href, requests = server([b""])
    with RangeClient(HttpSettings()) as client, pytest.raises(TransientError, match="does not answer"):
        client.fetch(href, 0, 3)
    assert len(requests) == 1


def test_a_server_that_stops_in_the_middle_of_an_answer_times_out(server):
    href, _ = server([PART[:-3], None])
    settings = HttpSettings(total_timeout_s=0.3)
    with RangeClient(settings) as client, pytest.raises(TransientError, match="not answer in time"):
        client.fetch(href, 0, 3)


def test_a_thread_keeps_a_bounded_number_of_connections():
    with RangeClient(HttpSettings()) as client:
        connections = [client._connection(f"http://host{number}/x.tif")[0] for number in range(9)]
        assert client._connections == set(connections[1:])


def test_the_header_cache_drops_the_header_that_was_not_used_for_longest():
    grid = Grid("EPSG:32631", (10.0, 0.0, 600000.0, 0.0, -10.0, 5000040.0), 16, 16)
    header = Header(Layout(grid, "uint16", (16, 16), 1, (0,), (0,)), 100, "v1")
    cache = HeaderCache(capacity=2)
    cache.put("a", header)
    cache.put("b", header)
    cache.get("a")
    cache.put("c", header)
    assert [cache.get(href) is not None for href in "abc"] == [True, False, True]
    cache.discard("a")
    cache.discard("a")
    assert cache.get("a") is None
