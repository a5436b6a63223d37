"""Google's index over HTTP: unchanged files, failing servers, and the bands beside it."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from google_index_samples import (
    ROW,
    SAFE_PATH,
    check_bands,
    index_csv,
    index_row,
    list_products,
    metadata_path,
    refresh_catalog,
)
from revisit.adapters.local.catalog import LocalCatalog
from revisit.adapters.sources import open_source
from revisit.adapters.sources.google_index import GoogleIndex
from revisit.adapters.sources.google_index_download import fetch_bytes
from revisit.errors import InvalidInputError, NotFoundError, PermanentError, TransientError
from revisit.ports.catalog import Query


class Upstream:
    """A bucket on this computer, with faults."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.fault = ""
        self.sent = 0
        self.asked: list[str] = []
        self.url = ""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    state = Upstream()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked.append(self.path)
            content = state.files.get(self.path.partition("?")[0])
            status = {"": 200, "cut": 200}.get(state.fault) or (
                int(state.fault) if state.fault.isdigit() else 200
            )
            if content is None:
                status, content = 404, b""
            etag = f'"{hash(content)}"'
            if status == 200 and self.headers.get("if-none-match") == etag:
                status, content = 304, b""
            self.send_response(status)
            self.send_header("etag", etag)
            if status == 302:
                self.send_header("location", "http://169.254.169.254/")
            if status != 304:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            if state.fault == "hang":
                threading.Event().wait(3)
            sending = content[: len(content) // 2] if state.fault == "cut" else content
            state.sent += len(sending)
            self.wfile.write(sending)

        def log_message(self, *_args):
            pass

    with served(Handler) as url:
        state.url = url
        yield state


@contextmanager
def served(handler) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_unchanged_etag_costs_no_byte(tmp_path, upstream):
    upstream.files["/bucket/L2/index.csv.gz"] = gzip.compress(index_csv(index_row(), index_row(1)))
    catalog, source = LocalCatalog(tmp_path), GoogleIndex(f"{upstream.url}/bucket/L2/index.csv.gz")
    first, new = refresh_catalog(source, catalog)
    assert (first.rows, new, first.unchanged) == (2, 2, False)
    assert upstream.sent == len(upstream.files["/bucket/L2/index.csv.gz"])
    second, new = refresh_catalog(source, catalog, first.state)
    assert (second.unchanged, new, second.state) == (True, 0, first.state)
    assert upstream.sent == len(upstream.files["/bucket/L2/index.csv.gz"])
    upstream.files["/bucket/L2/index.csv.gz"] = gzip.compress(
        index_csv(index_row(), index_row(1), index_row(2))
    )
    third, new = refresh_catalog(source, catalog, first.state)
    assert (third.rows, new) == (3, 1)
    assert {product.href.partition("/L2/")[0] for product in catalog.search(Query()).products} == {
        f"{upstream.url}/bucket"
    }


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("500", TransientError, "answers 500"),
        ("429", TransientError, "answers 429"),
        ("cut", TransientError, "breaks off|ends in the middle"),
        ("hang", TransientError, "does not answer"),
        ("403", PermanentError, "answers 403"),
        ("302", PermanentError, "redirects to http://169.254.169.254/"),
    ],
)
def test_a_failing_server_is_retried_and_a_refusing_one_is_not(upstream, monkeypatch, fault, error, said):
    monkeypatch.setattr("revisit.adapters.sources.google_index_download.READ_TIMEOUT_S", 0.5)
    upstream.files["/index.csv.gz"] = gzip.compress(index_csv(*map(index_row, range(9000))))
    upstream.fault = fault
    with pytest.raises(error, match=said):
        list_products(GoogleIndex(f"{upstream.url}/index.csv.gz"))


def test_a_missing_server_is_retried():
    with served(BaseHTTPRequestHandler) as url:
        pass
    with pytest.raises(TransientError, match="cannot be reached"):
        list_products(GoogleIndex(f"{url}/index.csv.gz"))


def test_an_object_of_a_bucket_is_for_a_deployment():
    with pytest.raises(
        InvalidInputError,
        match="here write https://storage.googleapis.com/gcp-public-data-sentinel-2/L2/index.csv.gz",
    ):
        open_source("google-index:gs://gcp-public-data-sentinel-2/L2/index.csv.gz")


def test_an_index_that_does_not_exist_is_refused(upstream):
    with pytest.raises(NotFoundError, match="does not exist"):
        list_products(GoogleIndex(f"{upstream.url}/index.csv.gz"))


def test_bands_are_read_from_the_server_of_the_index(upstream):
    upstream.files |= {
        "/b/L2/index.csv.gz": gzip.compress(index_csv(index_row(**ROW))),
        f"/b/{SAFE_PATH}/MTD_MSIL2A.xml": metadata_path().read_bytes(),
    }
    source = GoogleIndex(f"{upstream.url}/b/L2/index.csv.gz")
    _, (product,) = list_products(source)
    check_bands(source, product, f"{upstream.url}/b")
    upstream.fault = "503"
    with pytest.raises(TransientError, match="answers 503"):
        source.bands(product)


def test_files_of_many_products_are_downloaded_over_one_connection():
    greeted = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            greeted.add(self.client_address)
            self.send_response(200)
            self.send_header("content-length", "5")
            self.end_headers()
            self.wfile.write(b"file\n")

        def log_message(self, *_args):
            pass

    with served(Handler) as url:
        assert [fetch_bytes(f"{url}/{number}", 10) for number in range(20)] == [b"file\n"] * 20
    assert len(greeted) == 1
