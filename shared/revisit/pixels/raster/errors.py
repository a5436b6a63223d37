"""What an error of GDAL means for us: will the world mend, or not? And addresses without their secrets."""

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from revisit.domain.bands import BandFile
from revisit.errors import PermanentError, TransientError

_END_OF_CODESTREAM = b"\xff\xd9"
"""JPEG 2000 Part 1, A.4.4: the last two bytes."""


def classify_error(file: BandFile, error: Exception, dataset: Any = None) -> PermanentError | TransientError:
    """Judge an error of opening or reading. GDAL says the same of a missing file and a broken server, so the
    server is asked again.

    Args:
        dataset: The open dataset, if it was reading that failed.
    """
    text = _clean_message(str(error.__cause__ or error), file)
    unreadable = PermanentError(
        f"band {file.band} cannot be read as {file.driver} ({text}): {redact_url(file.href)}"
    )
    if not is_remote(file.href):
        if not Path(file.href).is_file():
            return PermanentError(f"the file of band {file.band} is gone: {redact_url(file.href)}")
        return unreadable
    status, size, end = _probe(file.href)
    if status in (0, 408, 425, 429) or status >= 500:
        said = f"answers {status}" if status else "does not answer"
        return TransientError(f"the server of band {file.band} {said}: {redact_url(file.href)}")
    if status >= 300:
        return PermanentError(f"the server of band {file.band} answers {status}: {redact_url(file.href)}")
    if dataset is None or not _is_complete(file, dataset, size, end):
        return unreadable
    return TransientError(f"reading band {file.band} was cut off ({text}): {redact_url(file.href)}")


def redact_url(href: str) -> str:
    """An address without what may be secret in it: user, query, fragment."""
    if not is_remote(href):
        return href
    parts = urlsplit(href)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def is_remote(href: str) -> bool:
    """Whether it is an http address."""
    return href.startswith(("https://", "http://"))


def _clean_message(text: str, file: BandFile) -> str:
    """GDAL's message in one line without the address: that may hold a signature."""
    text = text.replace(f"/vsicurl/{file.href}", "it").replace(file.href, "it")
    text = re.sub(r"\?[^\s'\":,]*", "", text)
    return " ".join(text.split())[:200].rstrip(".")


def _is_complete(file: BandFile, dataset: Any, size: int, end: bytes) -> bool:
    """Whether a remote file is as long as it says: then it was the way that broke."""
    if file.driver == "JP2OpenJPEG":
        return end == _END_OF_CODESTREAM
    height, width = dataset.block_shapes[0]
    for row in range(-(-dataset.height // height)):
        for column in range(-(-dataset.width // width)):
            offset, length = (
                dataset.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", 1) for what in ("OFFSET", "SIZE")
            )
            if int(offset or 0) + int(length or 0) > size:
                return False
    return True


def _probe(url: str) -> tuple[int, int, bytes]:
    """Status, size and last two bytes of an address asked once more, without following redirects; status 0 if
    no answer comes."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=float(os.environ["GDAL_HTTP_CONNECTTIMEOUT"]))
    try:
        connection.request(
            "GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers={"Range": "bytes=-2"}
        )
        answer = connection.getresponse()
        end = answer.read(2) if answer.status == 206 else b""
        return answer.status, int((answer.getheader("Content-Range") or "/0").rpartition("/")[2]), end
    except (OSError, HTTPException, ValueError):
        return 0, 0, b""
    finally:
        connection.close()
