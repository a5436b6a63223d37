"""A file of a source brought to this computer: gone on with where it was cut off, and only called complete once it is what it should be."""

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
from revisit.errors import GiveUp, NotFound, Retry

if TYPE_CHECKING:
    import httpx

CONNECT_S, READ_S = 10.0, 60.0
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Between tries that got nothing; one that got something begins anew."""
TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
PIECE = 1 << 20

type Told = Callable[[int], None]
"""Told how many bytes more are there; less than nothing where some are given up."""


def fetch(file: SourceFile, target: Path, told: Told = lambda _: None, wait: Callable[[float], None] = sleep) -> bool:
    """Bring a file; what is there in full stays as it is.

    Args:
        target: Where it goes; beside it, while it is unfinished, lies a file of the same name and `.part`.
        told: Told of the bytes as they come.
        wait: Lets seconds pass between two tries.

    Returns:
        Whether anything was brought.

    Raises:
        NotFound: The source has no such file.
        Retry: It does not answer; what came is kept.
        GiveUp: It is not what the source says it is, or cannot be written.
    """
    if _whole(file, target):
        told(target.stat().st_size)
        return False
    part, mark = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.href.startswith(("https://", "http://")):
            stated = _downloaded(file, part, mark, told, wait)
        else:
            stated = None
            _copied(file, part, told)
        for checksum in (file.checksum, stated):
            if checksum and _checksum(part, checksum.partition(":")[0]) != checksum:
                part.unlink()
                mark.unlink(missing_ok=True)
                raise GiveUp(f"{file.href} is not what its source says: the checksum is not {checksum}; it was removed, try again")
        with part.open("rb") as opened:
            os.fsync(opened.fileno())
        part.replace(target)
        mark.unlink(missing_ok=True)
    return True


def _size(file: SourceFile) -> int | None:
    """Bytes it must have. Manifests of 2018 state sizes that are wrong beside checksums that are right (MTD_MSIL2A.xml: 892 instead of 52,056)."""
    return None if file.checksum else file.size


def _whole(file: SourceFile, target: Path) -> bool:
    """Whether it is there already: of the right size, and of the right checksum where one is known."""
    if not target.is_file() or (file.size is None and file.checksum is None):
        return False
    if _size(file) not in (None, target.stat().st_size):
        return False
    return not file.checksum or _checksum(target, file.checksum.partition(":")[0]) == file.checksum


def _downloaded(file: SourceFile, part: Path, mark: Path, told: Told, wait: Callable[[float], None]) -> str | None:
    """Bring the rest of a file, try after try; returns the checksum that the server states."""
    import httpx

    tries, reason = 0, ""
    if part.is_file():
        told(part.stat().st_size)
    with httpx.Client(timeout=httpx.Timeout(READ_S, connect=CONNECT_S), follow_redirects=False, headers={"user-agent": "revisit"}) as client:
        while tries <= len(WAITS_S):
            before = part.stat().st_size if part.is_file() else 0
            try:
                return _rest(client, file, part, mark, told)
            except httpx.TransportError as error:
                reason = f"breaks off ({type(error).__name__})"
            except _Busy as busy:
                reason = str(busy)
            after = part.stat().st_size if part.is_file() else 0
            tries = 0 if after > before else tries + 1
            if tries <= len(WAITS_S):
                wait(WAITS_S[max(tries - 1, 0)])
    raise Retry(f"{file.href} {reason}; what has come is kept, say it again to go on")


def _rest(client: "httpx.Client", file: SourceFile, part: Path, mark: Path, told: Told) -> str | None:
    """One try to bring what is missing."""
    have, version = part.stat().st_size if part.is_file() else 0, _version(mark)
    headers = {"range": f"bytes={have}-", "if-range": version} if have and version else {}
    if not headers and have:
        # Nothing says that the rest would be of the same file.
        told(-have)
        have = 0
    with client.stream("GET", file.href, headers={**headers, "accept-encoding": "identity"}) as response:
        status = response.status_code
        if status in (404, 410):
            raise NotFound(f"{file.href} is not there ({status})")
        if status in TRANSIENT:
            raise _Busy(f"answers {status}")
        whole = _total(response)
        if status == 416 and whole is not None and whole == have:
            return _stated(response)
        if status not in (200, 206):
            raise GiveUp(f"{file.href} answers {status}; check whether its source is open to all")
        if status == 206 and not response.headers.get("content-range", "").startswith(f"bytes {have}-"):
            raise GiveUp(f"{file.href} answers with another part than was asked for")
        if status == 200 and have:
            told(-have)
            have = 0
        size = _size(file)
        if size is not None and whole is not None and whole != size:
            raise GiveUp(f"{file.href} has {whole:,} bytes, and its source says {size:,}")
        _note(mark, response)
        limit = whole if whole is not None else size
        with part.open("r+b" if have else "wb") as out:
            out.seek(have)
            out.truncate()
            # As they come: what is gathered to pieces of a size is lost where the answer breaks off.
            for piece in response.iter_raw():
                have += len(piece)
                if limit is not None and have > limit:
                    raise GiveUp(f"{file.href} is longer than {limit:,} bytes, as it should be")
                out.write(piece)
                told(len(piece))
        if limit is not None and have < limit:
            raise _Busy(f"ends after {have:,} of {limit:,} bytes")
        return _stated(response)


class _Busy(Exception):
    """One try came to nothing; the next may do better."""


def _total(response: "httpx.Response") -> int | None:
    """Bytes of the whole file."""
    text = response.headers.get("content-range", "").rpartition("/")[2] if response.status_code != 200 else response.headers.get("content-length", "")
    return int(text) if text.isdecimal() else None


def _stated(response: "httpx.Response") -> str | None:
    """The checksum that Google's storage states of an object that was put there in one piece."""
    for entry in response.headers.get("x-goog-hash", "").split(","):
        name, _, value = entry.strip().partition("=")
        if name == "md5":
            with suppress(ValueError):
                return f"md5:{base64.b64decode(value).hex()}"
    return None


def _note(mark: Path, response: "httpx.Response") -> None:
    """Remember which version of the file the bytes are of: a weak ETag does not say that they are the same (RFC 9110, section 13.1.5)."""
    etag = response.headers.get("etag", "")
    mark.write_text(json.dumps({"version": etag if etag.startswith('"') else response.headers.get("last-modified", "")}))


def _version(mark: Path) -> str:
    with suppress(OSError, ValueError):
        found: Any = json.loads(mark.read_text())
        return str(found.get("version", "")) if isinstance(found, dict) else ""
    return ""


def _copied(file: SourceFile, part: Path, told: Told) -> None:
    if not Path(file.href).is_file():
        raise NotFound(f"{file.href} is not there any more")
    with Path(file.href).open("rb") as source, part.open("wb") as out:
        while piece := source.read(PIECE):
            out.write(piece)
            told(len(piece))
    if _size(file) not in (None, part.stat().st_size):
        raise Retry(f"{file.href} was changed while it was copied; say it again")


def _checksum(path: Path, algorithm: str) -> str:
    made = hashlib.new({"sha3-256": "sha3_256"}.get(algorithm, algorithm), usedforsecurity=False)
    with path.open("rb") as opened:
        while piece := opened.read(PIECE):
            made.update(piece)
    return f"{algorithm}:{made.hexdigest()}"


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GiveUp(f"{target} cannot be written: {error.strerror}; what has come is kept") from None
