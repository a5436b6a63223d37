"""The whole chain over Google's emulators: a tick of the clock becomes alerts, with the numbers of the embedded run, whatever fails."""

import os
import signal
import time

import pytest

from chain import drain
from emulators.function_process import POINTS
from figures import figure
from gcp.deployment import Echo, archive_source, deployed, differences, doubled, facts, watch_all
from revisit.alert import Alert
from revisit.bookkeeping import DeadLetter
from revisit.local.backend import local_backend
from revisit.paging import every
from revisit.refreshing import refresh_source

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """What the same subscriptions make of the same archive on one computer."""
    backend = local_backend(tmp_path_factory.mktemp("embedded") / "data", sources=(archive_source(),))
    watch_all(backend)
    refresh_source(backend, archive_source())
    drain(backend)
    found = facts(backend)
    assert len(found["jobs"]) == 34 and len(found["alerts"]) > 5
    return found


def test_a_tick_becomes_the_same_numbers_bit_for_bit_as_on_one_computer(google, embedded, tmp_path):
    with deployed(google, tmp_path) as deployment:
        watch_all(deployment.backend)
        begun = time.monotonic()
        deployment.tick("catalog.refresh")
        deployment.wait(lambda: deployment.finished() == len(embedded["jobs"]) and deployment.backend.records.count(Alert) == len(embedded["alerts"]),
                        240, "all jobs and alerts")
        took = time.monotonic() - begun
        assert differences(facts(deployment.backend), embedded) == []
        assert doubled(deployment.backend) == 0
        figure("chain over emulators", f"{len(embedded['jobs'])} jobs, {len(embedded['alerts'])} alerts equal to the embedded run bit for bit, in {took:.0f} s")


def test_kills_duplicates_and_outages_lose_nothing_and_double_nothing(google, embedded, tmp_path):
    crashes = tmp_path / "crashes"
    crashes.mkdir()
    # One event may meet every point there is, and each costs it an attempt: that dead ones are put aside is another test.
    with deployed(google, tmp_path / "logs", attempts=50, REVISIT_TEST_CRASHES=str(crashes)) as deployment:
        echo = Echo(deployment.settings.project)
        echo.start()
        watch_all(deployment.backend)
        deployment.tick("catalog.refresh")
        deployment.wait(lambda: any(crashes.iterdir()), 60, "a first crash")
        outages = [_stopped(google[name], seconds) for name, seconds in (("PUBSUB_EMULATOR_HOST", OUTAGE_S), ("FIRESTORE_EMULATOR_HOST", OUTAGE_S))]
        ended = time.monotonic()
        wanted = len(embedded["jobs"]), len(embedded["alerts"])
        deployment.wait(lambda: (deployment.finished(), deployment.backend.records.count(Alert)) == wanted and not deployment.outbox(), 300,
                        "all jobs and alerts")
        recovered = time.monotonic() - ended
        echo.stop()
        time.sleep(5)
        found = facts(deployment.backend)
        lost = len(embedded["alerts"].keys() - found["alerts"].keys())
        double = doubled(deployment.backend) + len(found["alerts"].keys() - embedded["alerts"].keys())
        letters = list(every(deployment.backend.records, DeadLetter))
    died = sorted(path.name for path in crashes.iterdir())
    events = sum(echo.heard.values())
    figure("chain over emulators under faults",
           f"{events} events, {len(died)} kills -9 at named points, {echo.injected} duplicates injected, Pub/Sub and Firestore stopped for {OUTAGE_S} s each: "
           f"{lost} lost, {double} duplicate alerts, {len(letters)} dead letters; all done {recovered:.0f} s after the last outage")
    assert (lost, double) == (0, 0)
    assert differences(found, embedded) == []
    assert echo.injected >= 0.3 * events
    assert {name.split(": ")[1] for name in died} == set(POINTS), "every point is met by some function"
    assert not letters
    assert len(outages) == 2


OUTAGE_S = 30


def _stopped(emulator, seconds: float) -> float:
    """Have an emulator hang, as a service that is away does; its memory is all it has, so it is not killed."""
    os.kill(emulator.process.pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(emulator.process.pid, signal.SIGCONT)
    return seconds
