"""Assets in a bucket: uploaded under a temporary name, then renamed by a request that never overwrites."""

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

from revisit.adapters.asset_paths import clear_leftovers, split_asset_path, workspace
from revisit.adapters.gcp.errors import translate_errors
from revisit.adapters.gcp.settings import Settings
from revisit.domain.job import Asset
from revisit.errors import InvalidInputError, NotFoundError, PermanentError, TransientError

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Bucket, Client

    from revisit.adapters.gcp.signed_urls import UrlSigner

UPLOAD_PREFIX = "unfinished/"
"""Prefix of uploads in progress; the bucket deletes those older than a day."""
CACHE_CONTROL = "private, max-age=86400, immutable"
"""Names are content-addressed, so content never changes; shared caches must not bypass authorization."""
USER_ROLE = "roles/storage.objectUser on the bucket"
VIEWER_ROLE = "roles/storage.legacyBucketReader on the bucket"
REQUIRED_PERMISSIONS = ("storage.objects.create", "storage.objects.get", "storage.objects.delete")
MULTI_REGIONS = {
    "EU": ("EUROPE-",),
    "US": ("US-",),
    "ASIA": ("ASIA-",),
    "EUR4": ("EUROPE-NORTH1", "EUROPE-WEST4"),
    "NAM4": ("US-CENTRAL1", "US-EAST1"),
    "ASIA1": ("ASIA-NORTHEAST1", "ASIA-NORTHEAST2"),
}
"""Regions of a multi-region or dual-region (https://cloud.google.com/storage/docs/locations)."""
EU_EXCLUDED_REGIONS = ("EUROPE-WEST2", "EUROPE-WEST6")
"""London and Zurich are not in EU."""
log = logging.getLogger("revisit")

_UPLOAD_CHUNK_BYTES = 16 * 2**20
"""Chunk size of a large upload, which is also the memory it takes."""


