"""Band files of products in searches: those that the sources return in time, requested only where needed."""

import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pystac
import pystac_client
import pytest
import requests
from werkzeug.serving import make_server

from data import shared_data
from products import NOW, add_to_catalog, product
from revisit.adapters.local.backend import local_backend
from revisit.adapters.sources import open_source, stac_item
from revisit.adapters.sources.stac_api import StacApi
from revisit.api import create_app
from revisit.api.stac import asset_resolver, assets
from revisit.api.stac.asset_resolver import AssetResolver, cache_key
from revisit.domain.bands import BANDS, BandFile, SourceFile
from revisit.errors import PermanentError, TransientError
from revisit.ports.catalog import Query
from stac_server import ITEMS, Server, feature_collection, json_response

BUCKET = "https://storage.googleapis.com/gcp-public-data-sentinel-2/L2/tiles/32/T/NR"


class Source:
    """A source of products in Google's bucket that counts its requests and can be made to hang."""

    def __init__(self, spec: str) -> None:
        self.spec = spec
        self.asked: Counter[str] = Counter()
        self.free = threading.Event()
        self.free.set()
        self.refuses: Exception | None = None

    def files(self, of) -> list[SourceFile]:
        self.asked[of.id] += 1
        self.free.wait(60)
        if self.refuses:
            raise self.refuses
        return [
            SourceFile("B02.jp2", f"{BUCKET}/{of.id}/B02.jp2"),
            SourceFile("x-ql.jpg", f"{BUCKET}/{of.id}/x-ql.jpg"),
        ]

    def bands(self, of) -> dict[str, BandFile]:
        return {"B02": BandFile("B02", f"{BUCKET}/{of.id}/B02.jp2", "JP2OpenJPEG", offset=-0.1)}


class Sources:
    """By their SPEC."""

    def __init__(self) -> None:
        self.of: dict[str, Source] = {}

    def __call__(self, spec: str) -> Source:
        return self.of.setdefault(spec, Source(spec))


@pytest.fixture
def sources():
    made = Sources()
    yield made
    for one in made.of.values():
        one.free.set()


@pytest.fixture
def backend(tmp_path, sources):
    return replace(local_backend(tmp_path / "data", (), lambda: NOW), source=sources)


@pytest.fixture
def client(backend):
    return create_app(backend).test_client()


