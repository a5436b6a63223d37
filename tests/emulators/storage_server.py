"""A small server that speaks Cloud Storage's JSON API and the reading half of its XML API, honouring what tests depend on.

Preconditions, generations, ranges, a bucket's CORS and V4 signatures are as Google's pages state them; accounts are not asked for, but in
a bucket of `publicAccessPrevention: enforced`, whose objects the XML API gives to signed requests and bearers of tokens only.
`POST /_server/faults` has requests fail or wait.
"""

import argparse
import json
import re
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import uuid4

from emulators.storage_objects import Buckets, Refused, Stored
from emulators.storage_signature import signed, verify

_OBJECT = r"/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)"


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

    def note(self, line: dict[str, Any]) -> None:
        """Add a line to the log of requests."""
        if self.log:
            with self.lock, self.log.open("a") as file:
                file.write(json.dumps(line) + "\n")

    def fault(self, method: str, target: str) -> dict[str, Any]:
        """What a test has in store for a request."""
        with self.lock:
            for fault in self.faults:
                if fault["times"] > 0 and method in fault.get("methods", method) and re.search(fault.get("target", ""), target):
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
        self.body = self._body()
        self.sent = 0
        self.xml = not parts.path.startswith(("/storage/v1", "/upload/storage/v1", "/download/storage/v1", "/resumable/upload", "/_server/"))
        try:
            fault = self.server.fault(self.command, self.path)
            time.sleep(fault.get("delay_s", 0))
            if "status" in fault:
                raise Refused(fault["status"], fault.get("reason", "backendError"), fault.get("message", "as the test wants it"))
            self._route()
        except Refused as error:
            self._refuse(error)
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
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _route(self) -> None:
        if self.xml:
            self._xml()
            return
        for method, pattern, work in ROUTES:
            if self.command in method and (match := re.fullmatch(pattern, self.raw_path)):
                work(self, **{name: unquote(value) for name, value in match.groupdict().items()})
                return
        raise Refused(404, "notFound", f"{self.command} {self.raw_path} is not answered here")

    @property
    def base(self) -> str:
        return f"http://{self.headers.get('Host')}"

    def stated(self) -> dict[str, Any]:
        """The JSON body."""
        return dict(json.loads(self.body or b"{}"))

    # ------------------------------------------------------------------------------------------------------------- answers

    def answer(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Send a whole answer and note the request; signatures do not go into the log."""
        shown = "&".join(f"{name}={value}" for name, value in self.query.items() if not name.lower().startswith("x-goog-"))
        sent = 0 if self.command == "HEAD" else len(content)
        self.server.note({"method": self.command, "path": unquote(self.raw_path), "query": shown, "range": self.headers.get("Range", ""),
                          "status": status, "received": len(self.body), "sent": sent, "agent": self.headers.get("User-Agent", "")})
        self.send_response_only(status, HTTPStatus(status).phrase)
        for name, value in ({"Content-Length": str(len(content))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json; charset=UTF-8"} | (headers or {}))

    def object(self, stored: Stored) -> None:
        self.json(stored.resource(self.base))

    def media(self, stored: Stored, extra: dict[str, str] | None = None) -> None:
        """An object's bytes, or the range that is asked for."""
        size = len(stored.content)
        headers = {
            "Content-Type": stored.stated.get("contentType", "application/octet-stream"), "Accept-Ranges": "bytes",
            "Last-Modified": self.date_time_string(int(stored.created.timestamp())), "ETag": f'"{stored.generation}"',
            "x-goog-generation": str(stored.generation), "x-goog-metageneration": str(stored.metageneration),
            "x-goog-hash": f"crc32c={stored.crc32c},md5={stored.md5}", "x-goog-stored-content-length": str(size),
            **{f"x-goog-meta-{name}": value for name, value in stored.stated.get("metadata", {}).items()},
            **{name: stored.stated[key] for name, key in (("Cache-Control", "cacheControl"), ("Content-Disposition", "contentDisposition"))
               if key in stored.stated},
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
            raise Refused(416, "InvalidRange", "The requested range cannot be satisfied.")
        self.answer(206, stored.content[begin:end + 1], headers | {"Content-Range": f"bytes {begin}-{end}/{size}"})

    def _refuse(self, error: Refused) -> None:
        if error.status == 304:
            self.answer(304)
        elif self.xml:
            text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{error.reason}</Code><Message>{error}</Message></Error>"
            self.answer(error.status, text.encode(), {"Content-Type": "application/xml; charset=UTF-8"} | self._cors())
        else:
            why = {"message": str(error), "domain": "global", "reason": error.reason}
            self.json({"error": {"code": error.status, "message": str(error), "errors": [why]}}, error.status)

    # ------------------------------------------------------------------------------------------------------------- XML API

    def _xml(self) -> None:
        """GET and HEAD of an object, and the preflight of either."""
        bucket, _, name = unquote(self.raw_path).lstrip("/").partition("/")
        if self.command == "OPTIONS":
            self.answer(200, b"", self._cors())
            return
        if self.command not in ("GET", "HEAD") or not name:
            raise Refused(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        if signed(self.raw_query):
            keys = json.loads(self.server.keys.read_text()) if self.server.keys and self.server.keys.exists() else {}
            verify(self.command, self.raw_path, self.raw_query, {key.lower(): value for key, value in self.headers.items()}, keys)
        elif self._private(bucket) and not self.headers.get("Authorization", "").startswith("Bearer "):
            raise Refused(403, "AccessDenied", f"Anonymous caller does not have storage.objects.get access to {bucket}/{name}.")
        try:
            found = self.server.buckets.get(bucket, name, {})
        except Refused as error:
            raise Refused(404, "NoSuchKey" if "object" in str(error) else "NoSuchBucket", "The specified key does not exist.") from None
        wishes = {"response-content-disposition": "Content-Disposition", "response-content-type": "Content-Type"}
        self.media(found, {wishes[key]: value for key, value in self.query.items() if key in wishes} | self._cors())

    def _private(self, bucket: str) -> bool:
        about = self.server.buckets.bucket(bucket)
        return bool(about.get("iamConfiguration", {}).get("publicAccessPrevention") == "enforced")

    def _cors(self) -> dict[str, str]:
        """What the bucket's configuration says to this origin (https://cloud.google.com/storage/docs/cross-origin)."""
        origin = self.headers.get("Origin")
        if not origin:
            return {}
        method = self.headers.get("Access-Control-Request-Method", self.command)
        wanted = {name.strip().lower() for name in self.headers.get("Access-Control-Request-Headers", "").split(",") if name.strip()}
        try:
            rules = self.server.buckets.bucket(unquote(self.raw_path).lstrip("/").partition("/")[0]).get("cors", [])
        except Refused:
            return {}
        for rule in rules:
            named = rule.get("responseHeader", [])
            if (origin in rule.get("origin", []) or "*" in rule.get("origin", [])) and method in rule.get("method", []) \
                    and wanted <= {name.lower() for name in named}:
                allowed = {"Access-Control-Allow-Origin": "*" if "*" in rule["origin"] else origin, "Vary": "Origin"}
                if self.command == "OPTIONS":
                    return allowed | {"Access-Control-Allow-Methods": ",".join(rule["method"]), "Access-Control-Allow-Headers": ",".join(named),
                                      "Access-Control-Max-Age": str(rule.get("maxAgeSeconds", 3600))}
                return allowed | {"Access-Control-Expose-Headers": ", ".join(named)}
        return {}

    # ------------------------------------------------------------------------------------------------------------ JSON API

    def upload(self, bucket: str) -> None:
        kind = self.query.get("uploadType", "media")
        if kind == "resumable":
            self._begin(bucket)
        elif kind == "multipart":
            stated, content = _parts(self.headers.get("Content-Type", ""), self.body)
            self.object(self.server.buckets.put(bucket, self.query.get("name") or stated.get("name", ""), content, stated, self.query))
        else:
            stated = {"contentType": self.headers.get("Content-Type", "application/octet-stream")}
            self.object(self.server.buckets.put(bucket, self.query.get("name", ""), self.body, stated, self.query))

    def _begin(self, bucket: str) -> None:
        """The first request of a resumable upload."""
        stated = self.stated()
        name = self.query.get("name") or stated.get("name", "")
        stated.setdefault("contentType", self.headers.get("X-Upload-Content-Type", "application/octet-stream"))
        self.server.buckets.judge(next((one for one in self.server.buckets.names(bucket, name)[0] if one.name == name), None), self.query)
        upload = uuid4().hex
        self.server.uploads[upload] = {"bucket": bucket, "name": name, "stated": stated, "query": dict(self.query), "content": bytearray()}
        self.answer(200, b"", {"Location": f"{self.base}{self.raw_path}?uploadType=resumable&upload_id={upload}", "X-GUploader-UploadID": upload})

    def go_on(self, bucket: str) -> None:
        """The next piece of a resumable upload, or the question how far it is."""
        upload = self.server.uploads.get(self.query.get("upload_id", ""))
        if upload is None or upload["bucket"] != bucket:
            raise Refused(404, "notFound", "There is no such upload.")
        if "done" in upload:
            self.object(upload["done"])
            return
        content = upload["content"]
        match = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", self.headers.get("Content-Range", f"bytes 0-{len(self.body) - 1}/{len(self.body)}"))
        if not match:
            raise Refused(400, "invalid", "The Content-Range makes no sense.")
        if match[1] is not None:
            if int(match[1]) > len(content):
                raise Refused(503, "backendError", f"{len(content)} bytes are here, the piece begins at {match[1]}.")
            content[int(match[1]):] = self.body
        if match[3] != "*" and len(content) == int(match[3]):
            upload["done"] = self.server.buckets.put(bucket, upload["name"], bytes(content), upload["stated"], upload["query"])
            self.object(upload["done"])
        else:
            self.answer(308, b"", {"Range": f"bytes=0-{len(content) - 1}"} if content else {})

    def list_objects(self, bucket: str) -> None:
        objects, prefixes = self.server.buckets.names(bucket, self.query.get("prefix", ""), self.query.get("delimiter", ""))
        entries: list[tuple[str, Stored | None]] = sorted([*((one.name, one) for one in objects), *((name, None) for name in prefixes)],
                                                          key=lambda entry: entry[0])
        entries = [entry for entry in entries if entry[0] > self.query.get("pageToken", "")]
        most = min(int(self.query.get("maxResults") or 1000), 1000)
        page = entries[:most]
        self.json({"kind": "storage#objects", "items": [one.resource(self.base) for _, one in page if one],
                   "prefixes": [name for name, one in page if one is None], **({"nextPageToken": page[-1][0]} if len(entries) > most else {})})

    def get_object(self, bucket: str, name: str) -> None:
        found = self.server.buckets.get(bucket, name, self.query)
        if self.query.get("alt") == "media" or self.raw_path.startswith("/download"):
            self.media(found)
        else:
            self.object(found)

    def rewrite(self, bucket: str, name: str, to_bucket: str, to_name: str) -> None:
        made = self.server.buckets.copy((bucket, name), (to_bucket, to_name), self.stated(), self.query)
        size = str(len(made.content))
        self.json({"kind": "storage#rewriteResponse", "totalBytesRewritten": size, "objectSize": size, "done": True, "resource": made.resource(self.base)})

    def permissions(self, bucket: str) -> None:
        about = self.server.buckets.bucket(bucket)
        asked = [value for key, value in parse_qsl(self.raw_query) if key == "permissions"]
        self.json({"kind": "storage#testIamPermissionsResponse", "permissions": [one for one in asked if one not in about.get("denied", ())]})

    def set_faults(self) -> None:
        with self.server.lock:
            self.server.faults = json.loads(self.body or b"[]")
        self.json({})

    def compose(self, bucket: str, name: str) -> None:
        body = self.stated()
        self.object(self.server.buckets.compose(bucket, name, body.get("sourceObjects", []), body.get("destination", {}), self.query))

    def delete_object(self, bucket: str, name: str) -> None:
        self.server.buckets.delete(bucket, name, self.query)
        self.answer(204)

    def delete_bucket(self, bucket: str) -> None:
        self.server.buckets.drop(bucket)
        self.answer(204)


def _parts(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """The two parts of multipart/related: metadata and media."""
    match = re.search(r"boundary=[\"']?([^\"';]+)", content_type)
    if not match:
        raise Refused(400, "badContent", "The multipart body names no boundary.")
    edge = b"--" + match[1].encode()
    _, first, second = body.split(edge, 2)
    media = second[:second.rindex(b"\r\n" + edge + b"--" if b"\r\n" + edge in second else b"\n" + edge + b"--")]
    text = first.lstrip(b"\r\n").partition(b"\r\n\r\n" if b"\r\n\r\n" in first else b"\n\n")[2]
    head, _, content = media.lstrip(b"\r\n").partition(b"\r\n\r\n" if b"\r\n\r\n" in media[:1000] else b"\n\n")
    stated = dict(json.loads(text))
    if named := re.search(rb"(?i)content-type:\s*([^\r\n]+)", head):
        stated.setdefault("contentType", named[1].decode().strip())
    return stated, content


ROUTES: list[tuple[tuple[str, ...], str, Callable[..., None]]] = [
    (("POST",), r"/_server/faults", Handler.set_faults),
    (("POST",), r"/(?:resumable/)?upload/storage/v1/b/(?P<bucket>[^/]+)/o", Handler.upload),
    (("PUT",), r"/(?:resumable/)?upload/storage/v1/b/(?P<bucket>[^/]+)/o", Handler.go_on),
    (("GET",), r"/storage/v1/b", lambda self: self.json({"kind": "storage#buckets", "items": self.server.buckets.buckets()})),
    (("POST",), r"/storage/v1/b", lambda self: self.json(self.server.buckets.create(self.stated()))),
    (("GET",), r"/storage/v1/b/(?P<bucket>[^/]+)", lambda self, bucket: self.json(self.server.buckets.bucket(bucket))),
    (("PATCH", "PUT"), r"/storage/v1/b/(?P<bucket>[^/]+)", lambda self, bucket: self.json(self.server.buckets.change(bucket, self.stated()))),
    (("DELETE",), r"/storage/v1/b/(?P<bucket>[^/]+)", Handler.delete_bucket),
    (("GET",), r"/storage/v1/b/(?P<bucket>[^/]+)/iam/testPermissions", Handler.permissions),
    (("GET",), r"/storage/v1/b/(?P<bucket>[^/]+)/o", Handler.list_objects),
    (("GET",), r"(?:/download)?/storage/v1" + _OBJECT, Handler.get_object),
    (("PATCH", "PUT"), r"/storage/v1" + _OBJECT,
     lambda self, bucket, name: self.object(self.server.buckets.patch(bucket, name, self.stated(), self.query))),
    (("DELETE",), r"/storage/v1" + _OBJECT, Handler.delete_object),
    (("POST",), r"/storage/v1" + _OBJECT + "/compose", Handler.compose),
    (("POST",), r"/storage/v1" + _OBJECT + r"/rewriteTo/b/(?P<to_bucket>[^/]+)/o/(?P<to_name>[^/]+)", Handler.rewrite),
    (("POST",), r"/storage/v1" + _OBJECT + r"/copyTo/b/(?P<to_bucket>[^/]+)/o/(?P<to_name>[^/]+)",
     lambda self, bucket, name, to_bucket, to_name: self.object(
         self.server.buckets.copy((bucket, name), (to_bucket, to_name), self.stated(), self.query))),
]


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, help="file that gets one JSON line a request")
    parser.add_argument("--keys", type=Path, help="JSON file of public keys in PEM by the e-mail of their account; read at each signed request")
    given = parser.parse_args()
    Server(given.port, given.log, given.keys).serve_forever()
