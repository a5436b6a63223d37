"""Source folder:PATH: a static STAC catalog, STAC items, SAFE products, or a mix of them.

The folder is walked instead of the catalog's links, so that items without a root are found and no link leads
out.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from revisit.adapters.sources import image_files, metadata_file, safe, safe_files, stac_item, tiff_tags
from revisit.adapters.sources.allowed_hosts import require_allowed_url
from revisit.adapters.sources.batches import ProductOrRejection, batch_unseen
from revisit.adapters.sources.file_watch import FileWatch
from revisit.adapters.sources.image_files import FilesState, safe_files_state, stat_files
from revisit.domain.bands import BandFiles, SourceFile
from revisit.domain.product import Product
from revisit.domain.product_name import granule_number
from revisit.errors import PermanentError, TransientError
from revisit.ports.sources import Listing

MAX_WITNESSES = 8
"""Ids of the last listing that are kept to detect a catalog that lost them."""

_ZIP_NAME = re.compile(r"S2[A-Z]_\S+\.zip")


@dataclass(frozen=True, slots=True)
class _Directory:
    """One directory with metadata files."""

    path: Path
    is_product: bool
    """Whether it is a SAFE product; otherwise its JSON files may be items."""
    digest: str
    """Changes when a metadata file in it is added, removed or written."""


class Folder:
    """Products below a local folder; a further listing reads only directories that changed."""

    announces_all = True

    def __init__(self, path: str) -> None:
        self.root = Path(path)
        self.spec = f"folder:{path}"
        self._resolved_root = Path(os.path.realpath(path))

    def list_products(
        self,
        state: dict[str, Any],
        missing_mask: "Callable[[Any], Any]",
        now: datetime,
    ) -> Listing:
        """Products of directories that changed since the previous listing; see `Source.list_products`.

        The state holds a digest and a count per directory, and some ids to detect a catalog that lost them.
        """
        self.check()
        listing = Listing(batches=iter(()), state={})
        witnesses = state.get("witnesses", [])
        known = bool(witnesses) and not any(missing_mask(witnesses))
        watch = FileWatch(state.get("watched", {}) if known else {}, self, now)
        entries = self._read_changed(
            state.get("read", {}) if known else {}, witnesses if known else [], listing, watch, missing_mask
        )
        listing.batches = batch_unseen(entries, missing_mask, listing, self._empty_check(state, listing))
        return listing

    def check(self) -> None:
        """Check that the folder exists and is readable; see `Source.check`."""
        if not self.root.is_dir():
            raise PermanentError(f"there is no folder {self.root}; create it or name another")
        if not os.access(self.root, os.R_OK | os.X_OK):
            raise PermanentError(f"the folder {self.root} is not readable; grant this user access")

    def bands(self, product: Product) -> BandFiles:
        """The band files of a product; see `Source.bands`."""
        path = self._resolve_inside(Path(product.href))
        if path.is_dir():
            return self._safe_bands(path, product)
        item = metadata_file.read_json(path)
        if not stac_item.is_item(item):
            raise PermanentError(f"{path} is no longer a STAC item")
        return self._item_bands(path, item, compare_tags=True)

    def files(self, product: Product) -> list[SourceFile]:
        """All files of a product; see `Source.files`."""
        path = self._resolve_inside(Path(product.href))
        if path.is_dir():
            return safe_files.list_folder(path, self._resolve_inside)
        item = metadata_file.read_json(path)
        if not stac_item.is_item(item):
            raise PermanentError(f"{path} is no longer a STAC item")
        return stac_item.files(item, lambda href: self._resolve_href(path, href))

    def _safe_bands(self, root: Path, product: Product) -> BandFiles:
        files = safe.bands_of(
            os.fspath(root),
            metadata_file.create_reader(root, root),
            product.tile,
            granule_number(product.id),
            lambda path: _is_file(root / path),
        )
        missing = {
            band: f"its image {Path(file.href).relative_to(root)} is missing"
            for band, file in files.items()
            if not _is_file(self._resolve_inside(Path(file.href)))
        }
        existing = {band: file for band, file in files.items() if band not in missing}
        if not existing:
            raise PermanentError(f"none of the image files of {root.name} exists")
        return BandFiles(existing, missing)

    def _item_bands(self, path: Path, item: dict[str, Any], compare_tags: bool = False) -> BandFiles:
        return stac_item.require_bands(
            stac_item.band_files(
                item, lambda href: self._resolve_href(path, href), tiff_tags.read_statement, compare_tags
            ),
            path.name,
        )

    # ---- listing

    def _read_changed(
        self,
        previous: dict[str, list[Any]],
        witnesses: list[str],
        listing: Listing,
        watch: FileWatch,
        missing_mask: "Callable[[Any], Any]",
    ) -> Iterator[ProductOrRejection]:
        current: dict[str, list[Any]] = {}
        seen: set[str] = set()
        listing.state = {"read": current, "rows": 0, "witnesses": list(witnesses)}
        for directory in self._directories():
            if not isinstance(directory, _Directory):
                yield directory
                continue
            key = os.fspath(directory.path.relative_to(self.root))
            digest, rows = previous.get(key, ("", 0))
            if digest == directory.digest:
                listing.rows += rows
                current[key] = [digest, rows]
                continue
            rejections, rows = listing.rejection_count, 0
            for found in self._read_directory(directory):
                if isinstance(found, Product):
                    rows += 1
                    seen.add(found.id)
                    watch.see(
                        found,
                        partial(self._is_known, digest, missing_mask, found),
                        was_rewritten=bool(digest) and directory.is_product,
                    )
                    listing.state["witnesses"] = [*listing.state["witnesses"], found.id][-MAX_WITNESSES:]
                yield found
            if listing.rejection_count == rejections:
                current[key] = [directory.digest, rows]
        watch.recheck(seen)
        listing.state["watched"] = watch.state
        listing.held = frozenset(id for id, entry in watch.state.items() if entry["held"])
        listing.incomplete = {id: entry["faults"] for id, entry in watch.state.items() if entry["faults"]}
        listing.announcements = watch.announcements

    @staticmethod
    def _is_known(digest: str, missing_mask: "Callable[[Any], Any]", product: Product) -> bool:
        """Whether the catalog has a product; no product of a directory that was never read is known."""
        return bool(digest) and not missing_mask([product.id])[0]

    def product_at(self, id: str, href: str) -> Product | None:
        """A product that is still there; see `WatchedFiles`."""
        path = Path(href)
        found = self._read_safe(path) if path.is_dir() else self._read_item(path)
        return next((each for each in found if isinstance(each, Product) and each.id == id), None)

    def state_of(self, href: str) -> FilesState:
        """The state of a product's files; see `WatchedFiles`."""
        path = Path(href)
        if path.is_dir():
            return safe_files_state(path)
        images = self._item_images(path)
        return stat_files([path, *images], {image.parent for image in images})

    def faults_of(self, href: str, tile: str, since: datetime) -> str:
        """Which images of a product are missing, empty or cut off; see `WatchedFiles`."""
        path = Path(href)
        if not path.is_dir():
            return image_files.faults_of(self._item_images(path), since)
        read = metadata_file.create_reader(path, path)
        images = [path / image for image in safe.image_paths(href, read, tile)]
        return image_files.faults_of(filter(self._is_inside, images), since)

    def _item_images(self, item: Path) -> list[Path]:
        hrefs = stac_item.relative_image_hrefs(metadata_file.read_json(item))
        return [path for href in hrefs if self._is_inside(path := item.parent / href)]

    def _is_inside(self, path: Path) -> bool:
        try:
            return bool(self._resolve_inside(path))
        except PermanentError:
            return False

    def _empty_check(self, state: dict[str, Any], listing: Listing) -> Callable[[], None]:
        def check() -> None:
            if not listing.rows and state.get("rows"):
                raise PermanentError(
                    f"{self.root} is empty, but had {state['rows']} products before; "
                    "check that its disk is mounted"
                )
            listing.state["rows"] = listing.rows

        return check

    def _directories(self) -> Iterator[_Directory | tuple[str, str]]:
        unreadable: list[str] = []

        def fail(error: OSError) -> None:
            if isinstance(error, PermissionError) and error.filename != os.fspath(self.root):
                unreadable.append(error.filename)
            elif not isinstance(error, FileNotFoundError):
                raise TransientError(f"{error.filename} cannot be read: {error.strerror}")

        for directory, inner, files in os.walk(self.root, onerror=fail):
            path = Path(directory)
            for name in [name for name in (*inner, *files) if not _is_utf8(name)]:
                yield _to_text((path / name).relative_to(self.root)), "its name is not UTF-8; rename it"
            inner[:] = sorted(filter(_is_utf8, inner))
            files = list(filter(_is_utf8, files))
            for name in (name for name in inner if (path / name).is_symlink()):
                yield (
                    os.fspath((path / name).relative_to(self.root)),
                    "a link to another folder is not followed; name that folder as a source",
                )
            for name in files:
                if _ZIP_NAME.fullmatch(name):
                    yield (
                        os.fspath((path / name).relative_to(self.root)),
                        "a zipped product is not read; unpack it",
                    )
            if any(safe.is_metadata(name) for name in files):
                inner.clear()
                yield _Directory(
                    path,
                    True,
                    _digest(
                        [path, *(path / name for name in files if safe.is_metadata(name)), path / "GRANULE"]
                    ),
                )
            elif items := sorted(path / name for name in files if name.endswith(".json")):
                yield _Directory(path, False, _digest(items))
        for name in unreadable:
            yield (
                _to_text(Path(os.path.relpath(name, self.root))),
                "the folder is not readable; grant this user access",
            )

    def _read_directory(self, directory: _Directory) -> Iterator[ProductOrRejection]:
        if directory.is_product:
            yield from self._read_safe(directory.path)
            return
        for path in sorted(path for path in directory.path.glob("*.json") if _is_utf8(path.name)):
            yield from self._read_item(path)

    def _read_item(self, path: Path) -> Iterator[ProductOrRejection]:
        try:
            item = metadata_file.read_json(self._resolve_inside(path))
            if stac_item.is_item(item) and stac_item.is_sentinel_2(item):
                product = stac_item.product_of(item, self.spec, os.fspath(path))
                self._item_bands(path, item)
                yield product
        except PermanentError as reason:
            yield os.fspath(path.relative_to(self.root)), str(reason)

    def _read_safe(self, path: Path) -> Iterator[ProductOrRejection]:
        try:
            products = safe.products_of(os.fspath(path), metadata_file.create_reader(path, path), self.spec)
            for product in products:
                self._safe_bands(path, product)
                yield product
        except PermanentError as reason:
            yield os.fspath(path.relative_to(self.root)), str(reason)

    # ---- files

    def _resolve_inside(self, path: Path) -> Path:
        try:
            resolved = path.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise PermanentError(f"{str(path)!r} is not a path that can be resolved: {error}") from None
        if not resolved.is_relative_to(self._resolved_root):
            raise PermanentError(f"{path} leads out of {self.root}")
        return resolved

    def _resolve_href(self, item: Path, href: str) -> str:
        """The file of an href: a relative path inside the folder, or an https URL of a public bucket."""
        if "://" in href:
            return require_allowed_url(href)
        if href.startswith(("/", "~", "\\")) or ":" in href:
            raise PermanentError(f"{href!r} is not a path relative to its item")
        path = self._resolve_inside(item.parent / href)
        if not _is_file(path):
            raise PermanentError(f"{href!r} is missing")
        return os.fspath(path)


def _is_utf8(name: str) -> bool:
    """Whether a file's name is UTF-8; other bytes arrive as lone surrogates (PEP 383)."""
    return not any("\udc80" <= char <= "\udcff" for char in name)


def _to_text(path: Path) -> str:
    return os.fsencode(path).decode(errors="replace")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


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
