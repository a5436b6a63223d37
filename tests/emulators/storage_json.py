"""The storage server's JSON API: one function per request, and the table of them."""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from uuid import uuid4

from emulators.storage_objects import StorageError, StoredObject

if TYPE_CHECKING:
    from emulators.storage_server import Handler

_OBJECT = r"/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)"


def upload(call: "Handler", bucket: str) -> None:
    kind = call.query.get("uploadType", "media")
    if kind == "resumable":
        _start_resumable(call, bucket)
    elif kind == "multipart":
        stated, content = _split_multipart(call.headers.get("Content-Type", ""), call.body)
        call.object(
            call.server.buckets.put(
                bucket, call.query.get("name") or stated.get("name", ""), content, stated, call.query
            )
        )
    else:
        stated = {"contentType": call.headers.get("Content-Type", "application/octet-stream")}
        call.object(
            call.server.buckets.put(bucket, call.query.get("name", ""), call.body, stated, call.query)
        )


def _start_resumable(call: "Handler", bucket: str) -> None:
    """The first request of a resumable upload."""
    stated = call.json_body()
    name = call.query.get("name") or stated.get("name", "")
    stated.setdefault("contentType", call.headers.get("X-Upload-Content-Type", "application/octet-stream"))
    call.server.buckets.check_preconditions(
        next((one for one in call.server.buckets.list_objects(bucket, name)[0] if one.name == name), None),
        call.query,
    )
    upload = uuid4().hex
    call.server.uploads[upload] = {
        "bucket": bucket,
        "name": name,
        "stated": stated,
        "query": dict(call.query),
        "content": bytearray(),
    }
    call.answer(
        200,
        b"",
        {
            "Location": f"{call.base}{call.raw_path}?uploadType=resumable&upload_id={upload}",
            "X-GUploader-UploadID": upload,
        },
    )


def continue_upload(call: "Handler", bucket: str) -> None:
    """The next piece of a resumable upload, or the question how far it is."""
    upload = call.server.uploads.get(call.query.get("upload_id", ""))
    if upload is None or upload["bucket"] != bucket:
        raise StorageError(404, "notFound", "There is no such upload.")
    if "done" in upload:
        call.object(upload["done"])
        return
    content = upload["content"]
    match = re.fullmatch(
        r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)",
        call.headers.get("Content-Range", f"bytes 0-{len(call.body) - 1}/{len(call.body)}"),
    )
    if not match:
        raise StorageError(400, "invalid", "The Content-Range is invalid.")
    if match[1] is not None:
        if int(match[1]) > len(content):
            raise StorageError(
                503, "backendError", f"{len(content)} bytes are here, the piece begins at {match[1]}."
            )
        content[int(match[1]) :] = call.body
    if match[3] != "*" and len(content) == int(match[3]):
        upload["done"] = call.server.buckets.put(
            bucket, upload["name"], bytes(content), upload["stated"], upload["query"]
        )
        call.object(upload["done"])
    else:
        call.answer(308, b"", {"Range": f"bytes=0-{len(content) - 1}"} if content else {})


def list_objects(call: "Handler", bucket: str) -> None:
    objects, prefixes = call.server.buckets.list_objects(
        bucket, call.query.get("prefix", ""), call.query.get("delimiter", "")
    )
    entries: list[tuple[str, StoredObject | None]] = sorted(
        [*((one.name, one) for one in objects), *((name, None) for name in prefixes)],
        key=lambda entry: entry[0],
    )
    entries = [entry for entry in entries if entry[0] > call.query.get("pageToken", "")]
    most = min(int(call.query.get("maxResults") or 1000), 1000)
    page = entries[:most]
    call.json(
        {
            "kind": "storage#objects",
            "items": [one.resource(call.base) for _, one in page if one],
            "prefixes": [name for name, one in page if one is None],
            **({"nextPageToken": page[-1][0]} if len(entries) > most else {}),
        }
    )


def get_object(call: "Handler", bucket: str, name: str) -> None:
    found = call.server.buckets.get(bucket, name, call.query)
    if call.query.get("alt") == "media" or call.raw_path.startswith("/download"):
        call.media(found)
    else:
        call.object(found)


def rewrite(call: "Handler", bucket: str, name: str, to_bucket: str, to_name: str) -> None:
    made = call.server.buckets.copy((bucket, name), (to_bucket, to_name), call.json_body(), call.query)
    size = str(len(made.content))
    call.json(
        {
            "kind": "storage#rewriteResponse",
            "totalBytesRewritten": size,
            "objectSize": size,
            "done": True,
            "resource": made.resource(call.base),
        }
    )


