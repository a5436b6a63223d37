"""A proxy in front of bqemulator that adds missing features and records requests.

- Parameters in scripts: bqemulator binds them in single statements only, so they become constants, and arrays
of structs tables.
- One transaction at a time: bqemulator does not keep two apart; BigQuery lets them run and aborts one of
them.
- The limit of bytes: bqemulator reads as much as it likes. Faults that a test sets say which queries would
read too much.
- Faults: `POST /_server/faults` with a list of {"text": regular expression on the query or the job, "times":
n, "status", "reason", "message"}.
- Load jobs, from gs:// and from clients: `bigquery_loads`. `POST /_server/running` with a number: so many
answers say that one is running.
"""

import argparse
import gzip
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.parse
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from emulators.bigquery_loads import LoadJobs, RunQuery

_START = """
import os, shutil, sys
from pathlib import Path
import duckdb, duckdb_extension_spatial
home, rest, grpc = sys.argv[1:]
# DuckDB looks for the extension in its home, and may fetch nothing from elsewhere.
os.environ["HOME"] = home
for found in Path(duckdb_extension_spatial.__file__).parent.rglob("spatial.duckdb_extension"):
    platform = duckdb.sql("PRAGMA platform").fetchone()[0]
    folder = Path(home, ".duckdb", "extensions", found.parent.name, platform)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(found, folder)
from bqemulator.cli import main
main(["start", "--rest-port", rest, "--grpc-port", grpc, "--log-level", "error"])
"""

_transaction_lock = threading.Lock()


class State:
    """What tests have set, and what was asked."""

    def __init__(self, behind: int) -> None:
        self.backend_port = behind
        self.faults: dict[str, list[dict[str, Any]]] = {}
        """By project."""
        self.requests: list[dict[str, Any]] = []
        self.loads = LoadJobs()
        self.parameters = 0
        self.lock = threading.Lock()


