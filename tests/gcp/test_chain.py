"""The whole chain over Google's emulators: a tick becomes alerts with the embedded values, whatever fails."""

import json
import os
import signal
import time
import urllib.request

import pytest

from chain_runner import drain
from emulators.function_process import CRASH_POINTS
from emulators.project import scheduler_message
from emulators.shared import private_emulators
from figures import figure
from gcp.deployment import (
    SITES,
    DuplicatePublisher,
    archive_source,
    chain_outcome,
    count_duplicate_alerts,
    differences,
    run_deployment,
    subscribe_to_all_sites,
)
from revisit.adapters.local.backend import local_backend
from revisit.chain.refresh import refresh_source
from revisit.domain.alert import Alert
from revisit.domain.clock import format_rfc3339, system_clock
from revisit.domain.subscription import Subscription
from revisit.ports import cloudevents
from revisit.ports.pagination import find_all
from revisit.ports.system_records import DeadLetter
from revisit.ports.topology import TRIGGER_TOPICS

pytestmark = pytest.mark.timeout(2400)
SERVICES = ("PUBSUB_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST")
STALE_S = "5"
"""Age of rows in the outbox that the sweep publishes, seconds; a minute in production."""


@pytest.fixture(scope="module")
def google(google):
    """The shared emulators, with Pub/Sub and Firestore replaced by private ones, which the tests suspend."""
    with private_emulators(*SERVICES) as private:
        yield google | private


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """What the same subscriptions make of the same archive on one computer."""
    backend = local_backend(tmp_path_factory.mktemp("embedded") / "data", sources=(archive_source(),))
    subscribe_to_all_sites(backend)
    refresh_source(backend, archive_source())
    drain(backend)
    found = chain_outcome(backend)
    assert len(found["jobs"]) == 34 and len(found["alerts"]) > 5
    return found


# Before the others, whose functions need not run beside it.
def test_kills_duplicates_and_outages_lose_nothing_and_double_nothing(google, embedded, tmp_path):
    crashes = tmp_path / "crashes"
    crashes.mkdir()
    # One event may meet every point there is, and each costs it an attempt: dead-lettering is
    # another test.
    with run_deployment(
        google,
        tmp_path / "logs",
        attempts=2 * len(CRASH_POINTS),
        REVISIT_TEST_CRASHES=str(crashes),
        REVISIT_STALL_SECONDS="60",
        REVISIT_TEST_STALE_SECONDS=STALE_S,
    ) as deployment:
        echo = DuplicatePublisher(deployment.settings.project)
        echo.start()
        subscribe_to_all_sites(deployment.backend)
        deployment.tick("catalog.refresh")
        deployment.wait(lambda: any(crashes.iterdir()), 300, "a first crash")
        for name in SERVICES:
            outage(google[name])
        ended = time.monotonic()
        wanted = len(embedded["jobs"]), len(embedded["alerts"])
        deployment.wait(
            lambda: (
                (deployment.count_finished(), deployment.backend.records.count(Alert)) == wanted
                and not deployment.count_unpublished()
            ),
            900,
            "all jobs and alerts",
        )
        recovered = time.monotonic() - ended
        echo.stop()
        time.sleep(5)
        found = chain_outcome(deployment.backend)
        lost = len(embedded["alerts"].keys() - found["alerts"].keys())
        double = count_duplicate_alerts(deployment.backend) + len(
            found["alerts"].keys() - embedded["alerts"].keys()
        )
        letters = list(find_all(deployment.backend.records, DeadLetter))
    died = sorted(path.name for path in crashes.iterdir())
    events = sum(echo.message_counts.values())
    figure(
        "chain over emulators under faults",
        f"{events} events, {len(died)} kills -9 at named points, {echo.injected} duplicates injected, "
        f"Pub/Sub and Firestore stopped for {OUTAGE_S} s each: "
        f"{lost} lost, {double} duplicate alerts, {len(letters)} dead letters; all done {recovered:.0f} s "
        f"after the last outage",
    )
    assert (lost, double) == (0, 0)
    assert differences(found, embedded) == []
    assert echo.injected >= 0.3 * events
    assert {name.split(": ")[1] for name in died} == set(CRASH_POINTS), "every point is met by some function"
    assert not letters


OUTAGE_S = 30


def outage(*emulators) -> None:
    """Have emulators hang, as services that are away do; their memory is all they have, so they are not
    killed."""
    try:
        for emulator in emulators:
            os.kill(emulator.process.pid, signal.SIGSTOP)
        time.sleep(OUTAGE_S)
    finally:
        for emulator in emulators:
            os.kill(emulator.process.pid, signal.SIGCONT)


