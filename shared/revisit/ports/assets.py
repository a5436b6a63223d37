"""Port for the files that jobs make."""

from pathlib import Path
from typing import Protocol

from revisit.domain.job import Asset


class Assets(Protocol):
    """Files of jobs under content-addressed names; a file is visible completely or not at all."""

    def store(self, file: Path, path: str, media_type: str) -> Asset:
        """Move a finished local file to `path` (relative, '/'-separated). Succeeds if it is already there.

        Raises:
            TransientError: The disk is full or the store does not answer; nothing is visible.
        """
        ...

    def locate(self, path: str) -> str:
        """Path for GDAL: a local path or a /vsigs/ path."""
        ...

    def read(self, path: str) -> bytes:
        """The content of a file.

        Raises:
            NotFoundError: There is no such file.
        """
        ...

    def signed_url(self, path: str, valid_s: float, name: str = "") -> str | None:
        """A URL with which anyone can read this asset for some time; None if the API serves the file itself.

        The caller has checked that the user may read it. The URL is a secret and must not be logged.

        Args:
            path: Path of the asset.
            valid_s: Seconds for which the URL is valid, a day at most.
            name: File name for saving it.

        Raises:
            TransientError: The signing service does not answer.
            PermanentError: The account may not sign.
        """
        ...

    def remove(self, path: str) -> int:
        """Delete a file, or everything below a folder; returns the number of files. A missing one counts as
        deleted.

        Raises:
            TransientError: The disk fails or the store does not answer; some files may be deleted.
        """
        ...

    def workspace(self) -> Path:
        """A local folder for unfinished files, on the same disk if possible; left-over files are
        deleted at start."""
        ...
