"""Buckets of the storage server in memory: objects with generations, and preconditions of writes."""

import base64
import hashlib
import itertools
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import google_crc32c

CLIENT_FIELDS = (
    "contentType",
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "metadata",
)
"""What a client may state of an object."""


class StorageError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class StoredObject:
    """One generation of an object."""

    bucket: str
    name: str
    content: bytes
    generation: int
    metageneration: int = 1
    client_fields: dict[str, Any] = field(default_factory=dict)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    components: int = 0
    """How many objects it was composed of."""

    @property
    def crc32c(self) -> str:
        return base64.b64encode(google_crc32c.value(self.content).to_bytes(4, "big")).decode()

    @property
    def md5(self) -> str:
        return base64.b64encode(hashlib.md5(self.content).digest()).decode()

    def resource(self, base: str) -> dict[str, Any]:
        """As the JSON API shows it."""
        from urllib.parse import quote

        path = f"b/{self.bucket}/o/{quote(self.name, safe='')}"
        at = self.created.isoformat().replace("+00:00", "Z")
        return {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "bucket": self.bucket,
            "name": self.name,
            "selfLink": f"{base}/storage/v1/{path}",
            "mediaLink": f"{base}/download/storage/v1/{path}?generation={self.generation}&alt=media",
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "size": str(len(self.content)),
            "crc32c": self.crc32c,
            "etag": f"{self.generation}/{self.metageneration}",
            "storageClass": "STANDARD",
            "timeCreated": at,
            "updated": at,
            "timeStorageClassUpdated": at,
            **({"componentCount": self.components} if self.components else {"md5Hash": self.md5}),
            **{key: value for key, value in self.client_fields.items() if key in CLIENT_FIELDS},
        }


