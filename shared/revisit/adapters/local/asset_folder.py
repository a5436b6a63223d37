"""Assets in a folder: each is written to a temporary file and renamed, so it is visible complete or not."""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path

from revisit.adapters.asset_paths import clear_leftovers, split_asset_path, workspace
from revisit.adapters.local.filesystem import link_if_absent
from revisit.atomic_write import fsync_path
from revisit.domain.job import Asset
from revisit.errors import InvalidInputError, NotFoundError, TransientError

WORK_FOLDER = ".work"
"""Folder of unfinished files, below the assets so that a rename is atomic; no asset name starts with a
dot."""


class FolderAssets:
    """`ports.Assets` in one folder, shared by threads and processes."""

    def __init__(self, root: Path) -> None:
        """Open the folder, create it if it does not exist, and remove unfinished files of processes that have
        ended.

        Raises:
            InvalidInputError: The folder cannot be created or written.
        """
        self.root = root
        try:
            (root / WORK_FOLDER).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInputError(
                f"the assets folder {root} cannot be written ({error.strerror}); make it writable, or name "
                "another with --data"
            ) from error
        clear_leftovers(root / WORK_FOLDER)

    def store(self, file: Path, path: str, media_type: str) -> Asset:
        target = self._target(path)
        if not stat.S_ISREG(file.lstat().st_mode):
            raise InvalidInputError(f"{file} is not a file that can be stored")
        with _translate_disk_errors(self.root):
            self._make_folders(target.parent)
            aside = file if file.stat().st_dev == self.root.stat().st_dev else self._copy(file)
            fsync_path(aside)
            link_if_absent(aside, target)  # content-addressed: an existing file is the same
            fsync_path(target.parent)
            for left in {aside, file}:
                left.unlink(missing_ok=True)
            with target.open("rb") as stored:
                digest = file_digest(stored, "sha256").hexdigest()
                size = os.fstat(stored.fileno()).st_size
        return Asset(target.stem, path, media_type, size, digest)

    def locate(self, path: str) -> str:
        return str(self._target(path))

    def read(self, path: str) -> bytes:
        try:
            return self._target(path).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise NotFoundError(f"there is no asset {path!r}") from None
        except OSError as error:
            raise TransientError(
                f"the asset {path!r} below {self.root} cannot be read now: {error.strerror}"
            ) from error

    def remove(self, path: str) -> int:
        target, gone = self._target(path), 0
        try:
            for folder, _, names in os.walk(target, topdown=False):
                gone += sum(_unlink_if_exists(Path(folder, name)) for name in names)
                with contextlib.suppress(OSError):  # another process stores a file there at this moment
                    Path(folder).rmdir()
            gone += not target.is_dir() and _unlink_if_exists(target)
            if gone:
                fsync_path(target.parent)
            return gone
        except OSError as error:
            raise TransientError(
                f"the asset {path!r} below {self.root} cannot be removed now: {error.strerror or error}"
            ) from error

    def workspace(self) -> Path:
        """This thread's folder for unfinished files."""
        with _translate_disk_errors(self.root):
            return workspace(self.root / WORK_FOLDER)

    def signed_url(self, path: str, valid_s: float, name: str = "") -> str | None:
        """None: the API serves the file itself."""
        del valid_s, name
        self._target(path)
        return None

    def _target(self, path: str) -> Path:
        """Path of an asset; never outside the folder, whatever symbolic links it contains."""
        parts = split_asset_path(path)
        target = self.root.joinpath(*parts)
        if target.resolve() != self.root.resolve().joinpath(*parts):
            raise InvalidInputError(
                f"{path!r} contains a symbolic link; assets are stored only below {self.root}"
            )
        return target

    def _make_folders(self, folder: Path) -> None:
        missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for made in missing:
            fsync_path(made.parent)

    def _copy(self, file: Path) -> Path:
        """Copy of a file from another disk."""
        copy = self.workspace() / f"{os.urandom(8).hex()}.copy"
        try:
            return Path(shutil.copyfile(file, copy))
        except OSError:
            copy.unlink(missing_ok=True)
            raise


def _unlink_if_exists(file: Path) -> bool:
    """Remove a file; returns False if another process removed it first."""
    try:
        file.unlink()
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextmanager
def _translate_disk_errors(root: Path) -> Iterator[None]:
    """Whether the error is transient: a full, read-only or failing disk may recover."""
    try:
        yield
    except OSError as error:
        raise TransientError(
            f"an asset could not be stored below {root}: {error.strerror or error}; no part of it is visible"
        ) from error
