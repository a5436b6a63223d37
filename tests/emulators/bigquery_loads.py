"""Load jobs for bqemulator: Parquet or CSV files from a bucket or a client, compressed or not.

What a job states is held to as BigQuery's pages have it: rows of too few or too many cells are bad, and more
of them than
`maxBadRecords` fail the job; a table is filled, or replaced, only by a job that ends well.
"""

import csv
import email.parser
import email.policy
import gzip
import io
import itertools
import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

csv.field_size_limit(1 << 24)

ROWS_PER_INSERT = 1000
"""Rows of one insertion."""
RunQuery = Callable[[str, list[dict[str, Any]]], None]
Answer = tuple[int, dict[str, str], dict[str, Any]]
"""Status, headers, body."""


class LoadJobError(Exception):
    """A job that ends badly: its reason is what it is called with."""


class LoadJobs:
    """The jobs so far, and files on their way."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.running_answers: dict[str, int] = {}
        """By project, how many more answers report a job as running."""
        self._uploads: dict[str, tuple[dict[str, Any], bytearray]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def start(self, job: dict[str, Any], run_query: RunQuery, content: bytes | None = None) -> Answer:
        """A job of the file that came with it, or of those it names."""
        load = job["configuration"]["load"]
        place = job.setdefault("jobReference", {})
        id = place.setdefault("jobId", f"load_{next(self._numbers)}")
        place.setdefault("projectId", load["destinationTable"]["projectId"])
        with self._lock:
            if id in self.jobs:
                return _error_answer(409, "duplicate", f"Already Exists: Job {place['projectId']}:{id}")
            self.jobs[id] = {}
        status: dict[str, Any] = {"state": "DONE"}
        statistics: dict[str, Any] = {"creationTime": "0", "startTime": "0", "endTime": "1"}
        try:
            contents = [content] if content is not None else [_read_object(uri) for uri in load["sourceUris"]]
            rows, bad = _parse_rows(load, contents)
            _insert_rows(load, rows, run_query)
            statistics["load"] = {"outputRows": str(len(rows)), "badRecords": str(len(bad))}
            status |= {"errors": bad} if bad else {}
        except LoadJobError as failure:
            reason, message = failure.args
            status |= {
                "errorResult": {"reason": reason, "message": message},
                "errors": [{"reason": reason, "message": message}],
            }
        with self._lock:
            self.jobs[id] = {
                **job,
                "kind": "bigquery#job",
                "id": f"{place['projectId']}:{id}",
                "status": status,
                "statistics": statistics,
            }
        return 200, {}, self.describe(id)

    def describe(self, id: str) -> dict[str, Any]:
        """A job as it stands."""
        with self._lock:
            job = self.jobs[id]
            project = job.get("jobReference", {}).get("projectId", "")
            if self.running_answers.get(project, 0) > 0:
                self.running_answers[project] -= 1
                return {**job, "status": {"state": "RUNNING"}, "statistics": {}}
            return job

    def upload(
        self,
        method: str,
        path: str,
        headers: Any,
        body: bytes,
        run_query: RunQuery,
        record: Callable[[dict[str, Any]], None],
    ) -> Answer:
        """A request of an upload: in one piece, or its beginning, or one of its pieces."""
        words = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
        if words["uploadType"] == ["multipart"]:
            asked, content = _split_multipart(headers["content-type"], body)
            record(asked)
            return self.start(asked, run_query, content)
        if method == "POST":
            asked, number = json.loads(body), str(next(self._numbers))
            record(asked)
            with self._lock:
                self._uploads[number] = asked, bytearray()
            return 200, {"location": f"http://{headers['host']}{path}&upload_id={number}"}, {}
        [number] = words["upload_id"]
        asked, so_far = self._uploads[number]
        place, _, total = headers["content-range"].removeprefix("bytes ").partition("/")
        if place != "*":
            assert int(place.partition("-")[0]) == len(so_far), (
                "a piece that does not follow the previous one"
            )
            so_far += body
        if total == "*" or len(so_far) < int(total):
            return 308, {"range": f"bytes=0-{len(so_far) - 1}"} if so_far else {}, {}
        return self.start(asked, run_query, bytes(so_far))


def _error_answer(status: int, reason: str, message: str) -> Answer:
    return (
        status,
        {},
        {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}},
    )


def _split_multipart(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        b"content-type: " + content_type.encode() + b"\r\n\r\n" + body
    )
    about, content = message.iter_parts()
    return json.loads(about.get_payload(decode=True)), content.get_payload(decode=True)


def _read_object(uri: str) -> bytes:
    """From the server that stands in for Cloud Storage."""
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    host = os.environ["STORAGE_EMULATOR_HOST"]
    try:
        with urllib.request.urlopen(
            f"{host}/storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}?alt=media"
        ) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise LoadJobError("notFound", f"Not found: URI {uri}") from error


def _parse_rows(
    load: dict[str, Any], contents: list[bytes]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows by column, and the lines that are none."""
    rows: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for content in contents:
        if load["sourceFormat"] == "PARQUET":
            import pyarrow.parquet as pq

            rows += pq.read_table(io.BytesIO(content)).to_pylist()
        elif load["sourceFormat"] == "CSV":
            for row in _parse_csv(load, content):
                (bad if "reason" in row else rows).append(row)
        else:
            raise LoadJobError("invalid", f"no such format here: {load['sourceFormat']}")
    if len(bad) > int(load.get("maxBadRecords") or 0):
        raise LoadJobError(
            "invalid",
            f"Error while reading data, error message: CSV table encountered too many errors, giving up. "
            f"Rows: {len(rows) + len(bad)}; "
            f"errors: {len(bad)}.",
        )
    return rows, bad


