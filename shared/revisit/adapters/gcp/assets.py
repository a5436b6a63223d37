"""Assets in a bucket: uploaded under another name, then given their own by one request that fails where something has that name."""

import base64
import contextlib
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest, sha256
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from revisit.adapters.asset_paths import clear_left_overs, components, workspace
from revisit.adapters.gcp.errors import asking
from revisit.adapters.gcp.settings import Settings
from revisit.domain.job import Asset
from revisit.errors import BadInput, GiveUp, NotFound, Retry

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Bucket, Client

    from revisit.adapters.gcp.signed_urls import UrlSigner

UNFINISHED = "unfinished/"
"""Begins the names of uploads under way; the bucket removes what is older than a day."""
CACHE_CONTROL = "private, max-age=86400, immutable"
"""A name is of one content for ever; a shared cache must not hand it out without its right being asked for."""
USER = "roles/storage.objectUser on the bucket"
VIEWER = "roles/storage.legacyBucketReader on the bucket"
PERMISSIONS = ("storage.objects.create", "storage.objects.get", "storage.objects.delete")
REGIONS = {
    "EU": ("EUROPE-",), "US": ("US-",), "ASIA": ("ASIA-",),
    "EUR4": ("EUROPE-NORTH1", "EUROPE-WEST4"), "NAM4": ("US-CENTRAL1", "US-EAST1"), "ASIA1": ("ASIA-NORTHEAST1", "ASIA-NORTHEAST2"),
}
"""What lies in a multi-region or a pair of regions (https://cloud.google.com/storage/docs/locations)."""
OUTSIDE = ("EUROPE-WEST2", "EUROPE-WEST6")
"""London and Zurich are not in EU."""
log = logging.getLogger("revisit")

_CHUNK = 16 * 2**20
"""Bytes of a large upload that are sent, and kept in memory, at once."""


