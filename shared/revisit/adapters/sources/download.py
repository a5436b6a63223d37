"""A file of a source brought to this computer: gone on with where it was cut off, and only called complete
once it is what it should be."""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

from revisit.domain.bands import SourceFile
from revisit.errors import NotFoundError, PermanentError, TransientError

if TYPE_CHECKING:
    import httpx

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 60.0
RETRY_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Between tries that got nothing; one that got something begins anew."""
TRANSIENT_STATUSES = (408, 425, 429, 500, 502, 503, 504)
CHUNK_BYTES = 1 << 20

type ProgressCallback = Callable[[int], None]
"""Told how many bytes more are there; less than nothing where some are given up."""


def download_file(
    file: SourceFile,
    target: Path,
    on_progress: ProgressCallback = lambda _: None,
    wait: Callable[[float], None] = sleep,
) -> bool:
    """Bring a file; what is there in full stays as it is.

    Args:
        target: Where it goes; beside it, while it is unfinished, lies a file of the same name and `.part`.
        told: Told of the bytes as they come.
        wait: Lets seconds pass between two tries.

    Returns:
        Whether anything was brought.

    Raises:
        NotFoundError: The source has no such file.
        TransientError: It does not answer; what came is kept.
        PermanentError: It is not what the source says it is, or cannot be written.
    """
    if _is_complete(file, target):
        on_progress(target.stat().st_size)
        return False
    part, mark = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    with _translate_write_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.href.startswith(("https://", "http://")):
            stated = _download(file, part, mark, on_progress, wait)
        else:
            stated = None
            _copy(file, part, on_progress)
        for checksum in (file.checksum, stated):
            if checksum and _checksum(part, checksum.partition(":")[0]) != checksum:
                part.unlink()
                mark.unlink(missing_ok=True)
                raise PermanentError(
                    f"{file.href} is not what its source says: the checksum is not {checksum}; it was removed, try again"
                )
        with part.open("rb") as opened:
            os.fsync(opened.fileno())
        part.replace(target)
        mark.unlink(missing_ok=True)
    return True


def _expected_size(file: SourceFile) -> int | None:
    """Bytes it must have. Manifests of 2018 state sizes that are wrong beside checksums that are right
    (MTD_MSIL2A.xml: 892 instead of 52,056)."""
    return None if file.checksum else file.size


def _is_complete(file: SourceFile, target: Path) -> bool:
    """Whether it is there already: of the right size, and of the right checksum where one is known."""
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
    wait: Callable[[float], None],
) -> str | None:
    """Bring the rest of a file, try after try; returns the checksum that the server states."""
    import httpx

    tries, reason = 0, ""
    if part.is_file():
        on_progress(part.stat().st_size)
    with httpx.Client(
        timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        follow_redirects=False,
        headers={"user-agent": "revisit"},
    ) as client:
        while tries <= len(RETRY_DELAYS_S):
            before = part.stat().st_size if part.is_file() else 0
            try:
                return _download_rest(client, file, part, version_file, on_progress)
            except httpx.TransportError as error:
                reason = f"breaks off ({type(error).__name__})"
            except _AttemptFailedError as busy:
                reason = str(busy)
            after = part.stat().st_size if part.is_file() else 0
            tries = 0 if after > before else tries + 1
            if tries <= len(RETRY_DELAYS_S):
                wait(RETRY_DELAYS_S[max(tries - 1, 0)])
    raise TransientError(f"{file.href} {reason}; what has come is kept, say it again to go on")


def _download_rest(
    client: "httpx.Client", file: SourceFile, part: Path, version_file: Path, on_progress: ProgressCallback
) -> str | None:
    """One try to bring what is missing."""
    have, version = part.stat().st_size if part.is_file() else 0, _read_version(version_file)
    headers = {"range": f"bytes={have}-", "if-range": version} if have and version else {}
    if not headers and have:
        # Nothing says that the rest would be of the same file.
        on_progress(-have)
        have = 0
    with client.stream("GET", file.href, headers={**headers, "accept-encoding": "identity"}) as response:
        status = response.status_code
        if status in (404, 410):
            raise NotFoundError(f"{file.href} is not there ({status})")
        if status in TRANSIENT_STATUSES:
            raise _AttemptFailedError(f"answers {status}")
        whole = _total_bytes(response)
        if status == 416 and whole is not None and whole == have:
            return _stated_checksum(response)
        if status not in (200, 206):
            raise PermanentError(f"{file.href} answers {status}; check whether its source is open to all")
        if status == 206 and not response.headers.get("content-range", "").startswith(f"bytes {have}-"):
            raise PermanentError(f"{file.href} answers with another part than was asked for")
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
            # As they come: what is gathered to pieces of a size is lost where the answer breaks off.
            for piece in response.iter_raw():
                have += len(piece)
                if limit is not None and have > limit:
                    raise PermanentError(f"{file.href} is longer than {limit:,} bytes, as it should be")
                out.write(piece)
                on_progress(len(piece))
        if limit is not None and have < limit:
            raise _AttemptFailedError(f"ends after {have:,} of {limit:,} bytes")
        return _stated_checksum(response)


class _AttemptFailedError(Exception):
    """One try came to nothing; the next may do better."""


def _total_bytes(response: "httpx.Response") -> int | None:
    """Bytes of the whole file."""
    text = (
        response.headers.get("content-range", "").rpartition("/")[2]
        if response.status_code != 200
        else response.headers.get("content-length", "")
    )
    return int(text) if text.isdecimal() else None


def _stated_checksum(response: "httpx.Response") -> str | None:
    """The checksum that Google's storage states of an object that was put there in one piece."""
    for entry in response.headers.get("x-goog-hash", "").split(","):
        name, _, value = entry.strip().partition("=")
        if name == "md5":
            with suppress(ValueError):
                return f"md5:{base64.b64decode(value).hex()}"
    return None


def _write_version(version_file: Path, response: "httpx.Response") -> None:
    """Remember which version of the file the bytes are of: a weak ETag does not say that they are the same
    (RFC 9110, section 13.1.5)."""
    etag = response.headers.get("etag", "")
    version_file.write_text(
        json.dumps({"version": etag if etag.startswith('"') else response.headers.get("last-modified", "")})
    )


def _read_version(version_file: Path) -> str:
    with suppress(OSError, ValueError):
        found: Any = json.loads(version_file.read_text())
        return str(found.get("version", "")) if isinstance(found, dict) else ""
    return ""


def _copy(file: SourceFile, part: Path, on_progress: ProgressCallback) -> None:
    if not Path(file.href).is_file():
        raise NotFoundError(f"{file.href} is not there any more")
    with Path(file.href).open("rb") as source, part.open("wb") as out:
        while piece := source.read(CHUNK_BYTES):
            out.write(piece)
            on_progress(len(piece))
    if _expected_size(file) not in (None, part.stat().st_size):
        raise TransientError(f"{file.href} was changed while it was copied; say it again")


def _checksum(path: Path, algorithm: str) -> str:
    made = hashlib.new({"sha3-256": "sha3_256"}.get(algorithm, algorithm), usedforsecurity=False)
    with path.open("rb") as opened:
        while piece := opened.read(CHUNK_BYTES):
            made.update(piece)
    return f"{algorithm}:{made.hexdigest()}"


@contextmanager
def _translate_write_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PermanentError(f"{target} cannot be written: {error.strerror}; what has come is kept") from None
