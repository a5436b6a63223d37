"""The suite as one service: it watches, survives kill -9 at any moment, and ends with its parent."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from data import shared_data
from figures import figure
from revisit.adapters.local.backend import local_backend
from revisit.domain.aoi import AOI
from revisit.domain.recipe import Recipe
from revisit.embedded import server_url
from revisit.services.subscriptions.create import create_subscription

SITE = "gfmap_31UES"


class Server:
    """`revisit serve` in a process group of its own."""

    def __init__(self, data: Path, *sources: Path) -> None:
        specs = [option for source in sources for option in ("--source", f"folder:{source}")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "revisit", "serve", "--data", str(data), "--port", "0", *specs],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.data = data

    @property
    def url(self) -> str:
        """Its address, once it answers."""
        return wait_for(lambda: (found := server_url(self.data)) and found.startswith("http") and found)

    def kill(self) -> None:
        """kill -9 of the server alone; its workers must notice."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """A polite end."""
        self.process.terminate()
        return self.process.wait(60)


def wait_for(what, within_s=240):
    """The first truthy answer of `what`."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if answer := what():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {within_s} s")


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def revisit(data, *words):
    """One command on the folder."""
    done = subprocess.run(
        [sys.executable, "-m", "revisit", *words, "--data", str(data), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def archive(tmp_path):
    """The real archive in a folder that products may be added to, all but one site's last five dates."""
    real = shared_data("archive")
    there = tmp_path / "archive"
    there.mkdir()
    items = sorted((real / "sentinel-2-l2a").glob("*31UES*"), key=lambda path: path.name.split("_")[2])
    for item in items[:-5]:
        shutil.copytree(item, there / item.name)
    return there, items[-5:], real / "aoi" / f"{SITE}.geojson"


def idle(queue):
    return not queue["ready"] + queue["leased"] + queue["delayed"]


def children_of(pid):
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def test_products_that_arrive_become_alerts_although_the_server_is_killed_again_and_again(archive, tmp_path):
    watched, arriving, aoi = archive
    data = tmp_path / "data"
    expected = {
        date["item"]
        for date in json.loads(shared_data("archive", "expected.json").read_text())["sites"][SITE]["dates"]
        if date["clear_pixels"]
    }
    subscription = revisit(data, "subscribe", "--aoi", str(aoi), "--name", "Field", "--index", "NDVI")[
        "subscription"
    ]
    kills = 0
    for arrival in [None, *arriving]:
        if arrival is not None:
            shutil.copytree(arrival, watched / f".{arrival.name}")
            (watched / f".{arrival.name}").rename(watched / arrival.name)
        server = Server(data, watched)
        time.sleep(0.7 + 0.45 * kills)  # a different moment of start-up and work each time
        workers = children_of(server.process.pid)
        server.kill()
        kills += 1
        wait_for(lambda workers=workers: not [pid for pid in workers if Path(f"/proc/{pid}").exists()], 15)
    server = Server(data, watched)
    try:
        url = server.url
        wait_for(
            lambda: (
                idle(get(f"{url}/status")["queue"])
                and len(revisit(data, "alerts", subscription)["alerts"]) >= len(expected)
            ),
            90,
        )
        alerts = revisit(data, "alerts", subscription)["alerts"]
    finally:
        assert server.stop() == 0
    assert {alert["product"] for alert in alerts} == expected
    assert [alert["number"] for alert in alerts] == list(range(1, len(expected) + 1))
    figure("embedded kill -9", f"{kills} kills, {len(expected)} alerts expected, 0 lost, 0 doubled")


def test_a_second_server_on_the_folder_and_a_taken_port_are_one_sentence(archive, tmp_path):
    watched, _, _ = archive
    first = Server(tmp_path / "data", watched)
    try:
        port = first.url.rpartition(":")[2]
        for data, sentence in (
            (tmp_path / "data", "being served already at http://127.0.0.1:"),
            (tmp_path / "other", f"port {port}"),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "revisit", "serve", "--data", str(data), "--port", port],
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert (done.returncode, sentence in done.stderr, "Traceback" in done.stderr) == (
                2,
                True,
                False,
            ), done.stderr
    finally:
        assert first.stop() == 0


def test_the_running_server_processes_an_order(archive, tmp_path):
    watched, _, aoi = archive
    server = Server(tmp_path / "data", watched)
    try:
        assert get(f"{server.url}/health")
        found = revisit(
            tmp_path / "data",
            "order",
            "--aoi",
            str(aoi),
            "--source",
            f"folder:{watched}",
            "--index",
            "NDVI",
            "--wait",
        )
    finally:
        assert server.stop() == 0
    assert found["state"] == "finished"
    assert {job["state"] for job in found["jobs"]} == {"done", "skipped"}, "skipped where no pixel is clear"


def test_a_body_that_is_too_large_is_a_problem_like_any_other(tmp_path):
    server = Server(tmp_path / "data")
    try:
        request = urllib.request.Request(
            f"{server.url}/orders", b" " * 3_000_000, {"Content-Type": "application/json"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
    finally:
        assert server.stop() == 0
    assert (refused.value.code, refused.value.headers["Content-Type"]) == (413, "application/problem+json")


def test_a_server_that_is_stopped_does_not_wait_for_a_backlog(archive, tmp_path):
    watched, _, aoi = archive
    data = tmp_path / "data"
    backend = local_backend(data)
    for name in range(20):
        create_subscription(backend, AOI.parse(aoi.read_bytes()), f"Field {name}", Recipe(indices=("NDVI",)))
    server = Server(data, watched)
    wait_for(lambda: get(f"{server.url}/status")["queue"]["leased"])
    assert server.stop() == 0