def _parse_csv(load: dict[str, Any], content: bytes) -> Iterator[dict[str, Any]]:
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise LoadJobError(
                "invalid", f"Error while reading data, error message: the file cannot be unpacked: {error}"
            ) from None
    names = [field["name"] for field in load["schema"]["fields"]]
    lines = csv.reader(io.StringIO(content.decode("utf-8", "replace"), newline=""))
    for number, cells in enumerate(lines):
        if number < int(load.get("skipLeadingRows") or 0) or not cells:
            continue
        if len(cells) == len(names) and (
            load.get("allowQuotedNewlines") or not any("\n" in cell for cell in cells)
        ):
            yield {
                name: None if cell == load.get("nullMarker", "") else cell
                for name, cell in zip(names, cells, strict=True)
            }
        else:
            yield {
                "reason": "invalid",
                "location": "",
                "message": f"Error while reading data, error message: line {number + 1} has "
                f"{len(cells)} columns instead of {len(names)}",
            }


def _insert_rows(load: dict[str, Any], rows: list[dict[str, Any]], run_query: RunQuery) -> None:
    place = load["destinationTable"]
    table = f"`{place['projectId']}.{place['datasetId']}.{place['tableId']}`"
    kinds = {
        field["name"]: {"INTEGER": "INT64", "FLOAT": "FLOAT64"}.get(field["type"], field["type"])
        for field in load["schema"]["fields"]
    }
    columns = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
    truncate = load.get("writeDisposition") == "WRITE_TRUNCATE"
    run_query(
        f"CREATE OR REPLACE TABLE {table} ({columns})"
        if truncate
        else f"CREATE TABLE IF NOT EXISTS {table} ({columns})",
        [],
    )
    fields = [{"name": name, "type": {"type": kind}} for name, kind in kinds.items()]
    chosen = ", ".join(f"CAST(r.{name} AS {kind})" for name, kind in kinds.items())
    for first in range(0, len(rows), ROWS_PER_INSERT):
        values = [
            {"structValues": {name: {"value": _parameter_text(row.get(name))} for name in kinds}}
            for row in rows[first : first + ROWS_PER_INSERT]
        ]
        run_query(
            f"INSERT INTO {table} ({', '.join(kinds)}) SELECT {chosen} FROM UNNEST(@rows) AS r",
            [
                {
                    "name": "rows",
                    "parameterType": {
                        "type": "ARRAY",
                        "arrayType": {"type": "STRUCT", "structTypes": fields},
                    },
                    "parameterValue": {"arrayValues": values},
                }
            ],
        )


def _parameter_text(value: Any) -> str | None:
    return None if value is None else value.isoformat(" ") if hasattr(value, "isoformat") else str(value)
