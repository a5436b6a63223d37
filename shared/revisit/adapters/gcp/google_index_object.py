"""An index of Google's as an object in a bucket: which generation of it lies there, and which columns its first line names."""

import zlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from revisit.adapters.gcp.errors import asking
from revisit.adapters.gcp.settings import Settings
from revisit.adapters.sources import google_index_rows
from revisit.errors import GiveUp, Retry

if TYPE_CHECKING:
    from google.cloud.storage import Blob

HEAD = 1 << 16
"""Bytes of the object that are read; its first line has some 250 once they are unpacked."""
PATIENCE_S = 20.0
ROLE = "roles/storage.objectViewer on its bucket"


class IndexObject:
    """One object, which anybody may read where it is the public one."""

    def __init__(self, settings: Settings, uri: str) -> None:
        """
        Args:
            uri: gs://BUCKET/NAME.
        """
        self.uri = uri
        self._settings = settings

    def generation(self) -> str:
        """Which it is now; it changes with every upload.

        Raises:
            Retry: Cloud Storage does not answer.
            GiveUp: There is no such object, or it may not be read.
        """
        blob = self._blob
        with self._asking():
            try:
                blob.reload(**_patience())
            except exceptions.NotFound:
                raise GiveUp(f"there is no index {self.uri}; check the address") from None
        return str(blob.generation)

    def columns(self, generation: str) -> list[str]:
        """The names of its columns.

        Raises:
            Retry: Another generation has come in between.
            GiveUp: It is no index, or one of other columns than those that are known.
        """
        with self._asking():
            try:
                head = self._blob.download_as_bytes(end=HEAD - 1, raw_download=True, checksum=None, if_generation_match=int(generation), **_patience())
            except exceptions.PreconditionFailed:
                raise Retry(f"the index {self.uri} has just been replaced; it is read again later") from None
            except exceptions.RequestRangeNotSatisfiable:
                head = b""
        return google_index_rows.header(_unpacked(bytes(head), self.uri).partition(b"\n")[0], self.uri)

    @cached_property
    def _blob(self) -> "Blob":
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        bucket, _, name = self.uri.removeprefix("gs://").partition("/")
        with self._asking():
            client = storage.Client(self._settings.project, AnonymousCredentials() if self._settings.emulated else None)
        return client.bucket(bucket).blob(name)

    def _asking(self) -> Any:
        return asking("Cloud Storage", f"the index {self.uri}", ROLE)


def _patience() -> dict[str, Any]:
    from google.cloud.storage.retry import DEFAULT_RETRY

    return {"timeout": PATIENCE_S, "retry": DEFAULT_RETRY.with_timeout(PATIENCE_S)}


def _unpacked(head: bytes, uri: str) -> bytes:
    if head[:2] != b"\x1f\x8b":
        return head
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, HEAD)
    except zlib.error as error:
        raise GiveUp(f"the index {uri} cannot be unpacked ({error}); is it a gzip file?") from None
