"""Invalid settings give one sentence with the variable and the remedy; foreign messages are dead-lettered."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import functions_framework
import grpc
import pytest
from google.cloud import bigquery

from emulators import ROOT, new_project
from emulators.bigquery import create_catalog, recorded_jobs
from emulators.project import scheduler_message
from products import product
from revisit import runtime
from revisit.adapters.gcp.backend import gcp_backend
from revisit.adapters.gcp.bigquery_client import create_client
from revisit.adapters.gcp.settings import EMULATOR_VARIABLES, Settings
from revisit.cli import run
from revisit.domain.clock import format_rfc3339
from revisit.domain.events import JobStarted, ProductNew
from revisit.errors import PermanentError
from revisit.ports import cloudevents
from revisit.ports.catalog import Query
from revisit.ports.catalog_schema import to_table
from revisit.ports.cloudevents import Envelope
from revisit.ports.pagination import find_all
from revisit.ports.system_records import DeadLetter
from samples import NOON, StoppedClock


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """An environment that names neither a deployment, nor an emulator, nor an account."""
    for name in (*EMULATOR_VARIABLES, "REVISIT_DATA", "REVISIT_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return monkeypatch


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"REVISIT_PROJECT": ""}, ("REVISIT_PROJECT is empty", "set it to the id")),
        ({"REVISIT_PROJECT": "No Project"}, ("REVISIT_PROJECT 'No Project'", "gcloud projects list")),
        (
            {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1"},
            ("FIRESTORE_EMULATOR_HOST is set but REVISIT_PROJECT is not", "set it to a project id"),
        ),
        (
            {"PUBSUB_EMULATOR_HOST": "127.0.0.1:1", "REVISIT_PROJECT": ""},
            ("PUBSUB_EMULATOR_HOST", "REVISIT_PROJECT is empty"),
        ),
        (
            {"REVISIT_PROJECT": "demo-lakes", "REVISIT_BUCKET": "gs://x"},
            ("REVISIT_BUCKET 'gs://x'", "correct it or leave it out"),
        ),
        (
            {"REVISIT_PROJECT": "demo-lakes", "REVISIT_DATASET": "my-set"},
            ("REVISIT_DATASET 'my-set'", "correct it or leave it out"),
        ),
        (
            {"REVISIT_PROJECT": "demo-lakes", "REVISIT_DATA": "/tmp/x"},
            ("REVISIT_DATA and REVISIT_PROJECT are both set", "unset"),
        ),
    ],
)
def test_an_environment_that_cannot_be_is_refused_in_one_line(bare, capsys, environment, words):
    for name, value in environment.items():
        bare.setenv(name, value)
    assert run(["status"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and all(word in said for word in words), said


def test_the_error_without_an_account_says_how_to_get_one(bare, capsys):
    bare.setenv("REVISIT_PROJECT", "demo-lakes")
    assert run(["status"]) == 2
    said = capsys.readouterr().err
    assert (
        said.count("\n") == 1
        and "no Google credentials" in said
        and "gcloud auth application-default login" in said
    )


class _Refusing(grpc.GenericRpcHandler):
    """Answers everything with PERMISSION_DENIED, streams too."""

    def service(self, handler_call_details):
        def refuse(_, context):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "Missing or insufficient permissions.")
            yield b""

        return grpc.unary_stream_rpc_method_handler(refuse)


@pytest.mark.parametrize(
    ("arguments", "code", "role"),
    [
        (["status"], 2, "grant it roles/datastore.user"),
        (["doctor", "--offline", "--json"], 1, "grant it roles/pubsub.viewer"),
    ],
)
def test_the_error_of_an_account_without_the_right_names_the_role_it_needs(
    google, monkeypatch, capsys, arguments, code, role
):
    server = grpc.server(ThreadPoolExecutor(2), handlers=[_Refusing()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        monkeypatch.setenv("REVISIT_PROJECT", new_project())
        monkeypatch.delenv("REVISIT_DATA", raising=False)
        for name in ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"):
            monkeypatch.setenv(name, f"127.0.0.1:{port}")
        assert run(arguments) == code
    finally:
        server.stop(None)
    printed = capsys.readouterr()
    assert (
        role in printed.out + printed.err
        and "Missing or insufficient permissions." in printed.out + printed.err
    )


# ------------------------------------------------------------------------------------------------------------
# at start


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            [bigquery.SchemaField("other", "INTEGER")],
            "lacks columns next_position; it is of another version: run `terraform apply`",
        ),
        (
            [bigquery.SchemaField("next_position", "STRING")],
            "has next_position STRING instead of INT64; it is of another version: run `terraform apply`",
        ),
    ],
)
def test_a_table_of_another_schema_is_refused_at_the_first_use_and_taken_once_it_is_right(
    google, columns, words
):
    settings = Settings(new_project())
    create_catalog(settings)
    table = f"{settings.project}.{settings.dataset}.turn"
    create_client(settings).delete_table(table)
    create_client(settings).create_table(bigquery.Table(table, columns))
    catalog, rows = gcp_backend(settings).catalog(), to_table([product(1)])
    host = google["BIGQUERY_EMULATOR_HOST"].host
    before = len(recorded_jobs(host, settings.project))
    for use in (
        catalog.freshness,
        lambda: catalog.search(Query(tiles=("32TNR",))),
        lambda: catalog.add(rows),
    ):
        with pytest.raises(PermanentError) as refused:
            use()
        assert str(refused.value) == f"table {table} {words}"
    assert len(recorded_jobs(host, settings.project)) == before, "no query was sent, and nothing staged"
    create_client(settings).delete_table(table)
    create_client(settings).create_table(
        bigquery.Table(table, [bigquery.SchemaField("next_position", "INTEGER")])
    )
    assert catalog.add(rows) == 1
    create_client(settings).delete_table(table)
    assert [entry.rows for entry in catalog.freshness()] == [1], (
        "once it was found right it is not looked at again"
    )


def test_a_catalog_that_is_not_there_or_lies_elsewhere_is_refused_at_the_first_use(google):
    settings = Settings(new_project())
    with pytest.raises(
        PermanentError,
        match=f"BigQuery finds nothing in europe-west1 .*{settings.project}.*"
        "run `terraform apply`, or set REVISIT_DATASET",
    ):
        gcp_backend(settings).catalog().freshness()
    elsewhere = bigquery.Dataset(f"{settings.project}.revisit")
    elsewhere.location = "us-east1"
    create_client(settings).create_dataset(elsewhere)
    with pytest.raises(
        PermanentError,
        match=f"{settings.project}.revisit lies in us-east1, not in europe-west1; "
        "set REVISIT_LOCATION to us-east1",
    ):
        gcp_backend(settings).catalog().freshness()


def test_a_function_without_a_project_says_so_in_one_line_of_its_log_and_handles_nothing(bare, capsys):
    bare.setattr(runtime.log, "handlers", list(runtime.log.handlers))
    bare.setenv("REVISIT_PROJECT", "")
    function = functions_framework.create_app(
        "notify", str(ROOT / "functions" / "notify" / "main.py"), "cloudevent"
    ).test_client()
    capsys.readouterr()
    assert (
        function.post(
            "/projects/p/topics/product.new",
            json=cloudevents.push_body(Envelope(ProductNew("P"), NOON), "s", "1", 1),
        ).status_code
        == 500
    )
    [line] = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert (said["severity"], said["message"]) == (
        "CRITICAL",
        "REVISIT_PROJECT is empty: set it to the id of your Google Cloud project, such as revisit-lakes",
    )


# ------------------------------------------------------------------------------------------------------------
# messages


@pytest.fixture
def function(google):
    """notify over Firestore: posts to it, and returns its dead letters."""
    clock = StoppedClock()
    backend = gcp_backend(Settings(new_project()), clock)
    app = functions_framework.create_app(
        "notify", str(ROOT / "functions" / "notify" / "main.py"), "cloudevent"
    )
    runtime.use_backend(app, backend)
    client = app.test_client()

    def post(body, **headers):
        answer = client.post(
            "/projects/p/topics/product.new",
            data=json.dumps(body),
            headers={"Content-Type": "application/json", **headers},
        )
        return answer.status_code, [
            (letter.reason, letter.attempts) for letter in find_all(backend.records, DeadLetter)
        ]

    return post


def test_a_message_that_is_not_ours_too_old_or_misrouted_is_dead_lettered_with_its_reason(function):
    new = ProductNew("P")
    cases = [
        (cloudevents.raw_push_body(b"\xff\x00", "s", "1", 1), "the message is not a CloudEvent of ours"),
        (
            cloudevents.raw_push_body(b'{"type": "com.other.thing", "data": {}}', "s", "2", 1),
            "type 'com.other.thing' is none of our events",
        ),
        (
            cloudevents.push_body(Envelope(JobStarted("job_1"), NOON), "s", "3", 1),
            "this function does not handle job.started events",
        ),
        (
            cloudevents.push_body(Envelope(new, NOON - timedelta(hours=20, seconds=1)), "s", "4", 1),
            "the event is 20:00:01 old, more than 20:00:00",
        ),
        (
            cloudevents.push_body(Envelope(ProductNew("Q"), NOON, hops=9), "s", "5", 1),
            "the event passed through 9 handlers, more than 8: a loop",
        ),
    ]
    for count, (body, reason) in enumerate(cases, 1):
        status, letters = function(body)
        assert (status, len(letters)) == (200, count), "it is not sent again, which would change nothing"
        assert [text for text, _ in letters if text.startswith(reason)], (reason, letters)


def test_the_attempt_of_a_classic_push_is_known(function):
    assert function(cloudevents.raw_push_body(b"\xff", "s", "1", 8))[1][0][1] == 8


def binary(kind: str, **more: str) -> dict[str, str]:
    return {
        "ce-specversion": "1.0",
        "ce-id": "m1",
        "ce-source": "//pubsub.googleapis.com/projects/p/topics/product.new",
        "ce-type": kind,
        **more,
    }


def test_a_binary_cloud_event_is_read_like_the_push_it_stands_for(function):
    body = {
        name: value
        for name, value in cloudevents.push_body(Envelope(JobStarted("job_1"), NOON), "s", "1", 1).items()
        if name != "deliveryAttempt"
    }
    status, [(reason, _)] = function(body, **binary("google.cloud.pubsub.topic.v1.messagePublished"))
    assert (status, reason) == (200, "this function does not handle job.started events")


def test_an_event_of_ours_is_read_from_a_binary_cloud_event(function):
    stale = format_rfc3339(NOON - timedelta(hours=21))
    status, [(reason, _)] = function(
        {"product": "P"}, **binary("io.revisit.product.new", **{"ce-time": stale})
    )
    assert status == 200 and reason.startswith("the event is 21:00:00 old")


def test_a_tick_takes_its_time_from_when_it_was_published_and_is_the_same_when_delivered_again():
    message = cloudevents.raw_push_body(scheduler_message("catalog.refresh"), "s", "1", 1)["message"]
    first, second = (
        {**message, "publishTime": moment} for moment in ("2024-06-01T12:00:00Z", "2024-06-01T12:15:00Z")
    )
    assert cloudevents.from_push(first).time == NOON and cloudevents.from_push(first).event.at.startswith(
        "2024-06-01T12:00:00"
    )
    assert (
        cloudevents.from_push(first).id
        == cloudevents.from_push(dict(first)).id
        != cloudevents.from_push(second).id
    )