def main() -> None:
    """Start bqemulator and serve before it until killed."""
    from emulators import die_with_parent, free_port, is_listening

    parser = argparse.ArgumentParser()
    for name in ("--python", "--home", "--port"):
        parser.add_argument(name, required=True)
    given = parser.parse_args()
    behind = free_port()
    child = subprocess.Popen(
        die_with_parent([given.python, "-c", _START, given.home, str(behind), str(free_port())]),
        env={**os.environ, "HOME": given.home},
    )
    while not is_listening(behind):
        if child.poll() is not None:
            sys.exit(f"bqemulator ended with {child.returncode}")
        time.sleep(0.1)
    Server(("127.0.0.1", int(given.port)), State(behind)).serve_forever()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], state: State) -> None:
        self.state = state
        super().__init__(address, Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        path = urllib.parse.urlsplit(self.path).path
        if path.startswith("/_server/"):
            self._control(path, body)
            return
        if path.startswith("/upload/"):
            self._respond(
                *self.server.state.loads.upload(
                    self.command,
                    self.path,
                    self.headers,
                    body,
                    self._query_runner(path),
                    partial(self._record, path),
                )
            )
            return
        if self.command == "GET" and (id := path.rpartition("/jobs/")[2]) in self.server.state.loads.jobs:
            self._respond(200, {}, self.server.state.loads.describe(id))
            return
        asked = json.loads(body) if body and "json" in self.headers.get("content-type", "") else None
        query = _query_of(path, asked)
        if (
            asked is not None
            and self.command == "POST"
            and "/jobs" in path + "/jobs" * path.endswith("/queries")
        ):
            self._record(path, asked)
            if fault := self._next_fault(_project_of(path), query["query"] if query else json.dumps(asked)):
                self._respond(
                    fault["status"],
                    {},
                    {
                        "error": {
                            "code": fault["status"],
                            "message": fault["message"],
                            "errors": [{"reason": fault["reason"], "message": fault["message"]}],
                        }
                    },
                )
                return
            if "load" in asked.get("configuration", {}):
                self._respond(*self.server.state.loads.start(asked, self._query_runner(path)))
                return
        if query and "BEGIN TRANSACTION" in query["query"]:
            with _transaction_lock:
                self._inline_parameters(path, query)
                self._forward(json.dumps(asked).encode())
            return
        self._forward(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names that http.server asks for

    def _control(self, path: str, body: bytes) -> None:
        state = self.server.state
        _, _, command, project = path.split("/")
        answer: Any = {}
        with state.lock:
            if command == "faults":
                state.faults[project] = json.loads(body)
            elif command == "running":
                state.loads.running_answers[project] = json.loads(body)
            elif command == "requests":
                answer = [each for each in state.requests if _project_of(each["path"]) == project]
        self._respond(200, {}, answer)

    def _record(self, path: str, body: dict[str, Any]) -> None:
        with self.server.state.lock:
            self.server.state.requests.append({"path": path, "body": body})

    def _next_fault(self, project: str, text: str) -> dict[str, Any] | None:
        with self.server.state.lock:
            for fault in self.server.state.faults.get(project, ()):
                if fault["times"] > 0 and re.search(fault["text"], text):
                    fault["times"] -= 1
                    return fault
        return None

    def _forward(self, body: bytes) -> None:
        status, headers, answer = self._request(
            self.command,
            self.path,
            body,
            {
                name: value
                for name, value in self.headers.items()
                if name.lower()
                not in ("host", "content-length", "content-encoding", "accept-encoding", "connection")
            },
        )
        here = f"http://127.0.0.1:{self.server.server_port}"
        there = f"http://127.0.0.1:{self.server.state.backend_port}"
        self.send_response(status)
        for name, value in headers:
            if name.lower() in ("content-type", "location", "range", "x-goog-upload-status", "etag"):
                self.send_header(name, value.replace(there, here))
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _request(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.state.backend_port, timeout=300)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _respond(self, status: int, headers: dict[str, str], body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    # ---------------------------------------------------------------------------------------------
    # features that bqemulator lacks

    def _run_query(self, path: str, text: str, parameters: list[dict[str, Any]] = []) -> None:  # noqa: B006
        project = _project_of(path)
        body = {
            "query": text,
            "useLegacySql": False,
            "queryParameters": parameters,
            "parameterMode": "NAMED",
            "timeoutMs": 200_000,
        }
        status, _, answer = self._request(
            "POST",
            f"/bigquery/v2/projects/{project}/queries",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        assert status == 200, answer

    def _inline_parameters(self, path: str, query: dict[str, Any]) -> None:
        constants: dict[str, str] = {}
        for parameter in query.pop("queryParameters", ()):
            name, kind, value = parameter["name"], parameter["parameterType"], parameter["parameterValue"]
            if kind["type"] == "ARRAY" and "structTypes" not in kind["arrayType"]:
                texts = [
                    _sql_literal(kind["arrayType"]["type"], one["value"]) for one in value["arrayValues"]
                ]
                constants[name] = f"[{', '.join(texts)}]"
            elif kind["type"] == "ARRAY":
                self.server.state.parameters += 1
                dataset = re.search(r"`([^`]+)\.turn`", query["query"])[1]
                table = f"`{dataset}.parameter_{self.server.state.parameters}`"
                self._run_query(
                    path,
                    f"CREATE TABLE {table} AS SELECT "
                    f"{', '.join(f'r.{field["name"]}' for field in kind['arrayType']['structTypes'])} "
                    f"FROM UNNEST(@{name}) AS r",
                    [parameter],
                )
                query["query"] = query["query"].replace(f"UNNEST(@{name})", table)
            else:
                constants[name] = _sql_literal(kind["type"], value.get("value"))
        query.pop("parameterMode", None)
        query["query"] = re.sub(r"@(\w+)", lambda found: constants[found[1]], query["query"])

    def _query_runner(self, path: str) -> RunQuery:
        return partial(self._run_query, path)

    def log_message(self, *_: Any) -> None:
        pass


def _project_of(path: str) -> str:
    return path.partition("/projects/")[2].partition("/")[0]


def _query_of(path: str, body: Any) -> dict[str, Any] | None:
    if path.endswith("/queries"):
        return body  # type: ignore[no-any-return]
    return (body or {}).get("configuration", {}).get("query") if path.endswith("/jobs") else None


def _sql_literal(kind: str, value: str) -> str:
    if kind == "STRING":
        return json.dumps(value)
    return f"TIMESTAMP '{value}'" if kind == "TIMESTAMP" else value
