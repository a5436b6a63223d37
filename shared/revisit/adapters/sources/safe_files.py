"""Lists the files of a SAFE product, from its folder or from manifest.safe, with sizes and checksums."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from revisit.adapters.sources import metadata_file
from revisit.adapters.sources import strict_xml as xml
from revisit.adapters.sources.safe_metadata import ReadFile, parse_image_name
from revisit.domain.bands import BANDS, SourceFile
from revisit.errors import NotFoundError, PermanentError

MANIFEST = "manifest.safe"
MAX_FILES = 5_000
"""Files of a product; packages from before 2016-12-06 have many tiles."""

_IMAGE = re.compile(r"/IMG_DATA/(?:.*/)?([^/]*)\.(?:jp2|tif)$")
"""Only below IMG_DATA: the names of masks hold band names too."""
_PATH = re.compile(r"(?:\./)?((?:[A-Za-z0-9_\-][A-Za-z0-9._\-]*/)*[A-Za-z0-9_\-][A-Za-z0-9._\-]*)")
_FOLDERS, _TILE_FOLDERS = ("AUX_DATA", "HTML", "rep_info"), ("AUX_DATA", "QI_DATA")
"""Folders of a product and of each granule, which are often empty: Sen2Cor does not start without them."""
_ALGORITHMS = {"MD5": ("md5", 32), "SHA3-256": ("sha3-256", 64), "SHA-256": ("sha256", 64)}


def list_manifest(root: str, read: ReadFile) -> list[SourceFile]:
    """The manifest of a product, the files that it names, and the folders that every product has.

    Args:
        root: URL of the product's folder.
        read: Reads files of the product.

    Raises:
        PermanentError: The manifest is missing or invalid.
    """
    try:
        stated = _read_manifest(read)
    except NotFoundError:
        raise PermanentError(
            f"{root} has no {MANIFEST}, so its files cannot be listed; its bands can still be read"
        ) from None
    files = [
        SourceFile(path, f"{root.rstrip('/')}/{path}", size, checksum, band_of(path))
        for path, (size, checksum) in ({MANIFEST: (None, None)} | stated).items()
    ]
    granules = {"/".join(path.split("/")[:2]) for path in stated if re.match("GRANULE/[^/]+/", path)}
    folders = [*_FOLDERS, *(f"{granule}/{name}" for granule in sorted(granules) for name in _TILE_FOLDERS)]
    return files + [
        SourceFile(f"{folder}/", f"{root.rstrip('/')}/{folder}/", is_folder=True)
        for folder in folders
        if not any(path.startswith(f"{folder}/") for path in stated)
    ]


def list_folder(root: Path, resolve: Callable[[Path], Path]) -> list[SourceFile]:
    """The files in a product's folder, and its folders without files, which Sen2Cor requires.

    Args:
        root: The folder.
        resolve: Follows symbolic links, and refuses those that lead out of the source.
    """
    try:
        stated = _read_manifest(metadata_file.create_reader(root, root))
    except PermanentError:
        stated = {}
    found = []
    for folder, inner, names in os.walk(root):
        inner.sort()
        if not (inner or names) and Path(folder) != root:
            path = os.path.relpath(folder, root)
            found.append(SourceFile(f"{path}/", str(resolve(Path(folder))), is_folder=True))
        for name in sorted(names):
            target = resolve(Path(folder) / name)
            path = os.path.relpath(Path(folder) / name, root)
            if target.is_file() and not any("\udc80" <= sign <= "\udcff" for sign in path):
                found.append(
                    SourceFile(
                        path,
                        str(target),
                        target.stat().st_size,
                        stated.get(path, (None, None))[1],
                        band_of(path),
                    )
                )
        if len(found) > MAX_FILES:
            raise PermanentError(f"{root} has more than {MAX_FILES:,} files, more than a product has")
    return found


def resolve_inside(path: Path, root: Path) -> Path:
    """The file that a path leads to, which must be below a root."""
    resolved = path.resolve()
    if not resolved.is_relative_to(root):
        raise PermanentError(f"{path} leads out of {root}")
    return resolved


def band_of(path: str) -> str | None:
    """The band that a file is the image of, by its name."""
    image = _IMAGE.search(path)
    found = parse_image_name(image[1]) if image else None
    return found[0] if found and found[0] in BANDS else None


def _read_manifest(read: ReadFile) -> dict[str, tuple[int | None, str | None]]:
    """Sizes and checksums by path.

    Raises:
        NotFoundError: The manifest is missing.
        PermanentError: The manifest is invalid.
    """
    root = xml.parse(read(MANIFEST), MANIFEST)
    found: dict[str, tuple[int | None, str | None]] = {}
    for stream in root.iter("byteStream"):
        location, checksum = stream.find("fileLocation"), stream.find("checksum")
        path = _PATH.fullmatch((location.get("href") or "") if location is not None else "")
        if not path:
            raise PermanentError(
                f"{MANIFEST} names a file {(location.get('href') if location is not None else None)!r}, "
                "which is not a path in the product"
            )
        size = stream.get("size") or ""
        name, digits = _ALGORITHMS.get(
            (checksum.get("checksumName") or "").upper() if checksum is not None else "", ("", 0)
        )
        value = (checksum.text or "").strip().lower() if checksum is not None else ""
        found[path[1]] = (
            int(size) if size.isdecimal() and len(size) < 16 else None,
            f"{name}:{value}" if name and re.fullmatch(f"[0-9a-f]{{{digits}}}", value) else None,
        )
        if len(found) > MAX_FILES:
            raise PermanentError(f"{MANIFEST} names more than {MAX_FILES:,} files, more than a product has")
    return found
