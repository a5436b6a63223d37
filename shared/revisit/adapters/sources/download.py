"""Downloads a file of a source: resumable, with size and checksum verified before it is complete."""

import base64
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from revisit.domain.bands import SourceFile
from revisit.errors import NotFoundError, PermanentError, TransientError
from revisit.net import signed_buckets
from revisit.net.http_client import create_client, send
from revisit.net.retry import AttemptFailedError, RetryPolicy, is_transient_status

if TYPE_CHECKING:
    import httpx

RETRY = RetryPolicy(first_delay_s=1.0, max_attempts=6)
"""Attempts that bring no byte: five retries after 1, 2, 4, 8 and 16 s. Progress starts the count again."""
CHUNK_BYTES = 1 << 20

type ProgressCallback = Callable[[int], None]
"""Called with the number of bytes that have arrived; negative where bytes are discarded."""


def download_file(
    file: SourceFile,
    target: Path,
    on_progress: ProgressCallback = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Download a file; a complete one stays as it is.

    Args:
        file: What to download, from a URL or a path.
        target: Path of the downloaded file. An unfinished download is kept beside it as `NAME.part`.
        on_progress: Called with the bytes as they arrive.
        sleep: Waits for some seconds between two attempts.

    Returns:
        Whether anything was downloaded.

    Raises:
        NotFoundError: The source has no such file.
        TransientError: The server does not answer; the bytes that arrived are kept.
        PermanentError: The file is not what the source states, or cannot be written.
    """
    if file.is_folder:
        return _make_folder(target)
    if _is_complete(file, target):
        on_progress(target.stat().st_size)
        return False
    part, version_file = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    with _translate_write_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.href.startswith(("https://", "http://")):
            stated = _download(file, part, version_file, on_progress, sleep)
        else:
            stated = None
            _copy(file, part, on_progress)
        for checksum in (file.checksum, stated):
            if checksum and _checksum(part, checksum.partition(":")[0]) != checksum:
                part.unlink()
                version_file.unlink(missing_ok=True)
                raise PermanentError(
                    f"{file.href} does not have the checksum {checksum} that its source states; "
                    "the download was removed, try again"
                )
        with part.open("rb") as opened:
            os.fsync(opened.fileno())
        part.replace(target)
        version_file.unlink(missing_ok=True)
    return True


def _make_folder(target: Path) -> bool:
    """Create an empty folder; returns whether it was missing."""
    made = not target.is_dir()
    with _translate_write_errors(target):
        target.mkdir(parents=True, exist_ok=True)
    return made


def _expected_size(file: SourceFile) -> int | None:
    """Size in bytes that the download must have; None where a checksum decides.

    Manifests of 2018 state wrong sizes beside right checksums (MTD_MSIL2A.xml: 892 instead of 52,056).
    """
    return None if file.checksum else file.size


def _is_complete(file: SourceFile, target: Path) -> bool:
    """Whether the file exists with the right size, and the right checksum where one is known."""
    if not target.is_file() or (file.size is None and file.checksum is None):
        return False
    if _expected_size(file) not in (None, target.stat().st_size):
        return False
    return not file.checksum or _checksum(target, file.checksum.partition(":")[0]) == file.checksum


def _download(
    file: SourceFile,
    part: Path,
    version_file: Path,
    on_progress: ProgressCallback,
    sleep: Callable[[float], None],
) -> str | None:
    """Download what is missing, with retries; returns the checksum that the server states."""
    on_progress(_size(part))
    with create_client() as client:
        attempt = partial(_attempt, client, file, part, version_file, on_progress)
        while True:
            try:
                return RETRY.call(attempt, sleep=sleep)
            except _InterruptedError:
                sleep(RETRY.first_delay_s)
            except AttemptFailedError as failure:
                raise TransientError(
                    f"{file.href} {failure}; what has arrived is kept, run the download again to resume"
                ) from None


def _attempt(
    client: "httpx.Client", file: SourceFile, part: Path, version_file: Path, on_progress: ProgressCallback
) -> str | None:
    before = _size(part)
    try:
        return _download_rest(client, file, part, version_file, on_progress)
    except AttemptFailedError as failure:
        if _size(part) > before:
            raise _InterruptedError(str(failure)) from None
        raise


class _InterruptedError(Exception):
    """An attempt broke off after it had brought some bytes."""


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _download_rest(
    client: "httpx.Client", file: SourceFile, part: Path, version_file: Path, on_progress: ProgressCallback
) -> str | None:
    """One attempt to download what is missing."""
    have, version = _size(part), _read_version(version_file)
    headers = {"range": f"bytes={have}-", "if-range": version} if have and version else {}
    if not headers and have:
        # Without a version the rest may belong to another file.
        on_progress(-have)
        have = 0
    with send(
        client, "GET", signed_buckets.sign(file.href), {**headers, "accept-encoding": "identity"}
    ) as response:
        status = response.status_code
        if status in (404, 410):
            raise NotFoundError(f"{file.href} does not exist ({status})")
        if is_transient_status(status):
            raise AttemptFailedError(f"answers {status}")
        whole = _total_bytes(response)
        if status == 416 and whole is not None and whole == have:
            return _stated_checksum(response)
        if status not in (200, 206):
            raise PermanentError(f"{file.href} answers {status}; check whether its source is public")
        if status == 206 and not response.headers.get("content-range", "").startswith(f"bytes {have}-"):
            raise PermanentError(f"{file.href} answers with another byte range than requested")
        if status == 200 and have:
            on_progress(-have)
            have = 0
        size = _expected_size(file)
        if size is not None and whole is not None and whole != size:
            raise PermanentError(f"{file.href} has {whole:,} bytes, and its source says {size:,}")
        _write_version(version_file, response)
        limit = whole if whole is not None else size
        with part.open("r+b" if have else "wb") as out:
            out.seek(have)
            out.truncate()
            # Chunks as they arrive: chunks of a fixed size would lose the last bytes before an interruption.
            for chunk in response.iter_raw():
                have += len(chunk)
                if limit is not None and have > limit:
                    raise PermanentError(f"{file.href} is longer than the expected {limit:,} bytes")
                out.write(chunk)
                on_progress(len(chunk))
        if limit is not None and have < limit:
            raise AttemptFailedError(f"ends after {have:,} of {limit:,} bytes")
        return _stated_checksum(response)


def _total_bytes(response: "httpx.Response") -> int | None:
    """Size of the whole file in bytes."""
    text = (
        response.headers.get("content-range", "").rpartition("/")[2]
        if response.status_code != 200
        else response.headers.get("content-length", "")
    )
    return int(text) if text.isdecimal() else None


def _stated_checksum(response: "httpx.Response") -> str | None:
    """The MD5 that Cloud Storage states of an object that was not composed of parts."""
    for entry in response.headers.get("x-goog-hash", "").split(","):
        name, _, value = entry.strip().partition("=")
        if name == "md5":
            with suppress(ValueError):
                return f"md5:{base64.b64decode(value).hex()}"
    return None


def _write_version(version_file: Path, response: "httpx.Response") -> None:
    """Remember which version of the file the bytes belong to.

    A weak ETag does not promise equal bytes (RFC 9110, section 13.1.5).
    """
    etag = response.headers.get("etag", "")
    version_file.write_text(
        json.dumps({"version": etag if etag.startswith('"') else response.headers.get("last-modified", "")})
    )


def _read_version(version_file: Path) -> str:
    with suppress(OSError, ValueError):
        stored: Any = json.loads(version_file.read_text())
        return str(stored.get("version", "")) if isinstance(stored, dict) else ""
    return ""


def _copy(file: SourceFile, part: Path, on_progress: ProgressCallback) -> None:
    if not Path(file.href).is_file():
        raise NotFoundError(f"{file.href} no longer exists")
    with Path(file.href).open("rb") as source, part.open("wb") as out:
        while chunk := source.read(CHUNK_BYTES):
            out.write(chunk)
            on_progress(len(chunk))
    if _expected_size(file) not in (None, part.stat().st_size):
        raise TransientError(f"{file.href} changed while it was copied; run the download again")


def _checksum(path: Path, algorithm: str) -> str:
    digest = hashlib.new({"sha3-256": "sha3_256"}.get(algorithm, algorithm), usedforsecurity=False)
    with path.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            digest.update(chunk)
    return f"{algorithm}:{digest.hexdigest()}"


@contextmanager
def _translate_write_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PermanentError(
            f"{target} cannot be written: {error.strerror}; what has arrived is kept"
        ) from None