def several(count: int, source: str = "folder:/one", **changes: Any):
    """Products with different ids."""
    return [product(1 + at % 28, month=1 + at // 28, source=source, **changes) for at in range(count)]


def search(client, **body: Any) -> list[dict[str, Any]]:
    answer = client.post("/stac/search", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json["features"]


def with_bands(items: list[dict[str, Any]]) -> list[str]:
    return [item["id"] for item in items if "B02" in item["assets"]]


@contextmanager
def served(app):
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/stac"
    finally:
        server.shutdown()


def test_items_of_a_search_over_the_real_archive_carry_their_bands_as_the_single_item_does(tmp_path):
    backend, archive = local_backend(tmp_path / "data", (), lambda: NOW), shared_data("archive")
    for table in (
        open_source(f"folder:{archive}").list_products({}, lambda ids: np.ones(len(ids), bool), NOW).batches
    ):
        backend.catalog().add(table)
    kept = {
        item.id: item
        for item in pystac.Catalog.from_file(str(archive / "catalog.json")).get_items(recursive=True)
    }
    with served(create_app(backend)) as url:
        client = pystac_client.Client.open(url)
        found = list(client.search(collections=["sentinel-2-l1c", "sentinel-2-l2a"]).items())
        assert len(found) > 30
        assert {item.id: set(item.assets) & set(BANDS) for item in found} == {
            item.id: {Path(asset.href).stem for asset in kept[item.id].assets.values()} & set(BANDS)
            for item in found
        }
        for id in ("sentinel-2-l1c", "sentinel-2-l2a"):
            assets_by_item = {item.id: item.to_dict()["assets"] for item in found if item.collection_id == id}
            of_collection = client.get_collection(id)
            assert assets_by_item == {item.id: item.to_dict()["assets"] for item in of_collection.get_items()}
            one = next(iter(assets_by_item))
            assert assets_by_item[one] == of_collection.get_item(one).to_dict()["assets"]
            pixels = {
                Path(asset.href).stem: Path(asset.get_absolute_href()) for asset in kept[one].assets.values()
            }
            for name in set(assets_by_item[one]) & set(BANDS):
                assert (
                    requests.get(assets_by_item[one][name]["href"], timeout=30).content
                    == pixels[name].read_bytes()
                )


def test_items_of_a_search_name_googles_files_by_https_and_by_gs(client, backend):
    one = product(
        3, source="google-index:https://storage.googleapis.com/gcp-public-data-sentinel-2/L2/index.csv.gz"
    )
    add_to_catalog(backend, replace(one, href=f"{BUCKET}/{one.id}.SAFE"))
    [found] = search(client)
    assert found["assets"]["B02"]["href"] == f"{BUCKET}/{one.id}/B02.jp2"
    assert (
        found["assets"]["B02"]["alternate"]["gs"]["href"]
        == f"gs://gcp-public-data-sentinel-2/L2/tiles/32/T/NR/{one.id}/B02.jp2"
    )
    assert found["assets"]["thumbnail"]["href"] == f"{BUCKET}/{one.id}/x-ql.jpg"
    assert (
        found["assets"]["product"]["alternate"]["gs"]["href"]
        == f"gs://gcp-public-data-sentinel-2/L2/tiles/32/T/NR/{one.id}.SAFE"
    )
    assert found["assets"] == client.get(f"/stac/collections/sentinel-2-l2a/items/{one.id}").json["assets"]
    assert any("alternate-assets" in schema for schema in found["stac_extensions"])


# ------------------------------------------------------------------------------------------------------------
# requests


def test_each_product_is_requested_once_and_none_without_the_assets_field(client, backend, sources):
    add_to_catalog(backend, *several(30))
    for fields in (
        {"exclude": ["assets"]},
        {"include": ["id", "properties"]},
        {"include": ["properties.datetime"], "exclude": ["assets"]},
    ):
        assert all("assets" not in item for item in search(client, fields=fields))
        assert not sources.of
    for address in ("search?fields=id,bbox", "collections/sentinel-2-l2a/items?fields=-assets"):
        assert len(client.get(f"/stac/{address}").json["features"]) == 30
        assert not sources.of
    for fields in (
        {"include": ["assets"]},
        {"exclude": ["properties"]},
        {},
        {"include": ["assets.B02"], "exclude": ["assets"]},
    ):
        assert len(with_bands(search(client, fields=fields))) == 30
    assert (
        len(with_bands(client.get("/stac/collections/sentinel-2-l2a/items?fields=assets").json["features"]))
        == 30
    )
    assert sources("folder:/one").asked == Counter(one.id for one in several(30))


def test_a_page_of_more_than_a_hundred_requests_no_assets(client, backend, sources):
    add_to_catalog(backend, *several(101))
    assert {tuple(item["assets"]) for item in search(client, limit=1000)} == {("product",)}
    assert not sources.of
    assert len(with_bands(search(client, limit=100))) == 100


def test_an_item_names_all_sources_of_its_product(client, backend):
    """The second source states another sensing time of the same product."""
    (one,) = several(1)
    second = replace(one, source="folder:/two", sensing_time=one.sensing_time + timedelta(seconds=7))
    (alone,) = several(1, tile="33TXX", source="folder:/two")
    add_to_catalog(backend, one, second, alone)
    path = f"/stac/collections/sentinel-2-l2a/items/{one.id}"
    shown = [client.get(path).json, *search(client, ids=[one.id], limit=1), *search(client, ids=[alone.id])]
    named = [(item["properties"]["revisit:source"], item["properties"]["revisit:sources"]) for item in shown]
    assert all(sources[0] == source for source, sources in named)
    assert [sorted(sources) for _, sources in named] == [["folder:/one", "folder:/two"]] * 2 + [
        ["folder:/two"]
    ]
    assert not any("revisit:sources" in item for item in search(client, fields={"exclude": ["properties"]}))


def test_a_product_unknown_to_its_source_is_not_requested_by_each_page(client, backend, sources):
    add_to_catalog(backend, *several(5))
    sources("folder:/one").refuses = PermanentError("it has none")
    assert [with_bands(search(client)) for _ in range(3)] == [[]] * 3
    assert set(sources("folder:/one").asked.values()) == {1}
    # A request for the single product is answered again.
    sources("folder:/one").refuses = None
    one = several(1)[0]
    assert "B02" in client.get(f"/stac/collections/sentinel-2-l2a/items/{one.id}").json["assets"]
    assert with_bands(search(client)) == [one.id]


def test_products_of_a_stac_api_are_requested_ten_at_a_time(tmp_path):
    server = Server()
    template = ITEMS[0]
    items = {
        f"S2A_32TMT_20200305_{number}_L2A": {**template, "id": f"S2A_32TMT_20200305_{number}_L2A"}
        for number in range(25)
    }

    def answer(path: str, body: Any):
        if path == "/search":
            # One that the search does not find has an address all the same.
            return json_response(
                feature_collection([items[id] for id in body["ids"] if id != "S2A_32TMT_20200305_7_L2A"])
            )
        return json_response(items[unquote(path.rpartition("/")[2])])

    server.answer = answer
    spec = f"stac:{server.url}#sentinel-2-l2a"
    backend = local_backend(tmp_path / "data", (), lambda: NOW)
    add_to_catalog(
        backend,
        *(
            stac_item.product_of(item, spec, f"{server.url}/collections/sentinel-2-l2a/items/{id}")
            for id, item in items.items()
        ),
    )
    client = create_app(backend).test_client()
    found = search(client)
    assert sorted(len(body["ids"]) for body in server.bodies) == [5, 10, 10]
    assert {path for method, path, _ in server.requests if method == "GET"} == {
        "/collections/sentinel-2-l2a/items/S2A_32TMT_20200305_7_L2A"
    }
    red = template["assets"]["red"]["href"]
    assert [item["assets"]["B04"]["href"] for item in found] == [red] * 25
    # As for each product alone.
    source = StacApi(spec.partition(":")[2])
    for one in backend.catalog().search(Query()).products[:3]:
        assert source.files_and_bands([one])[one.id] == (source.files(one), source.bands(one))
    server.http.shutdown()


def test_a_stac_api_without_search_by_ids_is_requested_per_product(tmp_path):
    server = Server()
    template = ITEMS[0]
    items = {
        f"S2A_32TMT_20200305_{number}_L2A": {**template, "id": f"S2A_32TMT_20200305_{number}_L2A"}
        for number in range(12)
    }
    server.answer = lambda path, body: (
        json_response({}, 405) if body else json_response(items[path.rpartition("/")[2]])
    )
    spec = f"stac:{server.url}#sentinel-2-l2a"
    backend = local_backend(tmp_path / "data", (), lambda: NOW)
    add_to_catalog(
        backend,
        *(
            stac_item.product_of(item, spec, f"{server.url}/collections/sentinel-2-l2a/items/{id}")
            for id, item in items.items()
        ),
    )
    assert {item["assets"]["B04"]["href"] for item in search(create_app(backend).test_client())} == {
        template["assets"]["red"]["href"]
    }
    server.http.shutdown()


# ------------------------------------------------------------------------------------------------------------
# what hangs


def test_a_page_waits_for_a_source_that_hangs_only_until_its_timeout_and_shows_the_bands_of_the_others(
    client, backend, sources, monkeypatch
):
    monkeypatch.setattr(assets, "PAGE_TIMEOUT_S", 1.0)
    away, there = several(20, "folder:/away"), several(20, "folder:/there", tile="31UFS")
    add_to_catalog(backend, *away, *there)
    sources("folder:/away").free.clear()
    begun = time.monotonic()
    found = search(client)
    assert 0.9 < time.monotonic() - begun < 3
    assert set(with_bands(found)) == {one.id for one in there}
    assert {tuple(item["assets"]) for item in found if item["id"] not in with_bands(found)} == {("product",)}
    # Nobody waits for it again until it is heard of, and those that nobody waited for were not begun.
    begun = time.monotonic()
    assert set(with_bands(search(client))) == {one.id for one in there}
    assert time.monotonic() - begun < 0.9
    assert len(sources("folder:/away").asked) == asset_resolver.MAX_THREADS
    sources("folder:/away").free.set()
    until = time.monotonic() + 20
    while len(with_bands(search(client))) < 40 and time.monotonic() < until:
        time.sleep(0.1)
    assert len(with_bands(search(client))) == 40
    assert set(sources("folder:/away").asked.values()) == {1}, "what it said late was kept"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_source_that_fails_keeps_no_page_waiting(client, backend, sources):
    add_to_catalog(backend, *several(20))
    sources("folder:/one").refuses = TransientError("it is away")
    begun = time.monotonic()
    assert with_bands(search(client)) == []
    sources("folder:/one").refuses = RuntimeError("nobody thought of this")
    assert with_bands(search(client)) == []
    assert time.monotonic() - begun < assets.PAGE_TIMEOUT_S
    sources("folder:/one").refuses = None
    assert len(with_bands(search(client))) == 20


def test_a_hanging_source_occupies_a_bounded_number_of_threads_and_others_answer(backend, sources):
    resolver = AssetResolver(backend.source)
    hanging, other = sources("folder:/hangs"), several(50, "folder:/other")
    hanging.free.clear()
    before = threading.active_count()
    begun = time.monotonic()
    callers = [
        threading.Thread(
            target=resolver.resolve,
            args=(several(100, "folder:/hangs", tile=tile), 2.0),
        )
        for tile in ("32TNR", "31UFS", "32TQM", "29RKH")
    ]
    for caller in callers:
        caller.start()
    time.sleep(0.5)
    assert threading.active_count() - before <= asset_resolver.MAX_THREADS + len(callers)
    assert resolver.pending_count("folder:/hangs") <= asset_resolver.MAX_WAITING
    assert len(resolver.resolve(other, 2.0)) == 50
    for caller in callers:
        caller.join()
    assert time.monotonic() - begun < 5
    assert len(hanging.asked) == asset_resolver.MAX_THREADS
    # A single product can still be requested: nobody waits for the others, so there is room for it.
    one = several(1, "folder:/hangs", tile="36NXF")
    assert resolver.resolve(one, 0.1, force=True) == {}
    hanging.free.set()
    assert len(resolver.resolve(one, 10.0, force=True)) == 1


def test_the_cache_is_bounded_by_its_files(backend, sources):
    resolver = AssetResolver(backend.source, max_files=30)
    some = several(40)
    assert len(resolver.resolve(some, 5.0)) == 40
    assert sum(bool(resolver._cached(cache_key(one))) for one in some) == 10
