"""Each function uses the ports in `topology.PORTS`, which decide on the libraries it is deployed with."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chain_runner import drain
from data import shared_data
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from revisit.domain.aoi import AOI
from revisit.domain.events import DeliveriesDue, RefreshDue
from revisit.domain.recipe import Recipe
from revisit.ports.authenticator import Authenticator, Claims
from revisit.ports.backend import Backend
from revisit.ports.cloudevents import Envelope
from revisit.ports.topology import PORTS, TRIGGER_TOPICS
from revisit.services.subscriptions.create import create_subscription

SITE = "gfmap_31UES"
PORT_OF_METHOD = {
    "list_products": "listing",
    "history": "listing",
    "check": "listing",
    "files": "listing",
    "bands": "bands",
}
"""Method of a source -> the port that it belongs to."""


@dataclass(frozen=True)
class Watched:
    """A port that notes when it is used."""

    port: Any
    note: Callable[[str], None]

    def __getattr__(self, name: str) -> Any:
        self.note(name)
        return getattr(self.port, name)


@dataclass(frozen=True)
class ObservedAdapters:
    """Adapters that note which of them is used."""

    backend: Backend
    note: Callable[[str], None]

    @property
    def catalog(self) -> Any:
        self.note("catalog")
        return self.backend.catalog()

    @property
    def records(self) -> Any:
        return Watched(self.backend.records, lambda _: self.note("records"))

    @property
    def assets(self) -> Any:
        return Watched(self.backend.assets, lambda _: self.note("assets"))

    @property
    def bus(self) -> Any:
        return Watched(self.backend.bus, lambda _: self.note("bus"))


@dataclass(frozen=True)
class WatchedBackend(Backend):
    """Gives each handler a backend that notes which ports the handler uses."""

    used: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def with_cause(self, cause: Envelope, handler: str) -> Backend:
        return replace(self.seen_by(handler), cause=cause, handler=handler)

    def seen_by(self, function: str) -> Backend:
        note = self.used[function].add

        def source(spec: str) -> Any:
            return Watched(
                self.source(spec), lambda name: note(PORT_OF_METHOD[name]) if name in PORT_OF_METHOD else None
            )

        def verify(token: str) -> Claims:
            note("sign_in")
            return Claims(token, operator=True)

        settings = replace(self.settings, authenticator=Authenticator(verify))
        return Backend(ObservedAdapters(self, note), source, self.sources, self.now, settings)


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    """A backend after the chain has run: a subscription, a refresh, the jobs and the deliveries."""
    archive = shared_data("archive")
    local = local_backend(tmp_path_factory.mktemp("ports") / "data", (f"folder:{archive}",))
    watched = WatchedBackend(**{name: getattr(local, name) for name in Backend.__dataclass_fields__})
    create_subscription(
        watched,
        AOI.parse((archive / "aoi" / f"{SITE}.geojson").read_bytes()),
        "field",
        Recipe(indices=("NDVI",)),
    )
    for event in (RefreshDue("2026-05-01T10:30:00Z"), DeliveriesDue("2026-05-01T10:30:00Z")):
        watched.commit(lambda commit, event=event: commit.emit(event), completes_event=False)
        drain(watched)
    return watched


@pytest.mark.parametrize("function", TRIGGER_TOPICS)
def test_a_function_uses_exactly_its_declared_ports(function, backend):
    assert backend.used[function] == set(PORTS[function])


def test_the_api_uses_exactly_its_declared_ports(backend):
    client = create_app(backend.seen_by("api")).test_client()
    guest = {"Authorization": "Bearer guest"}
    aoi = AOI.parse((shared_data("archive") / "aoi" / f"{SITE}.geojson").read_bytes()).geometry
    placed = client.post(
        "/orders",
        json={"aoi": aoi, "start": "2023-10-01", "end": "2023-12-31", "indices": ["NDVI"]},
        headers=guest,
    )
    assert placed.status_code < 300, placed.text
    drain(backend)
    done = next(
        job
        for job in client.get(f"{placed.headers['Location']}/results", headers=guest).json["jobs"]
        if job["state"] == "done"
    )
    asset = client.get(f"/results/{done['job']}/assets/NDVI", headers=guest)
    assert asset.status_code == 200
    assert client.get("/status", headers=guest).status_code == 200
    [item] = client.get("/stac/search?limit=1&collections=sentinel-2-l2a", headers=guest).json["features"]
    assert item["assets"], "the source states the files of a product"
    estimate = {
        "aoi": aoi,
        "start": "2023-10-01",
        "end": "2023-12-31",
        "source": f"folder:{shared_data('archive')}",
    }
    assert client.post("/orders/estimate", json=estimate, headers=guest).status_code == 200
    assert backend.used["api"] == set(PORTS["api"])
