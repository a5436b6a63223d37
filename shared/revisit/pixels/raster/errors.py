"""What a GDAL error means: transient or permanent."""

import re
from pathlib import Path
from typing import Any

from revisit.domain.bands import BandFile
from revisit.errors import PermanentError, TransientError
from revisit.pixels.raster.http_ranges import RangeClient
from revisit.pixels.raster.http_settings import HttpSettings
from revisit.pixels.raster.urls import is_remote, redact_url

_END_OF_CODESTREAM = b"\xff\xd9"
"""JPEG 2000 Part 1, A.4.4: the last two bytes."""


def classify_error(file: BandFile, error: Exception, dataset: Any = None) -> PermanentError | TransientError:
    """Classify an error of opening or reading a band.

    GDAL raises the same error for a missing file and for a failing server, so the server is requested once
    more.

    Args:
        dataset: The open rasterio dataset if reading failed; None if opening failed.
    """
    from revisit.net.retry import is_transient_status

    text = _clean_message(str(error.__cause__ or error), file)
    unreadable = PermanentError(
        f"band {file.band} cannot be read as {file.driver} ({text}): {redact_url(file.href)}"
    )
    if not is_remote(file.href):
        if not Path(file.href).is_file():
            return PermanentError(f"the file of band {file.band} does not exist: {redact_url(file.href)}")
        return unreadable
    with RangeClient(HttpSettings.from_environment()) as client:
        status, size, end = client.probe(file.href)
    if status == 0 or is_transient_status(status):
        reason = f"answers {status}" if status else "does not answer"
        return TransientError(f"the server of band {file.band} {reason}: {redact_url(file.href)}")
    if status >= 300:
        return PermanentError(f"the server of band {file.band} answers {status}: {redact_url(file.href)}")
    if dataset is None or not _is_complete(file, dataset, size, end):
        return unreadable
    return TransientError(f"reading band {file.band} was cut off ({text}): {redact_url(file.href)}")


def _clean_message(text: str, file: BandFile) -> str:
    """GDAL's message in one line, without the URL and its query: those may hold a signature."""
    text = text.replace(f"/vsicurl/{file.href}", "it").replace(file.href, "it")
    text = re.sub(r"\?[^\s'\"]*", "", text)
    return " ".join(text.split())[:200].rstrip(".")


def _is_complete(file: BandFile, dataset: Any, size: int, end: bytes) -> bool:
    """Whether a remote file is as long as its header says; if so, the transfer failed and not the file."""
    if file.driver == "JP2OpenJPEG":
        return end == _END_OF_CODESTREAM
    height, width = dataset.block_shapes[0]
    for row in range(-(-dataset.height // height)):
        for column in range(-(-dataset.width // width)):
            offset, length = (
                dataset.get_tag_item(f"BLOCK_{item}_{column}_{row}", "TIFF", 1) for item in ("OFFSET", "SIZE")
            )
            if int(offset or 0) + int(length or 0) > size:
                return False
    return True
