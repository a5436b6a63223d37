"""Each function as Terraform packs it, with its own packages only, driven by Pub/Sub and over HTTP."""

import hashlib
import json
import re
import statistics
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from data import shared_data
from deploy.function_install import InstalledFunction, install
from deploy.function_server import FunctionServer, make_server
from emulators import new_project
from emulators.bigquery import create_catalog
from emulators.project import create_topics, publish, scheduler_message
from emulators.storage import create_bucket
from figures import figure
from id_token_signer import firebase_claims, unsigned_token
from import_graph import ROOT
from revisit.adapters.gcp.backend import gcp_backend
from revisit.adapters.gcp.settings import Settings
from revisit.ports.pagination import find_all
from revisit.ports.system_records import DeadLetter
from revisit.ports.topology import PORTS, SCHEDULED_TOPICS, TRIGGER_TOPICS

pytestmark = pytest.mark.timeout(600)

SITE = "gfmap_31UES"
CLEAR = {
    "S2B_31UES_20231007_L2A_crop": 119,
    "S2A_31UES_20231022_L2A_crop": 747,
    "S2B_31UES_20231226_L2A_crop": 747,
}
"""Products of the site with anything to see in its AOI, and how many clear pixels (archive/expected.json)."""
PATIENCE_S = 400


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict[str, InstalledFunction]:
    """Every function, unpacked and installed."""
    folder = tmp_path_factory.mktemp("deploy")
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(PORTS, pool.map(lambda name: install(name, folder), PORTS), strict=True))


@dataclass
class Deployment:
    """A project and its functions, each from its own archive."""

    settings: Settings
    functions: dict[str, FunctionServer]

    def tick(self, topic: str) -> None:
        """Publish the tick that Cloud Scheduler would."""
        publish(self.settings.project, topic, scheduler_message(topic))

    def ask(self, path: str, body: Any = None) -> Any:
        """The API's answer to a signed-in user, decoded."""
        return json.loads(self.ask_raw(path, body))

    def ask_raw(self, path: str, body: Any = None) -> bytes:
        """The API's answer to a signed-in user, as bytes."""
        headers = {
            "Authorization": f"Bearer {unsigned_token(firebase_claims(self.settings.project))}",
            "Content-Type": "application/json",
        }
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.functions["api"].url + path, data, headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.read()

    def report(self) -> str:
        """How things stand."""
        letters = [
            f"{letter.function}: {letter.reason}"
            for letter in find_all(gcp_backend(self.settings).records, DeadLetter)
        ]
        logs = "\n".join(
            line
            for function in self.functions.values()
            for line in function.log.read_text().splitlines()
            if not line.startswith("import time:")
        )
        return f"dead letters {letters[:3]}\n{logs[-6000:]}"


@pytest.fixture(scope="module")
def deployment(google, installed, tmp_path_factory):
    """All functions, after one turn of the clock: a subscription made over the API has its alerts."""
    settings = Settings(new_project(), sources=(f"folder:{shared_data('archive')}",))
    create_bucket(google["STORAGE_EMULATOR_HOST"].host, settings.bucket)
    create_catalog(settings)
    variables = {
        "REVISIT_PROJECT": settings.project,
        "REVISIT_SOURCES": " ".join(settings.sources),
        "FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:1",
        **{variable: emulator.host for variable, emulator in google.items()},
    }
    functions = {
        name: make_server(each, variables, tmp_path_factory.getbasetemp()) for name, each in installed.items()
    }
    try:
        for function in functions.values():
            function.start()
        for function in functions.values():
            function.wait()
        create_topics(settings.project, {name: function.url for name, function in functions.items()})
        yield Deployment(settings, functions)
    finally:
        for function in functions.values():
            function.kill()


def wait(until, deployment: Deployment) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not until():
        assert time.monotonic() < end, deployment.report()
        time.sleep(0.2)


def aoi_of_site() -> dict[str, Any]:
    """GeoJSON."""
    return json.loads((shared_data("archive") / "aoi" / f"{SITE}.geojson").read_text())


ORDER = {"start": "2023-10-01", "end": "2023-12-31", "indices": ["NDVI"]}


@pytest.fixture(scope="module")
def alerts(deployment) -> list[dict[str, Any]]:
    """The alerts of a subscription created over the API, once the chain has run."""
    watch = deployment.ask("/subscriptions", {"aoi": aoi_of_site(), "name": "field", "indices": ["NDVI"]})[
        "subscription"
    ]
    # No source has been listed yet: the function `refresh` lists it and selects the order's products.
    order = deployment.ask("/orders", ORDER | {"aoi": aoi_of_site()})
    assert order["state"] == "selecting"
    wait(lambda: deployment.ask(f"/orders/{order['order']}")["state"] != "selecting", deployment)
    deployment.tick("catalog.refresh")
    wait(lambda: len(deployment.ask(f"/subscriptions/{watch}/alerts")["alerts"]) >= len(CLEAR), deployment)
    deployment.tick("deliveries.due")
    wait(
        lambda: any(line["event"] == "deliveries.due" for line in deployment.functions["deliver"].lines()),
        deployment,
    )
    return deployment.ask(f"/subscriptions/{watch}/alerts")["alerts"]


