"""Port for the files that jobs make."""

from pathlib import Path
from typing import Protocol

from revisit.domain.job import Asset


class Assets(Protocol):
    """Files that jobs made, under content-addressed names; visible whole or not at all."""

    def store(self, file: Path, path: str, media_type: str) -> Asset:
        """Move a finished local file in under `path` (relative, '/'-separated). There already: the same
        success.

        Raises:
            TransientError: The disk is full or the store does not answer; nothing is visible.
        """
        ...

    def locate(self, path: str) -> str:
        """Where GDAL reads it: a local path or a /vsigs/ path."""
        ...

    def read(self, path: str) -> bytes:
        """The whole file.

        Raises:
            NotFoundError: There is none.
        """
        ...

    def signed_url(self, path: str, valid_s: float, name: str = "") -> str | None:
        """An address that lets its bearer read this one asset for a while; None where the API hands it out
        itself.

        Whoever asks has been found to have a right to it. The address is a secret: it is not written into a
        log.

        Args:
            seconds: How long it holds, a day at most.
            name: What the file is called where it is saved.

        Raises:
            TransientError: Whoever signs it does not answer.
            PermanentError: The account may not sign.
        """
        ...

    def remove(self, path: str) -> int:
        """Take a file, or all that lies below a folder, away for good; returns how many files. What is not
        there is gone already.

        Raises:
            TransientError: The disk fails or the store does not answer; some may be gone.
        """
        ...

    def workspace(self) -> Path:
        """A local folder for unfinished files, on the same disk where there is one; left-overs are cleared at
        start."""
        ...
