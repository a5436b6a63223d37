"""Products of earlier listings that a folder no longer has.

An unmounted disk must not empty the catalog: it leaves an empty folder, or one that may not be read. What
was below such a folder is kept, and the listing says so.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from revisit.domain.product import Product


class FolderRemovals:
    """What has changed since the previous listing, by directories relative to the source's folder."""

    def __init__(
        self,
        root: Path,
        previous: Mapping[str, list[Any]],
        found: Iterable[str],
        rewritten: Iterable[str],
        unread: Iterable[str],
        check_all: bool,
    ) -> None:
        """
        Args:
            root: Folder of the source.
            previous: Directories of the previous listing with their digests and numbers of products.
            found: Directories with metadata that are there now.
            rewritten: Those of them with items that are read again.
            unread: Paths that the listing could not read.
            check_all: Whether to ask about every product, where the previous listing noted no directories.
        """
        self._root, self._unread = root, frozenset(unread)
        self._check_all = check_all
        self._rewritten = frozenset(rewritten) & previous.keys()
        self._is_emptied: dict[Path, bool] = {}
        missing = previous.keys() - set(found)
        self.kept = {key: previous[key] for key in missing if self._is_kept(root / key)}
        """Directories that are missing only because a disk or a permission is."""
        self._gone = missing - self.kept.keys()
        self.read_ids: dict[str, set[str]] = {}
        """Ids of the products in directories that have been read completely since."""

    @property
    def is_needed(self) -> bool:
        """Whether any product may be gone."""
        return bool(self._check_all or self._gone or self._rewritten)

    def is_gone(self, product: Product) -> bool:
        """Whether the folder had a product that it has no more."""
        path = Path(product.href)
        if not path.is_relative_to(self._root):
            return False
        key = os.fspath(path.relative_to(self._root))
        parent = os.fspath(path.parent.relative_to(self._root)) if key != "." else ""
        if key in self._gone:
            return True
        if not (self._check_all or parent in self._gone or parent in self._rewritten):
            return False
        if not path.exists():
            return not self._is_kept(path)
        return path.is_file() and product.id not in self.read_ids.get(parent, {product.id})

    def emptied_folders(self) -> list[tuple[str, int]]:
        """Empty folders below which there were products, and how many."""
        counts: dict[Path, int] = {}
        for key, (_, rows, *_) in self.kept.items():
            if (folder := self._nearest_folder(self._root / key)) and self._is_empty(folder):
                counts[folder] = counts.get(folder, 0) + rows
        return [(os.fspath(folder.relative_to(self._root)), rows) for folder, rows in sorted(counts.items())]

    def _is_kept(self, path: Path) -> bool:
        above = [path, *path.parents]
        if any(self._is_unread(folder) for folder in above):
            return True
        folder = self._nearest_folder(path)
        return folder is not None and self._is_empty(folder)

    def _is_unread(self, path: Path) -> bool:
        return path.is_relative_to(self._root) and os.fspath(path.relative_to(self._root)) in self._unread

    def _nearest_folder(self, path: Path) -> Path | None:
        """The nearest folder that exists below the root."""
        while path != self._root:
            if path.is_dir():
                return path
            path = path.parent
        return None

    def _is_empty(self, folder: Path) -> bool:
        if folder not in self._is_emptied:
            self._is_emptied[folder] = not any(folder.iterdir())
        return self._is_emptied[folder]