def check_permissions(call: "Handler", bucket: str) -> None:
    about = call.server.buckets.bucket(bucket)
    asked = [value for key, value in parse_qsl(call.raw_query) if key == "permissions"]
    call.json(
        {
            "kind": "storage#testIamPermissionsResponse",
            "permissions": [one for one in asked if one not in about.get("denied", ())],
        }
    )


def set_faults(call: "Handler") -> None:
    with call.server.lock:
        call.server.faults = json.loads(call.body or b"[]")
    call.json({})


def compose(call: "Handler", bucket: str, name: str) -> None:
    body = call.json_body()
    call.object(
        call.server.buckets.compose(
            bucket, name, body.get("sourceObjects", []), body.get("destination", {}), call.query
        )
    )


def delete_object(call: "Handler", bucket: str, name: str) -> None:
    call.server.buckets.delete(bucket, name, call.query)
    call.answer(204)


def delete_bucket(call: "Handler", bucket: str) -> None:
    call.server.buckets.delete_bucket(bucket)
    call.answer(204)


def _split_multipart(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """The two parts of multipart/related: metadata and media."""
    match = re.search(r"boundary=[\"']?([^\"';]+)", content_type)
    if not match:
        raise StorageError(400, "badContent", "The multipart body names no boundary.")
    edge = b"--" + match[1].encode()
    _, first, second = body.split(edge, 2)
    media = second[
        : second.rindex(b"\r\n" + edge + b"--" if b"\r\n" + edge in second else b"\n" + edge + b"--")
    ]
    text = first.lstrip(b"\r\n").partition(b"\r\n\r\n" if b"\r\n\r\n" in first else b"\n\n")[2]
    head, _, content = media.lstrip(b"\r\n").partition(
        b"\r\n\r\n" if b"\r\n\r\n" in media[:1000] else b"\n\n"
    )
    stated = dict(json.loads(text))
    if named := re.search(rb"(?i)content-type:\s*([^\r\n]+)", head):
        stated.setdefault("contentType", named[1].decode().strip())
    return stated, content


ROUTES: list[tuple[tuple[str, ...], str, Callable[..., None]]] = [
    (("POST",), r"/_server/faults", set_faults),
    (("POST",), r"/(?:resumable/)?upload/storage/v1/b/(?P<bucket>[^/]+)/o", upload),
    (("PUT",), r"/(?:resumable/)?upload/storage/v1/b/(?P<bucket>[^/]+)/o", continue_upload),
    (
        ("GET",),
        r"/storage/v1/b",
        lambda call: call.json({"kind": "storage#buckets", "items": call.server.buckets.buckets()}),
    ),
    (("POST",), r"/storage/v1/b", lambda call: call.json(call.server.buckets.create(call.json_body()))),
    (
        ("GET",),
        r"/storage/v1/b/(?P<bucket>[^/]+)",
        lambda call, bucket: call.json(call.server.buckets.bucket(bucket)),
    ),
    (
        ("PATCH", "PUT"),
        r"/storage/v1/b/(?P<bucket>[^/]+)",
        lambda call, bucket: call.json(call.server.buckets.update_bucket(bucket, call.json_body())),
    ),
    (("DELETE",), r"/storage/v1/b/(?P<bucket>[^/]+)", delete_bucket),
    (("GET",), r"/storage/v1/b/(?P<bucket>[^/]+)/iam/testPermissions", check_permissions),
    (("GET",), r"/storage/v1/b/(?P<bucket>[^/]+)/o", list_objects),
    (("GET",), r"(?:/download)?/storage/v1" + _OBJECT, get_object),
    (
        ("PATCH", "PUT"),
        r"/storage/v1" + _OBJECT,
        lambda call, bucket, name: call.object(
            call.server.buckets.patch(bucket, name, call.json_body(), call.query)
        ),
    ),
    (("DELETE",), r"/storage/v1" + _OBJECT, delete_object),
    (("POST",), r"/storage/v1" + _OBJECT + "/compose", compose),
    (
        ("POST",),
        r"/storage/v1" + _OBJECT + r"/rewriteTo/b/(?P<to_bucket>[^/]+)/o/(?P<to_name>[^/]+)",
        rewrite,
    ),
    (
        ("POST",),
        r"/storage/v1" + _OBJECT + r"/copyTo/b/(?P<to_bucket>[^/]+)/o/(?P<to_name>[^/]+)",
        lambda call, bucket, name, to_bucket, to_name: call.object(
            call.server.buckets.copy((bucket, name), (to_bucket, to_name), call.json_body(), call.query)
        ),
    ),
]
