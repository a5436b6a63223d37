"""Walk through a folder: the directories with metadata below it, and what is not read."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from revisit.adapters.sources import item_file, safe
from revisit.adapters.sources.unread_file import reason_unread
from revisit.errors import TransientError

_PRODUCT_NAME = re.compile(r"S2[A-Z]_\S+\.SAFE")
_ZARR_NAME = re.compile(r"S(02|2[A-Z]_)MSI\S+\.zarr")
"""Folder of a product in the Zarr format of ESA (EOPF)."""
_IMAGE_NAME = re.compile(
    r"((L1C_|L2A_)?T\d{2}[A-Z]{3}_\d{8}T\d{6}_\w{3}(_\d{2}m)?|S2[A-Z]_(MSI|OPER_MSI_|\d{1,2}[A-Z]{3}_\d{8})\S*)"
    r"\.(jp2|tiff?)",
    re.IGNORECASE,
)
"""Image of a band, named as in a product, or after one."""


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory with metadata files."""

    path: Path
    is_product: bool
    """Whether it is a SAFE product; otherwise its JSON files may be items."""
    digest: str
    """Changes when a metadata file in it is added, removed or written."""


def walk(root: Path) -> Iterator[Directory | tuple[str, str]]:
    """Directories with metadata, and paths that are not read with the reasons.

    Raises:
        TransientError: The disk fails.
    """
    unreadable: list[str] = []
    images: dict[Path, list[str]] = {}
    item_folders: list[Path] = []
    incomplete: list[Path] = []

    def fail(error: OSError) -> None:
        if isinstance(error, PermissionError) and error.filename != os.fspath(root):
            unreadable.append(error.filename)
        elif not isinstance(error, FileNotFoundError):
            raise TransientError(f"{error.filename} cannot be read: {error.strerror}")

    for directory, inner, files in os.walk(root, onerror=fail):
        path = Path(directory)
        for name in [name for name in (*inner, *files) if not _is_utf8(name)]:
            yield _to_text((path / name).relative_to(root)), "its name is not UTF-8; rename it"
        inner[:] = sorted(filter(_is_utf8, inner))
        files = list(filter(_is_utf8, files))
        for name in (name for name in inner if (path / name).is_symlink()):
            yield (
                os.fspath((path / name).relative_to(root)),
                "a link to another folder is not followed; name that folder as a source",
            )
        for name in [name for name in inner if _ZARR_NAME.fullmatch(name)]:
            inner.remove(name)
            yield (
                os.fspath((path / name).relative_to(root)),
                "a product in Zarr is not read; copy it in the SAFE format",
            )
        for name in files:
            if reason := reason_unread(path / name):
                yield os.fspath((path / name).relative_to(root)), reason
        if any(safe.is_metadata(name) for name in files):
            inner.clear()
            yield Directory(
                path,
                True,
                _digest([path, *(path / name for name in files if safe.is_metadata(name)), path / "GRANULE"]),
            )
        elif items := sorted(path / name for name in files if may_hold_items(name)):
            item_folders.append(path)
            yield Directory(path, False, _digest(items))
        elif _PRODUCT_NAME.fullmatch(path.name) or ("manifest.safe" in files and "GRANULE" in inner):
            incomplete.append(path)
            yield (
                os.fspath(path.relative_to(root)),
                "the product has no MTD_MSIL1C.xml or MTD_MSIL2A.xml; copy it completely",
            )
        elif found := sorted(filter(_IMAGE_NAME.fullmatch, files)):
            images[path] = found
    for path, names in images.items():
        if not any(path.is_relative_to(product) for product in incomplete) and not _may_be_named(
            path, item_folders, root
        ):
            more = f", nor {len(names) - 1:,} more in its folder" if len(names) > 1 else ""
            yield (
                os.fspath((path / names[0]).relative_to(root)),
                f"an image alone is not read{more}; copy the whole .SAFE folder, or add a STAC item",
            )
    for name in unreadable:
        yield (
            _to_text(Path(os.path.relpath(name, root))),
            "the folder is not readable; grant this user access",
        )


def _may_be_named(images: Path, item_folders: list[Path], root: Path) -> bool:
    """Whether items above images, or beside their folder, may name them."""
    near = images if images == root else images.parent
    return any(images.is_relative_to(folder) or folder.is_relative_to(near) for folder in item_folders)


def may_hold_items(name: str) -> bool:
    """Whether a file of this name may hold STAC items."""
    return _is_utf8(name) and name.lower().endswith(item_file.SUFFIXES)


def _is_utf8(name: str) -> bool:
    """Whether a file's name is UTF-8; other bytes arrive as lone surrogates (PEP 383)."""
    return not any("\udc80" <= char <= "\udcff" for char in name)


def _to_text(path: Path) -> str:
    return os.fsencode(path).decode(errors="replace")


def _digest(paths: list[Path]) -> str:
    """Digest of names, sizes and modification times: one `stat` per file."""
    marks = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        marks.append(f"{path.name}|{status.st_size}|{status.st_mtime_ns}")
    return sha256("\n".join(marks).encode()).hexdigest()[:20]
