"""A small server with Cloud Storage's JSON API and the reading half of its XML API.

Preconditions, generations, ranges, a bucket's CORS and V4 signatures are as Google's pages state them;
accounts are not checked, but in
a bucket of `publicAccessPrevention: enforced`, whose objects the XML API gives to signed requests and bearers
of tokens only.
`POST /_server/faults` has requests fail or wait.
"""

import argparse
import json
import re
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from emulators.storage_json import ROUTES
from emulators.storage_objects import Buckets, StorageError, StoredObject
from emulators.storage_signature import is_signed, verify


class Server(ThreadingHTTPServer):
    """What the requests share."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, log: Path | None = None, keys: Path | None = None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.buckets = Buckets()
        self.uploads: dict[str, dict[str, Any]] = {}
        self.faults: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        self.log, self.keys = log, keys

    def log_request(self, line: dict[str, Any]) -> None:
        """Add a line to the log of requests."""
        if self.log:
            with self.lock, self.log.open("a") as file:
                file.write(json.dumps(line) + "\n")

    def next_fault(self, method: str, target: str) -> dict[str, Any]:
        """What a test has in store for a request."""
        with self.lock:
            for fault in self.faults:
                if (
                    fault["times"] > 0
                    and method in fault.get("methods", method)
                    and re.search(fault.get("target", ""), target)
                ):
                    fault["times"] -= 1
                    return fault
        return {}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do(self) -> None:
        """Answer one request."""
        parts = urlsplit(self.path)
        self.raw_path, self.raw_query = parts.path, parts.query
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.body, self.drop_answer = b"", False
        self.xml = not parts.path.startswith(
            ("/storage/v1", "/upload/storage/v1", "/download/storage/v1", "/resumable/upload", "/_server/")
        )
        try:
            self.body = self._body()
            fault = self.server.next_fault(self.command, self.path)
            time.sleep(fault.get("delay_s", 0))
            self.drop_answer = fault.get("lost", False)
            self.body = self.body.replace(*(part.encode() for part in fault.get("spoil", ("", ""))))
            if "status" in fault:
                raise StorageError(
                    fault["status"],
                    fault.get("reason", "backendError"),
                    fault.get("message", "as the test wants it"),
                )
            self._route()
        except StorageError as error:
            self._send_error(error)
        except ConnectionError:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do  # noqa: N815 - named by http.server

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            content = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content
        size = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(size)
        if len(content) < size:
            raise ConnectionAbortedError("the client has gone")
        return content

    def _route(self) -> None:
        if self.xml:
            self._answer_xml()
            return
        for method, pattern, work in ROUTES:
            if self.command in method and (match := re.fullmatch(pattern, self.raw_path)):
                work(self, **{name: unquote(value) for name, value in match.groupdict().items()})
                return
        raise StorageError(404, "notFound", f"{self.command} {self.raw_path} is not answered here")

    @property
    def base(self) -> str:
        return f"http://{self.headers.get('Host')}"

    def json_body(self) -> dict[str, Any]:
        """The JSON body."""
        return dict(json.loads(self.body or b"{}"))

    # ---------------------------------------------------------------------------------------------
    # answers

    def answer(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Send a whole answer and note the request; signatures do not go into the log."""
        shown = "&".join(
            f"{name}={value}" for name, value in self.query.items() if not name.lower().startswith("x-goog-")
        )
        sent = 0 if self.command == "HEAD" else len(content)
        self.server.log_request(
            {
                "method": self.command,
                "path": unquote(self.raw_path),
                "query": shown,
                "range": self.headers.get("Range", ""),
                "status": status,
                "received": len(self.body),
                "sent": sent,
                "agent": self.headers.get("User-Agent", ""),
            }
        )
        if self.drop_answer:
            raise ConnectionAbortedError
        self.send_response_only(status, HTTPStatus(status).phrase)
        for name, value in ({"Content-Length": str(len(content))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.answer(
            status,
            json.dumps(value).encode(),
            {"Content-Type": "application/json; charset=UTF-8"} | (headers or {}),
        )

    def object(self, stored: StoredObject) -> None:
        self.json(stored.resource(self.base))

    def media(self, stored: StoredObject, extra: dict[str, str] | None = None) -> None:
        """An object's bytes, or the requested range."""
        size = len(stored.content)
        headers = {
            "Content-Type": stored.client_fields.get("contentType", "application/octet-stream"),
            "Accept-Ranges": "bytes",
            "Last-Modified": self.date_time_string(int(stored.created.timestamp())),
            "ETag": f'"{stored.generation}"',
            "x-goog-generation": str(stored.generation),
            "x-goog-metageneration": str(stored.metageneration),
            "x-goog-hash": f"crc32c={stored.crc32c},md5={stored.md5}",
            "x-goog-stored-content-length": str(size),
            **{
                f"x-goog-meta-{name}": value
                for name, value in stored.client_fields.get("metadata", {}).items()
            },
            **{
                name: stored.client_fields[key]
                for name, key in (
                    ("Cache-Control", "cacheControl"),
                    ("Content-Disposition", "contentDisposition"),
                )
                if key in stored.client_fields
            },
            **(extra or {}),
        }
        if self.headers.get("If-None-Match") == headers["ETag"]:
            self.answer(304, b"", headers)
            return
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "").strip())
        if not asked or asked[0] == "bytes=-":
            self.answer(200, stored.content, headers)
            return
        begin = int(asked[1]) if asked[1] else max(size - int(asked[2]), 0)
        end = min(int(asked[2]), size - 1) if asked[1] and asked[2] else size - 1
        if begin >= size or begin > end or (not asked[1] and asked[2] == "0"):
            raise StorageError(416, "InvalidRange", "The requested range cannot be satisfied.")
        self.answer(
            206, stored.content[begin : end + 1], headers | {"Content-Range": f"bytes {begin}-{end}/{size}"}
        )

    def _send_error(self, error: StorageError) -> None:
        if error.status == 304:
            self.answer(304)
        elif self.xml:
            text = (
                "<?xml version='1.0' encoding='UTF-8'?>"
                f"<Error><Code>{error.reason}</Code><Message>{error}</Message></Error>"
            )
            self.answer(
                error.status, text.encode(), {"Content-Type": "application/xml; charset=UTF-8"} | self._cors()
            )
        else:
            why = {"message": str(error), "domain": "global", "reason": error.reason}
            self.json({"error": {"code": error.status, "message": str(error), "errors": [why]}}, error.status)

    # ---------------------------------------------------------------------------------------------
    # XML API

    def _answer_xml(self) -> None:
        """GET and HEAD of an object, and the preflight of either."""
        bucket, _, name = unquote(self.raw_path).lstrip("/").partition("/")
        if self.command == "OPTIONS":
            self.answer(200, b"", self._cors())
            return
        if self.command not in ("GET", "HEAD") or not name:
            raise StorageError(
                405, "MethodNotAllowed", "The specified method is not allowed against this resource."
            )
        if is_signed(self.raw_query):
            keys = (
                json.loads(self.server.keys.read_text())
                if self.server.keys and self.server.keys.exists()
                else {}
            )
            verify(
                self.command,
                self.raw_path,
                self.raw_query,
                {key.lower(): value for key, value in self.headers.items()},
                keys,
            )
        elif self._is_private(bucket) and not self.headers.get("Authorization", "").startswith("Bearer "):
            raise StorageError(
                403,
                "AccessDenied",
                f"Anonymous caller does not have storage.objects.get access to {bucket}/{name}.",
            )
        try:
            found = self.server.buckets.get(bucket, name, {})
        except StorageError as error:
            raise StorageError(
                404,
                "NoSuchKey" if "object" in str(error) else "NoSuchBucket",
                "The specified key does not exist.",
            ) from None
        overrides = {
            "response-content-disposition": "Content-Disposition",
            "response-content-type": "Content-Type",
        }
        self.media(
            found,
            {overrides[key]: value for key, value in self.query.items() if key in overrides} | self._cors(),
        )

    def _is_private(self, bucket: str) -> bool:
        about = self.server.buckets.bucket(bucket)
        return bool(about.get("iamConfiguration", {}).get("publicAccessPrevention") == "enforced")

    def _cors(self) -> dict[str, str]:
        """What the bucket's configuration says to this origin
        (https://cloud.google.com/storage/docs/cross-origin)."""
        origin = self.headers.get("Origin")
        if not origin:
            return {}
        method = self.headers.get("Access-Control-Request-Method", self.command)
        wanted = {
            name.strip().lower()
            for name in self.headers.get("Access-Control-Request-Headers", "").split(",")
            if name.strip()
        }
        try:
            rules = self.server.buckets.bucket(unquote(self.raw_path).lstrip("/").partition("/")[0]).get(
                "cors", []
            )
        except StorageError:
            return {}
        for rule in rules:
            named = rule.get("responseHeader", [])
            if (
                (origin in rule.get("origin", []) or "*" in rule.get("origin", []))
                and method in rule.get("method", [])
                and wanted <= {name.lower() for name in named}
            ):
                allowed = {
                    "Access-Control-Allow-Origin": "*" if "*" in rule["origin"] else origin,
                    "Vary": "Origin",
                }
                if self.command == "OPTIONS":
                    return allowed | {
                        "Access-Control-Allow-Methods": ",".join(rule["method"]),
                        "Access-Control-Allow-Headers": ",".join(named),
                        "Access-Control-Max-Age": str(rule.get("maxAgeSeconds", 3600)),
                    }
                return allowed | {"Access-Control-Expose-Headers": ", ".join(named)}
        return {}


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, help="file that gets one JSON line a request")
    parser.add_argument(
        "--keys",
        type=Path,
        help="JSON file of public keys in PEM by the e-mail of their account; read at each signed request",
    )
    given = parser.parse_args()
    Server(given.port, given.log, given.keys).serve_forever()