def test_work_goes_on_where_it_was_after_pubsub_and_firestore_have_been_away(google, embedded, tmp_path):
    with run_deployment(google, tmp_path / "logs", REVISIT_TEST_STALE_SECONDS=STALE_S) as deployment:
        subscribe_to_all_sites(deployment.backend)
        deployment.tick("catalog.refresh")
        deployment.wait(lambda: deployment.count_finished() >= 3, 300, "the first jobs")
        outage(*(google[name] for name in SERVICES))
        before = deployment.count_finished()
        wanted = len(embedded["jobs"]), len(embedded["alerts"])
        recovered = deployment.wait(
            lambda: (
                (deployment.count_finished(), deployment.backend.records.count(Alert)) == wanted
                and not deployment.count_unpublished()
            ),
            900,
            "all jobs and alerts",
        )
        found = chain_outcome(deployment.backend)
        assert differences(found, embedded) == []
        assert count_duplicate_alerts(deployment.backend) == 0 and not list(
            find_all(deployment.backend.records, DeadLetter)
        )
    figure(
        "chain over emulators after an outage",
        f"Pub/Sub and Firestore both stopped for {OUTAGE_S} s with {before} of {wanted[0]} jobs done; all "
        f"done {recovered:.0f} s after it",
    )


@pytest.fixture(scope="module")
def chained(google, embedded, tmp_path_factory):
    """The deployment in which one tick of the clock has become all there is to make of the archive, and how
    long that took."""
    with run_deployment(google, tmp_path_factory.mktemp("chained")) as deployment:
        subscribe_to_all_sites(deployment.backend)
        begun = time.monotonic()
        deployment.tick("catalog.refresh")
        deployment.wait(
            lambda: (
                deployment.count_finished() == len(embedded["jobs"])
                and deployment.backend.records.count(Alert) == len(embedded["alerts"])
            ),
            900,
            "all jobs and alerts",
        )
        yield deployment, time.monotonic() - begun


def test_a_tick_becomes_the_same_numbers_bit_for_bit_as_on_one_computer(chained, embedded):
    deployment, took = chained
    assert differences(chain_outcome(deployment.backend), embedded) == []
    assert count_duplicate_alerts(deployment.backend) == 0
    figure(
        "chain over emulators",
        f"{len(embedded['jobs'])} jobs, {len(embedded['alerts'])} alerts equal to the embedded run bit for "
        f"bit, in {took:.0f} s",
    )


def test_every_line_of_the_functions_is_one_object_that_cloud_logging_reads_with_its_request_and_no_secret(
    chained,
):
    deployment, _ = chained
    project, functions = deployment.settings.project, deployment.functions.by_name
    now = format_rfc3339(system_clock())
    tick = cloudevents.raw_push_body(scheduler_message("deliveries.due"), "s", "1", 1)
    push(
        functions["deliver"],
        "deliveries.due",
        {**tick, "message": {**tick["message"], "publishTime": now}},
        traceparent=f"00-{'a1' * 16}-{'b2' * 8}-01",
        Authorization=f"Bearer {TOKEN}",
    )
    push(
        functions["notify"],
        "product.new",
        cloudevents.raw_push_body(
            json.dumps({"type": "com.other", "data": {"key": WEBHOOK}}).encode(), "s", "2", 1
        ),
        **{"X-Cloud-Trace-Context": f"{'c3' * 16}/17;o=1", "Authorization": f"Bearer {TOKEN}"},
    )
    written = {name: function.log.read_text() for name, function in functions.items()}
    lines = {name: [json.loads(line) for line in text.splitlines()] for name, text in written.items()}
    for name, of in lines.items():
        assert of and all(isinstance(line, dict) and line["message"] for line in of), name
        assert {line["severity"] for line in of} <= {"INFO", "WARNING"}, "nothing went wrong"
        assert {line["function"] for line in of if "outcome" in line} == {name}
    chain = [line for of in lines.values() for line in of if line.get("event") in TRIGGER_TOPICS.values()]
    [begun] = [line for line in lines["refresh"] if line["event"] == "catalog.refresh"]
    assert {line["trace"] for line in chain} == {begun["trace"]}, (
        "all that follows from a tick is found by it"
    )
    requests = {
        line[TRACE]: (line["function"], line["outcome"].partition(":")[0], line[SPAN])
        for of in lines.values()
        for line in of
        if TRACE in line
    }
    assert requests == {
        f"projects/{project}/traces/{'a1' * 16}": ("deliver", "done", "b2" * 8),
        f"projects/{project}/traces/{'c3' * 16}": ("notify", "gave up", f"{17:016x}"),
    }
    secrets = [
        TOKEN,
        WEBHOOK,
        *(watched.feed_token for watched in find_all(deployment.backend.records, Subscription)),
    ]
    everything = "".join(
        [*written.values(), *(function.errors.read_text() for function in functions.values())]
    )
    assert len(secrets) == 2 + len(SITES) and all(secrets)
    assert [secret for secret in (*secrets, "X-Goog-Signature", "PRIVATE KEY") if secret in everything] == []


TRACE, SPAN = "logging.googleapis.com/trace", "logging.googleapis.com/spanId"
TOKEN, WEBHOOK = "ya29.token-of-whoever-calls", "whsec_c2VjcmV0IG9mIGEgd2ViaG9vaw"


def push(function, topic: str, body, **headers: str) -> None:
    """As Pub/Sub does it, with headers that its emulator does not send."""
    request = urllib.request.Request(
        f"{function.url}/projects/p/topics/{topic}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", **headers},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200
