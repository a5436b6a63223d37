"""A STAC API on this computer that answers by a script, with recorded items and such as a test thinks of."""

import copy
import gzip
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from data import shared_data
from revisit.domain.product import Product
from revisit.ports.catalog_schema import SCHEMA, to_products
from revisit.ports.sources import Listing

NOW = datetime(2020, 3, 6, 12, tzinfo=UTC)
Answer = tuple[int, bytes, dict[str, str]]


class Server:
    """A STAC API on this computer that answers by a script, then by its function."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        """Method, path, body."""
        self.script: list[Answer | Callable[[Any], Answer]] = []
        """Answers given first."""
        self.answer: Callable[[str, Any], Answer] = lambda path, body: json_answer(collection([]))
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.reply(json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def do_GET(self) -> None:
                self.reply(None)

            def reply(self, body: Any) -> None:
                outer.asked.append((self.command, self.path, body))
                scripted = outer.script.pop(0) if outer.script else None
                status, content, headers = (scripted(body) if callable(scripted) else scripted) or outer.answer(self.path, body)
                self.send_response(status)
                for name, value in ({"content-length": str(len(content))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def bodies(self) -> list[Any]:
        return [body for method, _, body in self.asked if method == "POST"]



def json_answer(value: Any, status: int = 200, **headers: str) -> Answer:
    return status, json.dumps(value).encode(), headers


def collection(features: list[Any], **more: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features, "links": [], **more}


def recorded(name: str) -> dict[str, Any]:
    path = shared_data("stac", name)
    read = json.loads(gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_text())
    if "response" in read:
        read = read["response"].get("body", read["response"])
        read = json.loads(read) if isinstance(read, str) else read
    return read


def two_pages(path: str, body: Any) -> Answer:
    """As Earth Search answered: two pages with tokens, whose second still names a next one, which is empty."""
    first, second = recorded("earthsearch_v1_l2a_paged_1.json"), recorded("earthsearch_v1_l2a_paged_2.json")
    token = {None: first, first["links"][0]["body"]["next"]: second}
    assert body["collections"] == ["sentinel-2-l2a"]
    return json_answer(token.get(body.get("next"), collection([])))


def all_unseen(ids: Any) -> Any:
    return np.ones(len(ids), dtype=bool)


def products(listing: Listing) -> list[Product]:
    tables = list(listing.batches)
    assert all(table.schema == SCHEMA and 0 < table.num_rows <= 10_000 for table in tables)
    return [product for table in tables for product in to_products(table)]


def made(number: int, day: datetime = NOW) -> dict[str, Any]:
    """An item of our own, told apart by its number."""
    item = copy.deepcopy(recorded("earthsearch_v1_l2a_paged_1.json")["features"][0])
    item["id"] = f"S2A_32TMT_20200305_{number}_L2A"
    item["properties"]["datetime"] = day.isoformat()
    return item
