"""An index of Google as an object in a bucket: its generation and its columns."""

import zlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from revisit.adapters.gcp.errors import translate_errors
from revisit.adapters.gcp.settings import Settings
from revisit.adapters.sources import google_index_rows
from revisit.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from google.cloud.storage import Blob

HEAD_BYTES = 1 << 16
"""Bytes of the object that are read; its first line has about 250 bytes, decompressed."""
TIMEOUT_S = 20.0
ROLE = "roles/storage.objectViewer on its bucket"


class GoogleIndexObject:
    """One object in a bucket."""

    def __init__(self, settings: Settings, uri: str) -> None:
        """
        Args:
            settings: Project.
            uri: gs://BUCKET/NAME.
        """
        self.uri = uri
        self._settings = settings

    def generation(self) -> str:
        """The current generation, which changes with every upload.

        Raises:
            TransientError: Cloud Storage does not answer.
            PermanentError: The object does not exist, or is not readable.
        """
        blob = self._blob
        with self._translate_errors():
            try:
                blob.reload(**_request_options())
            except exceptions.NotFound:
                raise PermanentError(f"there is no index {self.uri}; check the address") from None
        return str(blob.generation)

    def columns(self, generation: str) -> list[str]:
        """The names of its columns.

        Args:
            generation: Of the object.

        Raises:
            TransientError: The object has been replaced by another generation.
            PermanentError: It is not an index, or has unknown columns.
        """
        with self._translate_errors():
            try:
                head = self._blob.download_as_bytes(
                    end=HEAD_BYTES - 1,
                    raw_download=True,
                    checksum=None,
                    if_generation_match=int(generation),
                    **_request_options(),
                )
            except exceptions.PreconditionFailed:
                raise TransientError(
                    f"the index {self.uri} has just been replaced; it is read again later"
                ) from None
            except exceptions.RequestRangeNotSatisfiable:
                head = b""
        return google_index_rows.parse_header(_gunzip(bytes(head), self.uri).partition(b"\n")[0], self.uri)

    @cached_property
    def _blob(self) -> "Blob":
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        bucket, _, name = self.uri.removeprefix("gs://").partition("/")
        with self._translate_errors():
            client = storage.Client(
                self._settings.project, AnonymousCredentials() if self._settings.uses_emulator else None
            )
        return client.bucket(bucket).blob(name)

    def _translate_errors(self) -> Any:
        return translate_errors("Cloud Storage", f"the index {self.uri}", ROLE)


def _request_options() -> dict[str, Any]:
    from google.cloud.storage.retry import DEFAULT_RETRY

    return {"timeout": TIMEOUT_S, "retry": DEFAULT_RETRY.with_timeout(TIMEOUT_S)}


def _gunzip(head: bytes, uri: str) -> bytes:
    if head[:2] != b"\x1f\x8b":
        return head
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, HEAD_BYTES)
    except zlib.error as error:
        raise PermanentError(
            f"the index {uri} cannot be decompressed ({error}); is it a gzip file?"
        ) from None