class BucketAssets:
    """The Assets port on one bucket; threads, processes and machines may share it."""

    def __init__(self, settings: Settings, timeout_s: float = 60, signer: "UrlSigner | None" = None) -> None:
        """No request is sent before first use.

        Args:
            settings: The deployment.
            timeout_s: How long a request is retried, seconds.
            signer: Signs URLs; None signs as the settings say, and not at all with an emulator.
        """
        self._settings, self._timeout_s, self._signer = settings, timeout_s, signer
        self._workspace_id = token_hex(4)
        self._location_checked = False

    def store(self, file: Path, path: str, media_type: str) -> Asset:
        target = self._blob(path)
        if not stat.S_ISREG(file.lstat().st_mode):
            raise InvalidInputError(f"{file} is not a file that can be stored")
        content = _digest_file(file)
        self._check_location_once()
        with self._translate_errors(path):
            upload = self._upload(file, content, media_type)
            try:
                self._publish(upload, target)
            finally:
                self._delete_upload(upload)
            target.reload(**self._request_options)
        file.unlink(missing_ok=True)
        digest = (target.metadata or {}).get("sha256") or sha256(self.read(path)).hexdigest()
        return Asset(Path(path).stem, path, media_type, int(target.size), digest)

    def locate(self, path: str) -> str:
        return f"/vsigs/{self._settings.bucket}/{self._validate_path(path)}"

    def read(self, path: str) -> bytes:
        blob = self._blob(path)
        with self._translate_errors(path):
            try:
                return bytes(blob.download_as_bytes(**self._request_options))
            except exceptions.NotFound:
                raise NotFoundError(f"there is no asset {path!r}") from None

    def signed_url(self, path: str, valid_s: float, name: str = "") -> str | None:
        blob = self._blob(path)
        if self._signer is None and self._settings.uses_emulator:
            return None
        return self._url_signer.signed_url(blob, valid_s, name)

    def remove(self, path: str) -> int:
        removed = 0
        with self._translate_errors(path):
            for blob in self._client.list_blobs(
                self._bucket, prefix=self._validate_path(path), **self._request_options
            ):
                if blob.name == path or blob.name.startswith(f"{path}/"):
                    # Another process may delete the same object first.
                    with contextlib.suppress(exceptions.NotFound):
                        blob.delete(**self._request_options)
                        removed += 1
        return removed

    def workspace(self) -> Path:
        """This thread's folder for unfinished files; on Cloud Run it is kept in memory."""
        try:
            folder = workspace(self._workspace_root) / self._workspace_id
            folder.mkdir(exist_ok=True)
            return folder
        except OSError as error:
            raise TransientError(
                f"there is no room for unfinished files below {tempfile.gettempdir()}: "
                f"{error.strerror or error}"
            ) from error

    def check(self) -> list[str]:
        """Check that the bucket exists in its region and that this account may use it; see `SupportsCheck`.

        Raises:
            TransientError: Cloud Storage does not answer.
            PermanentError: The bucket is missing, in another region or not accessible.
        """
        name = self._settings.bucket
        with _translate_storage_errors(f"the bucket {name} of REVISIT_BUCKET", VIEWER_ROLE):
            self._check_location()
            granted = self._client.bucket(name).test_iam_permissions(
                list(REQUIRED_PERMISSIONS), **self._request_options
            )
        if refused := [name for name in REQUIRED_PERMISSIONS if name not in granted]:
            raise PermanentError(
                f"REVISIT_BUCKET {name!r} refuses this account {', '.join(refused)}; grant it {USER_ROLE}"
            )
        return []

    def _check_location_once(self) -> None:
        """Check the bucket once, before the first file is stored."""
        if self._location_checked:
            return
        with _translate_storage_errors(f"the bucket {self._settings.bucket} of REVISIT_BUCKET", VIEWER_ROLE):
            try:
                self._check_location()
            except exceptions.Forbidden:
                # The permission is needed for this check only, and may be a recent grant: no reason to fail
                # a job.
                log.warning(
                    "it is unknown whether the bucket %s is in REVISIT_LOCATION; grant this account %s",
                    self._settings.bucket,
                    VIEWER_ROLE,
                )
        self._location_checked = True

    def _check_location(self) -> None:
        """Check that the bucket exists and is in its region."""
        name, region = self._settings.bucket, self._settings.location.upper()
        bucket = self._client.bucket(name)
        try:
            bucket.reload(**self._request_options)
        except exceptions.NotFound:
            raise PermanentError(
                f"REVISIT_BUCKET {name!r} does not exist; run `terraform apply`, or name the bucket of your "
                "deployment"
            ) from None
        if not is_in_region(bucket, region):
            raise PermanentError(
                f"REVISIT_BUCKET {name!r} lies in {bucket.location}, REVISIT_LOCATION is "
                f"{self._settings.location!r}; "
                "set one to fit the other, for results are not carried between regions"
            )

    def _upload(self, file: Path, content: "_FileDigest", media_type: str) -> "Blob":
        """Upload a file under a unique name below `UPLOAD_PREFIX`, and verify size and checksum."""
        upload = self._bucket.blob(
            f"{UPLOAD_PREFIX}{content.sha256[:16]}-{token_hex(8)}", chunk_size=_UPLOAD_CHUNK_BYTES
        )
        upload.cache_control, upload.metadata = CACHE_CONTROL, {"sha256": content.sha256}
        try:
            upload.upload_from_filename(
                str(file),
                content_type=media_type,
                if_generation_match=0,
                checksum="crc32c",
                **self._request_options,
            )
        except exceptions.PreconditionFailed:
            upload.reload(**self._request_options)  # a retry of our own upload, whose response was lost
        if (int(upload.size), upload.crc32c) != (content.size, content.crc32c):
            self._delete_upload(upload)
            raise TransientError(
                f"{file.name} arrived in the bucket {self._settings.bucket} with {upload.size} bytes and "
                f"CRC32C {upload.crc32c} instead of {content.size} bytes and {content.crc32c}"
            )
        return upload

    def _publish(self, upload: "Blob", target: "Blob") -> None:
        """Rename the upload to its content-addressed name; an object that has this name is the same."""
        with contextlib.suppress(exceptions.PreconditionFailed):
            token, _, _ = target.rewrite(
                upload,
                if_generation_match=0,
                if_source_generation_match=upload.generation,
                **self._request_options,
            )
            while token:
                token, _, _ = target.rewrite(
                    upload,
                    token,
                    if_generation_match=0,
                    if_source_generation_match=upload.generation,
                    **self._request_options,
                )

    def _delete_upload(self, upload: "Blob") -> None:
        """Delete an unfinished upload; the bucket's lifecycle rule deletes after a day what this cannot."""
        try:
            with _translate_storage_errors(f"the upload {upload.name}", USER_ROLE):
                upload.delete(timeout=_timeout(self._timeout_s), retry=None)
        except (TransientError, PermanentError, exceptions.GoogleAPICallError) as error:
            log.info("the upload %s is left to the bucket's lifecycle rule: %s", upload.name, error)

    @cached_property
    def _client(self) -> "Client":
        return create_client(self._settings)

    @cached_property
    def _bucket(self) -> "Bucket":
        return self._client.bucket(self._settings.bucket)

    @cached_property
    def _url_signer(self) -> "UrlSigner":
        from revisit.adapters.gcp.signed_urls import create_url_signer

        return self._signer or create_url_signer(self._settings)

    @cached_property
    def _workspace_root(self) -> Path:
        """Folder of unfinished files, one per user, which no other user can read or create first."""
        root = Path(tempfile.gettempdir()) / f"revisit-{os.getuid()}"
        root.mkdir(mode=0o700, exist_ok=True)
        if root.lstat().st_uid != os.getuid() or not stat.S_ISDIR(root.lstat().st_mode):
            raise PermanentError(
                f"{root} is not this user's folder; remove it, or set TMPDIR to a folder of your own"
            )
        clear_leftovers(root)
        return root

    @cached_property
    def _request_options(self) -> dict[str, Any]:
        """Options of every request: the time-out of an attempt, and of all retries together."""
        from google.cloud.storage.retry import DEFAULT_RETRY

        return {"timeout": _timeout(self._timeout_s), "retry": DEFAULT_RETRY.with_timeout(self._timeout_s)}

    def _validate_path(self, path: str) -> str:
        if split_asset_path(path)[0] == UPLOAD_PREFIX.rstrip("/"):
            raise InvalidInputError(
                f"{path!r} is not the path of an asset: what begins with {UPLOAD_PREFIX} is removed after a "
                "day"
            )
        return path

    def _blob(self, path: str) -> "Blob":
        return self._bucket.blob(self._validate_path(path))

    @contextmanager
    def _translate_errors(self, path: str) -> Iterator[None]:
        with _translate_storage_errors(
            f"the asset {path!r} of the bucket {self._settings.bucket}", USER_ROLE
        ):
            try:
                yield
            except exceptions.BadRequest as error:
                raise TransientError(
                    f"the asset {path!r} is incomplete in the bucket {self._settings.bucket}: "
                    f"{error.message[:300]}"
                ) from error
            except exceptions.NotFound as error:
                raise PermanentError(
                    f"REVISIT_BUCKET {self._settings.bucket!r} does not accept the asset {path!r} "
                    f"({error.message}); "
                    "see that the bucket exists"
                ) from error


