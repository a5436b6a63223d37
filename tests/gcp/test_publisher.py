"""Events are published by the JSON API as Google documents it: one request per topic, with retries."""

import base64
import json
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from emulators import free_port
from import_graph import ROOT
from revisit.adapters.gcp import publisher as publishing
from revisit.adapters.gcp.publisher import Publisher
from revisit.adapters.gcp.settings import Settings
from revisit.domain.events import JobFinished, JobStarted
from revisit.ports import cloudevents as wire
from samples import envelope

REFUSED = {
    "error": {
        "code": 403,
        "message": "User not authorized to perform this action.",
        "status": "PERMISSION_DENIED",
    }
}


class PubSub(BaseHTTPRequestHandler):
    """Answers each topic's requests with the given statuses, then with 200."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.request_log.append((self.path, body["messages"]))
        statuses = self.server.statuses.get(self.path.rpartition("/")[2].removesuffix(":publish"), [])
        status = statuses.pop(0) if statuses else 200
        answer = json.dumps(
            {"messageIds": [str(number) for number in range(len(body["messages"]))]}
            if status == 200
            else REFUSED
        ).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def server(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), PubSub)
    server.request_log, server.statuses = [], {}
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def publisher(server):
    return Publisher(Settings("revisit-lakes"))


def test_events_of_a_topic_go_in_one_request_as_they_are_read_again(server, publisher):
    sent = [envelope(JobStarted(f"job_{number}", "backfill" if number else "live")) for number in range(3)]
    assert publisher.publish(sent) == [True] * 3
    [(path, messages)] = server.request_log
    assert path == "/v1/projects/revisit-lakes/topics/job.started:publish"
    assert [wire.decode(base64.b64decode(message["data"], validate=True)) for message in messages] == [
        wire.decode(one.encode()) for one in sent
    ]
    assert messages[0]["attributes"] == {
        "type": "io.revisit.job.started",
        "subject": "job_0",
        "hops": "0",
        "trace": sent[0].id,
        "lane": "live",
    }
    assert messages[1]["attributes"]["lane"] == "backfill"


def test_more_events_than_one_request_takes_go_in_several(server, publisher, monkeypatch):
    monkeypatch.setattr(publishing, "MAX_EVENTS_PER_REQUEST", 2)
    assert publisher.publish([envelope(JobStarted(f"job_{number}")) for number in range(5)]) == [True] * 5
    assert [len(messages) for _, messages in server.request_log] == [2, 2, 1]


def test_transient_errors_are_retried_and_a_permanent_one_affects_no_other_topic(server, publisher, caplog):
    server.statuses |= {"job.started": [503, 429, 500], "job.finished": [403]}
    sent = [envelope(JobFinished("job_1")), envelope(JobStarted("job_2")), envelope(JobFinished("job_3"))]
    assert publisher.publish(sent) == [False, True, False]
    asked = [path.rpartition("/")[2] for path, _ in server.request_log]
    assert (asked.count("job.started:publish"), asked.count("job.finished:publish")) == (4, 1)
    assert (
        "job.finished job_3 waits in the outbox" in caplog.text
        and "grant it roles/pubsub.publisher" in caplog.text
    )


def test_a_service_that_does_not_answer_ends_in_a_time_out(monkeypatch, caplog):
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    monkeypatch.setattr(publishing, "RETRY", replace(publishing.RETRY, max_elapsed_s=0.6))
    assert Publisher(Settings("revisit-lakes")).publish([envelope(JobStarted("job_1"))]) == [False]
    assert (
        "job.started job_1 waits in the outbox: Pub/Sub does not answer for the topic job.started of project "
        "revisit-lakes" in caplog.text
    )


def test_publishing_loads_no_client_for_streams(server):
    code = (
        "import sys\n"
        "from revisit.adapters.gcp.publisher import Publisher\n"
        "from revisit.adapters.gcp.settings import Settings\n"
        "from revisit.domain.events import JobStarted\n"
        "from samples import envelope\n"
        "print(Publisher(Settings('revisit-lakes')).publish([envelope(JobStarted('job_1'))]))\n"
        "streaming = {'google.pubsub_v1', 'google.cloud.pubsub_v1', 'opentelemetry'}\n"
        "print(sorted({name.rpartition('.')[0] for name in sys.modules} & streaming))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tests", capture_output=True, text=True)
    assert ran.stdout.split("\n")[:2] == ["[True]", "[]"], ran.stderr
