"""Source folder:PATH: a static STAC catalog, STAC items, SAFE products, or a mix of them.

The folder is walked instead of the catalog's links, so that items without a root are found and no link leads
out.
"""

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from revisit.adapters.sources import (
    catalog_links,
    image_files,
    item_file,
    metadata_file,
    safe,
    safe_files,
    stac_assets,
    stac_item,
    tiff_tags,
)
from revisit.adapters.sources.allowed_hosts import require_allowed_url
from revisit.adapters.sources.batches import ProductOrRejection, batch_unseen, record_left_out
from revisit.adapters.sources.file_watch import FileWatch
from revisit.adapters.sources.folder_removals import FolderRemovals
from revisit.adapters.sources.folder_walk import Directory, may_hold_items, walk
from revisit.adapters.sources.image_files import FilesState, safe_files_state, stat_files
from revisit.domain.bands import BandFiles, SourceFile
from revisit.domain.product import Product
from revisit.domain.product_name import granule_number
from revisit.errors import PermanentError
from revisit.ports.sources import Listing

MAX_WITNESSES = 8
"""Ids of the last listing that are kept to detect a catalog that lost them."""


class Folder:
    """Products below a local folder; a further listing reads only directories that changed."""

    announces_all = True

    def __init__(self, path: str) -> None:
        self.root = Path(path)
        self.spec = f"folder:{path}"
        self._resolved_root = Path(os.path.realpath(path))
        self._latest_file: tuple[Any, dict[str, list[Path]]] = None, {}

    def list_products(
        self,
        state: dict[str, Any],
        missing_mask: "Callable[[Any], Any]",
        now: datetime,
    ) -> Listing:
        """Products of directories that changed since the previous listing; see `Source.list_products`.

        The state holds for each directory a digest, a count and whether it has copies of products known
        from elsewhere, and some ids to detect a catalog that lost them.
        A product whose files are gone is removed; not where the folder is empty, or one below it where
        products were, for then its disk may not be mounted.
        """
        self.check()
        listing = Listing(batches=iter(()))
        witnesses = state.get("witnesses", [])
        known = bool(witnesses) and not any(missing_mask(witnesses))
        watch = FileWatch(state.get("watched", {}) if known else {}, self, now)
        entries = list(walk(self.root))
        directories = {
            os.fspath(entry.path.relative_to(self.root)): entry
            for entry in entries
            if isinstance(entry, Directory)
        }
        previous: dict[str, list[Any]] = state.get("read", {})
        removals = FolderRemovals(
            self.root,
            previous,
            directories,
            (
                key
                for key, directory in directories.items()
                if not directory.is_product and previous.get(key, [""])[0] != directory.digest
            ),
            (entry[0] for entry in entries if not isinstance(entry, Directory)),
            check_all=not state.get("notes_removals"),
        )
        if not directories and not removals.kept:
            self._check_not_emptied(state)
        listing.is_gone = removals.is_gone if removals.is_needed else None
        rejected = [entry for entry in entries if not isinstance(entry, Directory)]
        rejected += [
            (
                folder,
                f"the folder is empty, but had {rows} products; check that its disk is mounted, or delete it",
            )
            for folder, rows in removals.emptied_folders()
        ]
        listing.state = {
            "read": {},
            "rows": 0,
            "witnesses": witnesses if known else [],
            "notes_removals": True,
        }
        listing.batches = batch_unseen(
            chain(
                rejected,
                self._read_changed(
                    directories, previous if known else {}, removals, listing, watch, missing_mask
                ),
            ),
            missing_mask,
            listing,
            partial(
                self._end_listing,
                state,
                listing,
                missing_mask,
                witnesses if known and removals.is_needed else [],
            ),
        )
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
        return self._item_bands(path, item_file.read_item_of(path, product), compare_tags=True)

    def files(self, product: Product) -> list[SourceFile]:
        """All files of a product; see `Source.files`."""
        path = self._resolve_inside(Path(product.href))
        if path.is_dir():
            return safe_files.list_folder(path, self._resolve_inside)
        item = item_file.read_item_of(path, product)
        return stac_assets.files(item, lambda href: self._resolve_href(path, href))

    def _safe_bands(self, root: Path, product: Product) -> BandFiles:
        files = safe.bands_of(
            os.fspath(root),
            metadata_file.create_reader(root, root),
            product.tile,
            granule_number(product.id),
            self._exists_in(root),
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

    def _exists_in(self, root: Path) -> Callable[[str], bool]:
        return lambda path: _is_file(root / path)

    def _item_bands(self, path: Path, item: dict[str, Any], compare_tags: bool = False) -> BandFiles:
        return stac_assets.require_bands(
            stac_assets.band_files(
                item, lambda href: self._resolve_href(path, href), tiff_tags.read_statement, compare_tags
            ),
            path.name,
        )

    # ---- listing

    def _read_changed(
        self,
        directories: dict[str, Directory],
        previous: dict[str, list[Any]],
        removals: FolderRemovals,
        listing: Listing,
        watch: FileWatch,
        missing_mask: "Callable[[Any], Any]",
    ) -> Iterator[ProductOrRejection]:
        current: dict[str, list[Any]] = listing.state["read"]
        for key, entry in removals.kept.items():
            listing.rows += entry[1]
            current[key] = entry
        seen: set[str] = set()
        for key, directory in directories.items():
            digest, rows, *copies = previous.get(key, ("", 0))
            # Where a product was removed, a copy of it that was passed over takes its place.
            if digest == directory.digest and not (copies and removals.is_needed):
                listing.rows += rows
                current[key] = [digest, rows, *copies]
                continue
            rejections, ids, has_copy = listing.rejection_count, [], False
            for found in self._read_directory(directory, listing):
                if isinstance(found, Product):
                    ids.append(found.id)
                    has_copy |= found.id in seen
                    seen.add(found.id)
                    watch.see(
                        found,
                        partial(self._is_known, digest, missing_mask, found),
                        was_rewritten=bool(digest) and directory.is_product,
                    )
                    listing.state["witnesses"] = [*listing.state["witnesses"], found.id][-MAX_WITNESSES:]
                yield found
            if listing.rejection_count == rejections:
                is_new = bool(copies or (previous and key not in previous))
                has_copy |= is_new and not all(missing_mask(ids))
                current[key] = [directory.digest, len(ids), *([True] if has_copy else [])]
                removals.read_ids[key] = set(ids)
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
        found = self._read_safe(path) if path.is_dir() else self._read_items(path, Listing(iter(())))
        return next((each for each in found if isinstance(each, Product) and each.id == id), None)

    def state_of(self, id: str, href: str) -> FilesState:
        """The state of a product's files; see `WatchedFiles`."""
        path = Path(href)
        if path.is_dir():
            return safe_files_state(path)
        images = self._item_images(path, id)
        return stat_files([path, *images], {image.parent for image in images})

    def faults_of(self, id: str, href: str, tile: str, since: datetime) -> str:
        """Which images of a product are missing, empty or cut off; see `WatchedFiles`."""
        path = Path(href)
        if not path.is_dir():
            return image_files.faults_of(self._item_images(path, id), since)
        read = metadata_file.create_reader(path, path)
        images = [path / image for image in safe.image_paths(href, read, tile, self._exists_in(path))]
        return image_files.faults_of(filter(self._is_inside, images), since)

    def _item_images(self, file: Path, id: str) -> list[Path]:
        """The images that the item of a product names, beside the file that holds it."""
        try:
            status = file.stat()
            mark = (file, status.st_size, status.st_mtime_ns)
        except OSError:
            mark = (file, 0, 0)
        if self._latest_file[0] != mark:
            # Listed once a file, for it may hold thousands of items.
            self._latest_file = mark, self._list_item_images(file)
        return self._latest_file[1].get(id, [])

    def _list_item_images(self, file: Path) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for item in item_file.read_items(file):
            if stac_item.is_item(item):
                images = [file.parent / href for href in stac_assets.relative_image_hrefs(item)]
                found.setdefault(str(item.get("id")).removesuffix(".SAFE"), []).extend(
                    filter(self._is_inside, images)
                )
        return found

    def _is_inside(self, path: Path) -> bool:
        try:
            return bool(self._resolve_inside(path))
        except PermanentError:
            return False

    def _end_listing(
        self,
        state: dict[str, Any],
        listing: Listing,
        missing_mask: "Callable[[Any], Any]",
        witnesses: list[str],
    ) -> None:
        if not listing.rows:
            self._check_not_emptied(state)
        listing.state["rows"] = listing.rows
        # A product that was removed is no witness.
        missing = missing_mask(witnesses) if witnesses else ()
        gone = {id for id, is_missing in zip(witnesses, missing, strict=True) if is_missing}
        listing.state["witnesses"] = [id for id in listing.state["witnesses"] if id not in gone]

    def _check_not_emptied(self, state: dict[str, Any]) -> None:
        if state.get("rows"):
            raise PermanentError(
                f"{self.root} is empty, but had {state['rows']} products before; "
                "check that its disk is mounted"
            )

    def _read_directory(self, directory: Directory, listing: Listing) -> Iterator[ProductOrRejection]:
        if directory.is_product:
            yield from self._read_safe(directory.path)
            return
        for path in sorted(path for path in directory.path.iterdir() if may_hold_items(path.name)):
            yield from self._read_items(path, listing)

    def _read_items(self, path: Path, listing: Listing) -> Iterator[ProductOrRejection]:
        name = os.fspath(path.relative_to(self.root))
        try:
            file = self._resolve_inside(path)
            items = item_file.read_items(file)
            unread = catalog_links.reason_unread(file, self._resolved_root) if not items else None
        except PermanentError as reason:
            yield name, str(reason)
            return
        if unread:
            yield name, unread
        for item in items:
            if stac_item.is_item(item) and not stac_item.is_sentinel_2(item):
                continue
            try:
                item_file.require_item(item)
                product = stac_item.product_of(item, self.spec, os.fspath(path))
                record_left_out(listing, product.id, self._item_bands(path, item))
                yield product
            except PermanentError as reason:
                yield f"{name}#{item.get('id')}" if len(items) > 1 else name, str(reason)

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


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