class BucketAssets:
    """The Assets port on one bucket; threads, processes and machines may share it."""

    def __init__(self, settings: Settings, patience_s: float = 60, signer: "UrlSigner | None" = None) -> None:
        """Nothing is asked of the bucket before it is first used.

        Args:
            patience_s: How long a request is tried again.
            signer: Signs addresses; by default in the name that the settings give, and nobody where an emulator stands in.
        """
        self._settings, self._patience_s, self._signer = settings, patience_s, signer
        self._id = token_hex(4)
        self._looked = False

    def store(self, file: Path, path: str, media_type: str) -> Asset:
        target = self._blob(path)
        if not stat.S_ISREG(file.lstat().st_mode):
            raise BadInput(f"{file} is not a file that can be stored")
        content = _content(file)
        self._look()
        with self._asking(path):
            aside = self._upload(file, content, media_type)
            try:
                self._name(aside, target)
            finally:
                self._remove(aside)
            target.reload(**self._patience)
        file.unlink(missing_ok=True)
        digest = (target.metadata or {}).get("sha256") or sha256(self.read(path)).hexdigest()
        return Asset(Path(path).stem, path, media_type, int(target.size), digest)

    def locate(self, path: str) -> str:
        return f"/vsigs/{self._settings.bucket}/{self._path(path)}"

    def read(self, path: str) -> bytes:
        blob = self._blob(path)
        with self._asking(path):
            try:
                return bytes(blob.download_as_bytes(**self._patience))
            except exceptions.NotFound:
                raise NotFound(f"there is no asset {path!r}") from None

    def link(self, path: str, seconds: float, name: str = "") -> str | None:
        blob = self._blob(path)
        if self._signer is None and self._settings.emulated:
            return None
        return self._url_signer.link(blob, seconds, name)

    def remove(self, path: str) -> int:
        gone = 0
        with self._asking(path):
            for blob in self._client.list_blobs(self._bucket, prefix=self._path(path), **self._patience):
                if blob.name == path or blob.name.startswith(f"{path}/"):
                    with contextlib.suppress(exceptions.NotFound):  # another takes the same away, and is quicker
                        blob.delete(**self._patience)
                        gone += 1
        return gone

    def workspace(self) -> Path:
        """This thread's folder for unfinished files; on Cloud Run it is kept in memory."""
        try:
            folder = workspace(self._folder) / self._id
            folder.mkdir(exist_ok=True)
            return folder
        except OSError as error:
            raise Retry(f"there is no room for unfinished files below {tempfile.gettempdir()}: {error.strerror or error}") from error

    def check(self) -> None:
        """See that the bucket is there, where it should be, and open to this account.

        Raises:
            Retry: Cloud Storage does not answer.
            GiveUp: It is not as it should be; the sentence names the variable and the remedy.
        """
        name = self._settings.bucket
        with _asking(f"the bucket {name} of REVISIT_BUCKET", VIEWER):
            self._find()
            granted = self._client.bucket(name).test_iam_permissions(list(PERMISSIONS), **self._patience)
        if refused := [one for one in PERMISSIONS if one not in granted]:
            raise GiveUp(f"REVISIT_BUCKET {name!r} refuses this account {', '.join(refused)}; grant it {USER}")

    # ---------------------------------------------------------------------------------------------------------------- steps

    def _look(self) -> None:
        """See once, before the first file is stored, that the bucket is the one that is meant."""
        if self._looked:
            return
        with _asking(f"the bucket {self._settings.bucket} of REVISIT_BUCKET", VIEWER):
            try:
                self._find()
            except exceptions.Forbidden:
                # What is needed for this look alone, and perhaps was granted a moment ago, is no reason to fail a job for good.
                log.warning("whether the bucket %s lies in REVISIT_LOCATION is not known: grant this account %s", self._settings.bucket, VIEWER)
        self._looked = True

    def _find(self) -> None:
        """See that the bucket is there, and in its region."""
        name, region = self._settings.bucket, self._settings.location.upper()
        bucket = self._client.bucket(name)
        try:
            bucket.reload(**self._patience)
        except exceptions.NotFound:
            raise GiveUp(f"REVISIT_BUCKET {name!r} does not exist; run `terraform apply`, or name the bucket of your deployment") from None
        if not contains(bucket, region):
            raise GiveUp(f"REVISIT_BUCKET {name!r} lies in {bucket.location}, REVISIT_LOCATION is {self._settings.location!r}; "
                         "set one to fit the other, for results are not carried between regions")

    def _upload(self, file: Path, content: "_Content", media_type: str) -> "Blob":
        """The file under a name of its own below `UNFINISHED`, as whole as it is here."""
        aside = self._bucket.blob(f"{UNFINISHED}{content.sha256[:16]}-{token_hex(8)}", chunk_size=_CHUNK)
        aside.cache_control, aside.metadata = CACHE_CONTROL, {"sha256": content.sha256}
        try:
            aside.upload_from_filename(str(file), content_type=media_type, if_generation_match=0, checksum="crc32c", **self._patience)
        except exceptions.PreconditionFailed:
            aside.reload(**self._patience)  # the answer to our own request was lost, and asked again
        if (int(aside.size), aside.crc32c) != (content.size, content.crc32c):
            self._remove(aside)
            raise Retry(f"{file.name} came into the bucket {self._settings.bucket} as {aside.size} bytes of CRC32C {aside.crc32c} instead of "
                        f"{content.size} of {content.crc32c}")
        return aside

    def _name(self, aside: "Blob", target: "Blob") -> None:
        """Give what was uploaded its own name, unless something has it: content-addressed, that is the same."""
        with contextlib.suppress(exceptions.PreconditionFailed):
            token, _, _ = target.rewrite(aside, if_generation_match=0, if_source_generation_match=aside.generation, **self._patience)
            while token:
                token, _, _ = target.rewrite(aside, token, if_generation_match=0, if_source_generation_match=aside.generation, **self._patience)

    def _remove(self, aside: "Blob") -> None:
        """What cannot be removed now, the bucket removes after a day."""
        with contextlib.suppress(Exception):
            aside.delete(timeout=_timeout(self._patience_s), retry=None)

    # ---------------------------------------------------------------------------------------------------------------- parts

    @cached_property
    def _client(self) -> "Client":
        return client_of(self._settings)

    @cached_property
    def _bucket(self) -> "Bucket":
        return self._client.bucket(self._settings.bucket)

    @cached_property
    def _url_signer(self) -> "UrlSigner":
        from revisit.adapters.gcp.signed_urls import url_signer

        return self._signer or url_signer(self._settings)

    @cached_property
    def _folder(self) -> Path:
        """Of unfinished files: one a user, which others can neither see nor put there before."""
        root = Path(tempfile.gettempdir()) / f"revisit-{os.getuid()}"
        root.mkdir(mode=0o700, exist_ok=True)
        if root.lstat().st_uid != os.getuid() or not stat.S_ISDIR(root.lstat().st_mode):
            raise GiveUp(f"{root} is not this user's folder; remove it, or set TMPDIR to a folder of your own")
        clear_left_overs(root)
        return root

    @cached_property
    def _patience(self) -> dict[str, Any]:
        """What every request is given: a time for one answer, and one for all that is tried again."""
        from google.cloud.storage.retry import DEFAULT_RETRY

        return {"timeout": _timeout(self._patience_s), "retry": DEFAULT_RETRY.with_timeout(self._patience_s)}

    def _path(self, path: str) -> str:
        if components(path)[0] == UNFINISHED.rstrip("/"):
            raise BadInput(f"{path!r} is not the path of an asset: what begins with {UNFINISHED} is removed after a day")
        return path

    def _blob(self, path: str) -> "Blob":
        return self._bucket.blob(self._path(path))

    @contextmanager
    def _asking(self, path: str) -> Iterator[None]:
        with _asking(f"the asset {path!r} of the bucket {self._settings.bucket}", USER):
            try:
                yield
            except exceptions.BadRequest as error:
                raise Retry(f"the asset {path!r} did not come whole into the bucket {self._settings.bucket}: {error.message[:300]}") from error
            except exceptions.NotFound as error:
                raise GiveUp(f"REVISIT_BUCKET {self._settings.bucket!r} does not take the asset {path!r} ({error.message}); "
                             "see that the bucket exists") from error