@dataclass(frozen=True, slots=True)
class _FileDigest:
    """A file as it is here."""

    size: int
    sha256: str
    crc32c: str
    """Big-endian, in base64, as Cloud Storage writes it."""


def _digest_file(file: Path) -> _FileDigest:
    import google_crc32c

    try:
        with file.open("rb") as opened:
            digest = file_digest(opened, "sha256").hexdigest()
            opened.seek(0)
            check = google_crc32c.Checksum()
            for _ in check.consume(opened, 2**20):
                pass
            return _FileDigest(opened.tell(), digest, base64.b64encode(check.digest()).decode())
    except OSError as error:
        raise TransientError(f"{file} cannot be read now: {error.strerror or error}") from error


def is_in_region(bucket: "Bucket", region: str) -> bool:
    """Whether a bucket lies in a region, in capitals, or across it."""
    location = (bucket.location or "").upper()
    inside = [one.upper() for one in bucket.data_locations or ()] or MULTI_REGIONS.get(location, ())
    return region == location or (
        region.startswith(tuple(inside)) and not (location == "EU" and region in EU_EXCLUDED_REGIONS)
    )


def create_client(settings: Settings) -> "Client":
    """The client of a deployment; an emulator is found by STORAGE_EMULATOR_HOST and asked without an
    account."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    with translate_errors("Cloud Storage", f"the project {settings.project}", USER_ROLE):
        return Client(settings.project, AnonymousCredentials() if settings.uses_emulator else None)


@contextmanager
def _translate_storage_errors(resource: str, role: str) -> Iterator[None]:
    """As `translate_errors`, for what Cloud Storage's own library raises besides."""
    import requests
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

    with translate_errors("Cloud Storage", resource, role):
        try:
            yield
        except (requests.RequestException, DataCorruption, InvalidResponse) as error:
            raise TransientError(f"Cloud Storage fails for {resource}: {type(error).__name__}") from error


def _timeout(timeout_s: float) -> tuple[float, float]:
    """Seconds to connect, and between two pieces of an answer."""
    return min(10, timeout_s), min(60, timeout_s)
