"""Operation of a deployment from the command line: status, dead letters, doctor."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace

import functions_framework
import numpy as np
import pytest
from google.cloud import bigquery, pubsub_v1
from werkzeug.serving import make_server

from data import shared_data
from emulators import ROOT, free_port, new_project
from emulators.bigquery import create_catalog
from emulators.project import create_topics, publish, pull_events
from emulators.storage import create_bucket
from figures import figure
from gcp.deployment import archive_source
from product_tables import to_products
from revisit import runtime
from revisit.adapters.gcp.backend import gcp_backend
from revisit.adapters.gcp.bigquery_client import create_client
from revisit.adapters.gcp.event_bus import DEAD_LETTER_TOPIC
from revisit.adapters.gcp.outbox import Outbox
from revisit.adapters.gcp.settings import Settings
from revisit.adapters.sources import open_source
from revisit.chain.job_lifecycle import start_jobs
from revisit.chain.outbox_sweep import sweep
from revisit.cli import run
from revisit.domain.aoi import AOI
from revisit.domain.events import EVENTS, JobFinished, JobStarted
from revisit.domain.job import Job, job_id
from revisit.domain.recipe import Recipe
from revisit.errors import TransientError
from revisit.ports.cloudevents import Envelope
from revisit.ports.system_records import DeadLetter
from revisit.ports.topology import functions_for
from samples import NOON

SOURCE = "CloudPubSubDeadLetterSourceSubscription"
TRIES = "CloudPubSubDeadLetterSourceDeliveryCount"


@pytest.fixture
def settings(google, monkeypatch):
    """A project laid out but for its bucket and its tables."""
    settings = Settings(new_project())
    monkeypatch.setenv("REVISIT_PROJECT", settings.project)
    monkeypatch.delenv("REVISIT_DATA", raising=False)
    create_topics(
        settings.project,
        dict.fromkeys({name for topic in EVENTS for name in functions_for(topic)}, "http://127.0.0.1:9"),
    )
    return settings


@pytest.fixture
def whole(settings, google):
    """A project laid out as Terraform does it."""
    create_bucket(google["STORAGE_EMULATOR_HOST"].host, settings.bucket)
    create_catalog(settings)
    return settings


def run_command(capsys, *arguments: str) -> tuple[int, dict]:
    """Exit code, and what was printed as JSON."""
    capsys.readouterr()
    code = run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def problems(capsys) -> tuple[int, list[str]]:
    """Exit code of doctor, and what it finds wrong."""
    code, value = run_command(capsys, "doctor", "--offline")
    return code, [one["sentence"] for one in value["findings"] if not one["ok"]]


def test_doctor_finds_nothing_wrong_with_what_terraform_lays_out(whole, capsys):
    assert problems(capsys) == (0, [])


def test_doctor_names_topic_and_subscription_that_are_missing_or_cut_off(whole, capsys):
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    publisher.delete_topic(topic=publisher.topic_path(whole.project, "product.new"))
    subscriber.delete_subscription(
        subscription=subscriber.subscription_path(whole.project, "index.job.extracted")
    )
    subscriber.delete_subscription(
        subscription=subscriber.subscription_path(whole.project, DEAD_LETTER_TOPIC)
    )
    assert problems(capsys) == (
        1,
        [
            f"project {whole.project} has no topic product.new: run `terraform apply`",
            (
                f"subscription notify.product.new of project {whole.project} is cut off from "
                "topic product.new, which was created again: run `terraform apply`"
            ),
            f"project {whole.project} has no subscription index.job.extracted: run `terraform apply`",
            f"project {whole.project} has no subscription dead-letters: run `terraform apply`",
        ],
    )


def test_doctor_misses_the_backfill_of_a_subscription_that_leaves_it_out_and_an_address(whole, capsys):
    subscriber = pubsub_v1.SubscriberClient()
    path = subscriber.subscription_path(whole.project, "extract.job.started")
    subscriber.delete_subscription(subscription=path)
    subscriber.create_subscription(
        request={
            "name": path,
            "topic": f"projects/{whole.project}/topics/job.started",
            "filter": 'attributes.lane != "backfill"',
        }
    )
    assert problems(capsys) == (
        1,
        [
            (
                f"subscription extract.job.started of project {whole.project} pushes to no address, "
                "so nothing it carries is handled: run `terraform apply`"
            ),
            (
                f"project {whole.project} has no subscription extract.job.started.backfill: "
                "run `terraform apply`"
            ),
        ],
    )


def test_doctor_tells_of_a_table_of_another_version(whole, capsys):
    table = f"{whole.project}.{whole.dataset}.turn"
    create_client(whole).delete_table(table)
    create_client(whole).create_table(bigquery.Table(table, [bigquery.SchemaField("other", "INTEGER")]))
    assert problems(capsys) == (
        1,
        [f"table {table} lacks columns next_position; it is of another version: run `terraform apply`"],
    )


def test_doctor_tells_of_a_dataset_and_a_bucket_that_are_not_there(settings, capsys):
    code, found = problems(capsys)
    assert code == 1 and len(found) == 2
    assert found[0] == (
        f"REVISIT_BUCKET {settings.bucket!r} does not exist; "
        "run `terraform apply`, or name the bucket of your deployment"
    )
    assert f"{settings.project}.revisit" in found[1] and "terraform apply" in found[1]


def test_doctor_tells_of_a_bucket_in_another_region(settings, google, capsys):
    create_bucket(google["STORAGE_EMULATOR_HOST"].host, settings.bucket, "US-EAST1")
    create_catalog(settings)
    sentence = (
        f"REVISIT_BUCKET {settings.bucket!r} lies in US-EAST1, REVISIT_LOCATION is 'europe-west1'; "
        "set one to fit the other, for results are not carried between regions"
    )
    assert problems(capsys) == (1, [sentence])


def test_doctor_tells_of_an_event_that_waits_in_the_outbox_since_a_day_in_2024(whole, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "flush", lambda *_: 0)
        backend = gcp_backend(whole, lambda: NOON)
        backend.records.transact(lambda transaction: transaction.send(Envelope(JobFinished("job_1"), NOON)))
    code, (sentence,) = problems(capsys)
    assert (
        code == 1
        and sentence.startswith("an event has waited in the outbox for ")
        and "revisit-deliveries-due" in sentence
    )


def test_status_tells_of_the_project_and_counts_its_dead_letters(whole, capsys):
    publish(whole.project, DEAD_LETTER_TOPIC, b"\xff not ours", **{SOURCE: "extract.job.started", TRIES: "8"})
    sweep(gcp_backend(whole))
    code, value = run_command(capsys, "status")
    assert (code, value["project"], value["dead_letters"]) == (0, whole.project, 1)
    assert "data" not in value and "server" not in value
    assert problems(capsys) == (
        1,
        [
            (
                "1 dead letter: `revisit dead-letters list` shows why; "
                "fix the cause, then `revisit dead-letters replay --all`"
            )
        ],
    )


def test_what_pubsub_gave_up_is_listed_shown_and_sent_again_none_lost_and_none_doubled(
    google, monkeypatch, capsys
):
    settings = Settings(new_project())
    monkeypatch.setenv("REVISIT_PROJECT", settings.project)
    monkeypatch.delenv("REVISIT_DATA", raising=False)
    create_topics(settings.project)
    backend = gcp_backend(settings)
    events = [JobFinished(f"job_{number}") for number in range(25)]
    for event in [*events, *events[:5]]:  # Pub/Sub may give a message up twice
        publish(
            settings.project,
            DEAD_LETTER_TOPIC,
            Envelope(event, backend.now()).encode(),
            **{SOURCE: "deliver.job.finished", TRIES: "8"},
        )
    garbled = publish(
        settings.project, DEAD_LETTER_TOPIC, b"\xff not ours", **{SOURCE: "extract.job.started", TRIES: "8"}
    )
    sweep(backend)

    letters = run_command(capsys, "dead-letters", "list")[1]["dead_letters"]
    assert {one["id"] for one in letters} == {f"{event.id}:deliver" for event in events} | {
        f"{garbled}:extract"
    }
    assert {(one["attempts"], one["reason"]) for one in letters} == {
        (8, "failed after 8 attempts: each ended in an error or without an answer")
    }
    code, shown = run_command(capsys, "dead-letters", "show", f"{garbled}:extract")
    assert (code, shown["function"], shown["body"]) == (0, "extract", "/yBub3Qgb3Vycw==")

    code, value = run_command(capsys, "dead-letters", "replay", "--all")
    assert (code, len(value["replayed"]), len(value["kept"])) == (1, 25, 1), (
        "what is no event of ours stays to be looked at"
    )
    assert sorted(sent.event.subject for sent in pull_events(settings.project)) == sorted(
        event.subject for event in events
    )
    assert [one["id"] for one in run_command(capsys, "dead-letters", "list")[1]["dead_letters"]] == [
        f"{garbled}:extract"
    ]
    assert run_command(capsys, "dead-letters", "replay", "--all")[1]["replayed"] == []
    assert len(pull_events(settings.project)) == 25


ASKING = """
import sys, time
# Imported before the clock starts: six processes that import at once take long.
import google.cloud.bigquery, google.cloud.firestore, google.cloud.pubsub_v1
import revisit.services.operations.status
import revisit.adapters.gcp.catalog, revisit.adapters.gcp.event_bus, revisit.adapters.gcp.records
from revisit.cli import run
begun = time.monotonic()
code = run(sys.argv[1:])
print(f"{time.monotonic() - begun:.1f}")
sys.exit(code)
"""


def test_an_unreachable_service_is_reported_in_one_sentence_within_20_s_and_the_rest_still_answers(
    google, settings
):
    """Ports that nobody listens on, in processes of their own side by side: none waits for another."""
    create_catalog(settings)
    asked = {
        (name, arguments): subprocess.Popen(
            [sys.executable, "-c", ASKING, *arguments.split()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                name: google[name].host_format.format(port=free_port()),
                "REVISIT_PROJECT": settings.project,
            },
        )
        for name in ("FIRESTORE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST")
        for arguments in ("status", "dead-letters list")
    }
    outcomes = {}
    for case, process in asked.items():
        run_command, said = process.communicate(timeout=90)
        outcomes[case] = process.returncode, float(run_command.splitlines()[-1]), said
    silent = {
        case: outcomes.pop(case)
        for case in [
            ("FIRESTORE_EMULATOR_HOST", "status"),
            ("FIRESTORE_EMULATOR_HOST", "dead-letters list"),
            ("BIGQUERY_EMULATOR_HOST", "status"),
        ]
    }
    for (name, _), (code, took, said) in silent.items():
        service = {"F": "Firestore", "B": "BigQuery"}[name[0]]
        assert (code, said.count("\n")) == (1, 1) and f"{service} does not answer for" in said, said
        assert took < 2 * 20, (silent, "twice as long is for a machine that has much else to do")
    assert {case: code for case, (code, _, _) in outcomes.items()} == dict.fromkeys(outcomes, 0)
    figure(
        "a service that is away",
        ", ".join(
            f"{name.partition('_')[0].lower()} {what}: {took:g} s"
            for (name, what), (_, took, _) in silent.items()
        ),
    )


class Pushed:
    """extract as Pub/Sub reaches it, over HTTP, by its true main.py; all else that is pushed is taken and
    counted."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        """Of extract, in order."""
        self.others: Counter[str] = Counter()
        """Topics of the rest."""
        self.extract = functions_framework.create_app(
            "extract", str(ROOT / "functions" / "extract" / "main.py"), "cloudevent"
        )
        self._server = make_server("127.0.0.1", free_port(), self._take, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _take(self, environ, start_response):
        topic = environ["PATH_INFO"].rpartition("/")[2]
        if topic != "job.started":
            self.others[topic] += 1
            start_response("204 No Content", [])
            return [b""]

        def note(status, *more):
            self.answers.append(int(status.split()[0]))
            return start_response(status, *more)

        return self.extract(environ, note)

    def stop(self) -> None:
        self._server.shutdown()


class Source:
    """The archive, which does not answer until it is repaired; counts who reads bands of it."""

    def __init__(self) -> None:
        self._there, self.repaired, self.read = open_source(archive_source()), False, 0

    def bands(self, product):
        if not self.repaired:
            raise TransientError("the source is away")
        self.read += 1
        return self._there.bands(product)


def test_a_message_that_always_fails_is_dead_lettered_by_pubsub_and_processed_once_when_it_is_replayed(
    google, monkeypatch, capsys, tmp_path
):
    settings, pushed, source = Settings(new_project()), Pushed(), Source()
    monkeypatch.setenv("REVISIT_PROJECT", settings.project)
    monkeypatch.delenv("REVISIT_DATA", raising=False)
    create_bucket(google["STORAGE_EMULATOR_HOST"].host, settings.bucket)
    backend = replace(gcp_backend(settings), source=lambda _: source)
    runtime.use_backend(pushed.extract, backend)
    try:
        create_topics(
            settings.project,
            dict.fromkeys({name for topic in EVENTS for name in functions_for(topic)}, pushed.url),
            attempts=TRIED,
        )
        job = one_job(backend)
        start_jobs(backend, [job], completes_event=False)
        begun = time.monotonic()
        # deliver's tick, as the Scheduler sends it every minute
        wait(lambda: sweep(backend) or backend.records.count(DeadLetter) == 1, 60)
        took = time.monotonic() - begun
        [letter] = run_command(capsys, "dead-letters", "list")[1]["dead_letters"]
        assert (letter["id"], letter["function"], letter["attempts"]) == (
            f"{JobStarted(job.id).id}:extract",
            "extract",
            TRIED,
        )
        assert (
            letter["reason"] == f"failed after {TRIED} attempts: each ended in an error or without an answer"
        )
        assert pushed.answers == [500] * TRIED
        failed = backend.records.get(Job, job.id)
        assert (failed.state, failed.reason) == ("failed", letter["reason"])
        shown = run_command(capsys, "dead-letters", "show", letter["id"])[1]
        assert json.loads(shown["body"])["data"]["job"] == job.id

        source.repaired = True
        assert run_command(capsys, "dead-letters", "replay", letter["id"])[1] == {
            "replayed": [letter["id"]],
            "kept": [],
        }
        wait(
            lambda: backend.records.get(Job, job.id).state == "extracted" and pushed.others["job.extracted"],
            60,
        )
        sweep(backend)
        assert (source.read, pushed.answers) == (1, [500] * TRIED + [200]), "the work was done once"
        assert pushed.others == {"job.extracted": 1, "job.finished": 1}, (
            "the failure was reported once, and so was the success"
        )
        assert run_command(capsys, "dead-letters", "list")[1]["dead_letters"] == []
        figure(
            "poison over emulators",
            f"{TRIED} answers 500, among the dead letters {took:.0f} s after it was sent; "
            "replayed, done once",
        )
    finally:
        pushed.stop()


TRIED = 5
"""The fewest that Pub/Sub takes; Terraform has 8 (tests/terraform/checks.py), which last longer."""


def one_job(backend) -> Job:
    """A job on the archive that has something to show."""
    aoi = AOI.parse(
        (shared_data("archive") / "aoi" / "gfmap_31UES.geojson").read_bytes(), max_area_km2=20_000
    )
    listing = open_source(archive_source()).list_products(
        {}, lambda ids: np.ones(len(ids), bool), backend.now()
    )
    product = next(
        one
        for batch in listing.batches
        for one in to_products(batch)
        if one.id == "S2A_31UES_20231022_L2A_crop"  # without a cloud over the area
    )
    recipe = Recipe(indices=("NDVI",))
    return Job(job_id("order_1", product.acquisition, recipe), product, aoi.geometry, recipe, backend.now())


def wait(until, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < ends
        time.sleep(0.2)


def test_a_dead_letter_that_is_not_there_is_said_to_be_missing(settings, capsys):
    assert run(["dead-letters", "show", f"{JobStarted('job_1').id}:extract"]) == 2
    assert "see `revisit dead-letters list`" in capsys.readouterr().err