@dataclass(frozen=True, slots=True)
class _Content:
    """A file as it is here."""

    size: int
    sha256: str
    crc32c: str
    """Big-endian, in base64, as Cloud Storage writes it."""


def _content(file: Path) -> _Content:
    import google_crc32c

    try:
        with file.open("rb") as opened:
            digest = file_digest(opened, "sha256").hexdigest()
            opened.seek(0)
            check = google_crc32c.Checksum()
            for _ in check.consume(opened, 2**20):
                pass
            return _Content(opened.tell(), digest, base64.b64encode(check.digest()).decode())
    except OSError as error:
        raise Retry(f"{file} cannot be read now: {error.strerror or error}") from error


def contains(bucket: "Bucket", region: str) -> bool:
    """Whether a bucket lies in a region, in capitals, or across it."""
    location = (bucket.location or "").upper()
    inside = [one.upper() for one in bucket.data_locations or ()] or REGIONS.get(location, ())
    return region == location or (region.startswith(tuple(inside)) and not (location == "EU" and region in OUTSIDE))


def client_of(settings: Settings) -> "Client":
    """The client of a deployment; an emulator is found by STORAGE_EMULATOR_HOST and asked without an account."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    with asking("Cloud Storage", f"the project {settings.project}", USER):
        return Client(settings.project, AnonymousCredentials() if settings.emulated else None)


@contextmanager
def _asking(about: str, role: str) -> Iterator[None]:
    """As `asking`, for what Cloud Storage's own library raises besides."""
    import requests
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

    with asking("Cloud Storage", about, role):
        try:
            yield
        except (requests.RequestException, DataCorruption, InvalidResponse) as error:
            raise Retry(f"Cloud Storage does not answer well for {about}: {type(error).__name__}") from error


def _timeout(patience_s: float) -> tuple[float, float]:
    """Seconds to connect, and between two pieces of an answer."""
    return min(10, patience_s), min(60, patience_s)