def test_a_user_of_the_installed_functions_gets_an_alert_for_every_clear_acquisition(alerts):
    assert {alert["product"]: alert["clear_pixels"] for alert in alerts} == CLEAR
    assert [alert["number"] for alert in alerts] == [1, 2, 3]


def test_the_installed_api_hands_out_what_was_made(alerts, deployment):
    item = deployment.ask(alerts[0]["item"])
    for name, asset in item["assets"].items():
        path = asset["href"].removeprefix(deployment.functions["api"].url)
        content = deployment.ask_raw(path)
        if "file:checksum" in asset:
            assert asset["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest(), name
    assert {"bands", "SCL", "NDVI", "preview"} <= set(item["assets"])


def test_the_installed_api_finds_in_the_catalog_what_was_refreshed(alerts, deployment):
    placed = deployment.ask("/orders", ORDER | {"aoi": aoi_of_site()})
    wait(lambda: not deployment.ask(f"/orders/{placed['order']}")["open"], deployment)
    jobs = deployment.ask(f"/orders/{placed['order']}")["jobs"]
    assert len(jobs) == 19, "as many dates as archive/expected.json has"
    assert {job["product"]: job["clear_pixels"] for job in jobs if job["clear_pixels"]} == CLEAR


@pytest.mark.parametrize("function", TRIGGER_TOPICS)
def test_an_installed_function_does_its_work_when_pubsub_calls_it(function, alerts, deployment):
    lines = deployment.functions[function].lines()
    heard = {table[function] for table in (TRIGGER_TOPICS, SCHEDULED_TOPICS) if function in table}
    assert {line["event"] for line in lines} == heard
    assert {line["outcome"] for line in lines} <= {"done", "repeated"}, deployment.report()


def test_no_message_was_dead_lettered(alerts, deployment):
    assert not list(find_all(gcp_backend(deployment.settings).records, DeadLetter))


@pytest.mark.parametrize(
    ("function", "never"),
    [
        ("notify", {"google.cloud.bigquery", "google.cloud.storage", "osgeo", "pyarrow", "rasterio"}),
        (
            "deliver",
            {
                "google.cloud.bigquery",
                "google.cloud.storage",
                "numpy",
                "osgeo",
                "pyarrow",
                "pyproj",
                "rasterio",
                "shapely",
            },
        ),
        ("extract", {"google.cloud.bigquery", "pyarrow"}),
        ("index", {"google.cloud.bigquery", "pyarrow"}),
        *((function, {"google.cloud.pubsub_v1"}) for function in PORTS if function != "deliver"),
        *(
            (function, {"apsw", "duckdb", "revisit.adapters.local", "rich", "typer", "waitress"})
            for function in PORTS
        ),
    ],
)
def test_an_installed_function_loads_nothing_of_what_it_does_not_use(function, never, alerts, deployment):
    loaded = deployment.functions[function].modules()
    assert f"revisit.{'api' if function == 'api' else 'runtime'}" in loaded
    assert not never & loaded


def memory_of(function: str) -> str:
    """What Terraform gives it."""
    return re.search(
        rf'^ +{function} += .*memory += "(\w+)"',
        (ROOT / "terraform" / "functions.tf").read_text(),
        re.MULTILINE,
    )[1]


@pytest.mark.parametrize("function", PORTS)
def test_figures_of_an_installed_function(function, alerts, deployment, installed, tmp_path):
    """Milliseconds are medians of three fresh processes with bytecode. The first event needs the clients and
    the server too."""
    names = tmp_path / "modules"
    names.write_text("\n".join(sorted(deployment.functions[function].modules())))
    runs = [installed[function].run(IMPORTS, str(names)) for _ in range(3)]
    main, cpu, modules, every_, every_cpu, every_modules = (
        statistics.median(column) for column in zip(*runs, strict=True)
    )
    figure(
        f"deployed {function}",
        f"{installed[function].size / 1e6:.0f} MB installed; main.py imported in {main:.0f} ms ({cpu:.0f} "
        f"ms CPU, {modules:.0f} "
        f"modules), with all its first event needs in {every_:.0f} ms ({every_cpu:.0f} ms CPU, "
        f"{every_modules:.0f} modules); "
        f"{deployment.functions[function].memory() / 1e6:.0f} MB of memory after it, of "
        f"{memory_of(function)} given",
    )


IMPORTS = """
import json, sys, time
begun, cpu = time.perf_counter(), time.process_time()
def sizes():
    return [1e3 * (time.perf_counter() - begun), 1e3 * (time.process_time() - cpu), len(sys.modules)]
import main
first = sizes()
import contextlib, importlib
for name in open(sys.argv[1]).read().split():
    with contextlib.suppress(ImportError, AttributeError):
        importlib.import_module(name)
print(json.dumps(first + sizes()))
"""