class Buckets:
    """All that the server holds."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._buckets: dict[str, dict[str, Any]] = {}
        self._objects: dict[str, dict[str, StoredObject]] = {}
        # As Google's, generations are microseconds and never come twice.
        self._generations = itertools.count(time.time_ns() // 1000)

    def create(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Make a bucket."""
        with self._lock:
            name = fields.get("name", "")
            if name in self._buckets:
                raise StorageError(
                    409,
                    "conflict",
                    "Your previous request to create the named bucket succeeded and you already own it.",
                )
            at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            location = str(fields.get("location") or "US").upper()
            self._buckets[name] = {
                "kind": "storage#bucket",
                "id": name,
                "storageClass": "STANDARD",
                "metageneration": "1",
                "etag": "1",
                "locationType": "region" if "-" in location else "multi-region",
                "timeCreated": at,
                "updated": at,
                **fields,
                "location": location,
            }
            self._objects[name] = {}
            return self._buckets[name]

    def buckets(self) -> list[dict[str, Any]]:
        with self._lock:
            return [self._buckets[name] for name in sorted(self._buckets)]

    def bucket(self, name: str) -> dict[str, Any]:
        with self._lock:
            if name not in self._buckets:
                raise StorageError(404, "notFound", "The specified bucket does not exist.")
            return self._buckets[name]

    def update_bucket(self, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            found = self.bucket(name)
            found |= changes | {"metageneration": str(int(found["metageneration"]) + 1)}
            return found

    def delete_bucket(self, name: str) -> None:
        with self._lock:
            self.bucket(name)
            if self._objects[name]:
                raise StorageError(409, "conflict", "The bucket you tried to delete is not empty.")
            del self._buckets[name], self._objects[name]

    def get(self, bucket: str, name: str, query: dict[str, str]) -> StoredObject:
        """An object, under the preconditions of a query."""
        with self._lock:
            self.bucket(bucket)
            found = self._objects[bucket].get(name)
            if found is None or query.get("generation", str(found.generation)) != str(found.generation):
                raise StorageError(404, "notFound", f"No such object: {bucket}/{name}")
            self.check_preconditions(found, query)
            return found

    def list_objects(
        self, bucket: str, prefix: str = "", delimiter: str = ""
    ) -> tuple[list[StoredObject], list[str]]:
        """Objects of a prefix by name, and the prefixes that the delimiter cuts off."""
        with self._lock:
            self.bucket(bucket)
            found, cut = list[StoredObject](), set[str]()
            for name in sorted(self._objects[bucket]):
                if name.startswith(prefix):
                    inside, at, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
                    if at:
                        cut.add(prefix + inside + at)
                    else:
                        found.append(self._objects[bucket][name])
            return found, sorted(cut)

    def put(
        self,
        bucket: str,
        name: str,
        content: bytes,
        client_fields: dict[str, Any],
        query: dict[str, str],
        components: int = 0,
    ) -> StoredObject:
        """Write a new generation under the preconditions of a query."""
        with self._lock:
            self.bucket(bucket)
            if not name or len(name.encode()) > 1024 or "\r" in name or "\n" in name:
                raise StorageError(400, "invalid", f"Invalid object name {name!r}")
            self.check_preconditions(self._objects[bucket].get(name), query)
            stored = StoredObject(
                bucket,
                name,
                content,
                next(self._generations),
                client_fields=client_fields,
                components=components,
            )
            for key, value in (("crc32c", stored.crc32c), ("md5Hash", stored.md5)):
                if client_fields.get(key, value) != value:
                    raise StorageError(
                        400,
                        "invalid",
                        f"Provided {key} {client_fields[key]!r} doesn't match calculated {value!r}.",
                    )
            self._objects[bucket][name] = stored
            return stored

    def copy(
        self,
        source: tuple[str, str],
        target: tuple[str, str],
        client_fields: dict[str, Any],
        query: dict[str, str],
    ) -> StoredObject:
        """Copy within the server; fields that the request leaves out are those of the source."""
        with self._lock:
            of_source = {
                key.replace("Source", "", 1): value
                for key, value in query.items()
                if key.startswith("ifSource")
            }
            of_target = {key: value for key, value in query.items() if not key.startswith("ifSource")}
            found = self.get(*source, of_source)
            return self.put(*target, found.content, client_fields or found.client_fields, of_target)

    def compose(
        self,
        bucket: str,
        name: str,
        sources: list[dict[str, Any]],
        client_fields: dict[str, Any],
        query: dict[str, str],
    ) -> StoredObject:
        with self._lock:
            if not 1 <= len(sources) <= 32:
                raise StorageError(
                    400, "invalid", "The number of source components provided must be between 1 and 32."
                )
            parts = [
                self.get(
                    bucket,
                    one["name"],
                    {f"if{key[2:]}": str(value) for key, value in one.get("objectPreconditions", {}).items()},
                )
                for one in sources
            ]
            return self.put(
                bucket,
                name,
                b"".join(part.content for part in parts),
                client_fields,
                query,
                sum(part.components or 1 for part in parts),
            )

    def patch(self, bucket: str, name: str, changes: dict[str, Any], query: dict[str, str]) -> StoredObject:
        with self._lock:
            found = self.get(bucket, name, query)
            stated = {
                key: value for key, value in (found.client_fields | changes).items() if value is not None
            }
            self._objects[bucket][name] = replace(
                found, client_fields=stated, metageneration=found.metageneration + 1
            )
            return self._objects[bucket][name]

    def delete(self, bucket: str, name: str, query: dict[str, str]) -> None:
        with self._lock:
            self.get(bucket, name, query)
            del self._objects[bucket][name]

    @staticmethod
    def check_preconditions(found: StoredObject | None, query: dict[str, str]) -> None:
        """Refuse what a precondition forbids
        (https://cloud.google.com/storage/docs/request-preconditions)."""
        numbers = {
            "Generation": found.generation if found else 0,
            "Metageneration": found.metageneration if found else 0,
        }
        for what, number in numbers.items():
            if (wanted := query.get(f"if{what}Match")) is not None and int(wanted) != number:
                raise StorageError(
                    412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold."
                )
            if (unwanted := query.get(f"if{what}NotMatch")) is not None and int(unwanted) == number:
                raise StorageError(304, "notModified", "Not modified.")
