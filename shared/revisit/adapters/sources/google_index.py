"""Source google-index:PATH-or-URL: an index.csv.gz of Google's Sentinel-2 bucket, and the products beside it.

The index at the top of the bucket lists L1C, the one in its folder L2 lists L2A.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from revisit.adapters.sources.google_index_download import fetch_bytes, is_url
from revisit.adapters.sources.metadata_file import MAX_BYTES, create_reader
from revisit.domain.bands import BandFiles, SourceFile
from revisit.domain.product import Product
from revisit.domain.product_name import granule_number
from revisit.errors import PermanentError
from revisit.ports.sources import Listing

if TYPE_CHECKING:
    from revisit.adapters.sources.google_index_file import GoogleIndexFile

PUBLIC_BUCKET_URL = "https://storage.googleapis.com/gcp-public-data-sentinel-2/"
"""The public bucket."""


class GoogleIndex:
    """One index, and the tree of products that it lists."""

    announces_all = False

    def __init__(self, location: str) -> None:
        self.location = location
        self.spec = f"google-index:{location}"

    @property
    def root(self) -> str:
        """Prefix of the paths in the index, ending in a slash: its folder, or the parent of a folder L2.

        A local index without a tree beside it lists the products of the public bucket.
        """
        if is_url(self.location):
            folder = self.location.partition("?")[0].rpartition("/")[0]
            return folder.removesuffix("/L2") + "/"
        parent = Path(self.location).absolute().parent
        parent = parent.parent if parent.name == "L2" else parent
        return (
            f"{parent}/"
            if (parent / "tiles").is_dir() or (parent / "L2" / "tiles").is_dir()
            else PUBLIC_BUCKET_URL
        )

    def list_products(
        self,
        state: dict[str, Any],
        missing_mask: Callable[[Any], Any],
        now: datetime,  # noqa: ARG002
    ) -> Listing:
        """Products of the index that the catalog lacks; see `Source.list_products`.

        The state holds the version of the file, its number of rows, and some ids to detect a catalog that
        lost them.
        """
        listing = Listing(batches=iter(()), state=state)
        listing.batches = self._index_file().batches(state, missing_mask, listing)
        return listing

    def check(self) -> None:
        """Check that the file exists and starts like an index; see `Source.check`."""
        self._index_file().check()

    def bands(self, product: Product) -> BandFiles:
        """The band files of a product; see `Source.bands`."""
        from revisit.adapters.sources.safe import bands_of

        root, number = self._require_root(product), granule_number(product.id)
        if is_url(root):
            return bands_of(
                product.href,
                lambda path: fetch_bytes(f"{product.href}/{path}", MAX_BYTES),
                product.tile,
                number,
            )
        return bands_of(product.href, create_reader(Path(product.href), Path(root)), product.tile, number)

    def files(self, product: Product) -> list[SourceFile]:
        """All files of a product; see `Source.files`."""
        from revisit.adapters.sources import safe_files

        root = self._require_root(product)
        if is_url(root):
            return safe_files.list_manifest(
                product.href, lambda path: fetch_bytes(f"{product.href}/{path}", MAX_BYTES)
            )
        resolved_root, folder = Path(root).resolve(), Path(product.href).resolve()
        if not folder.is_relative_to(resolved_root) or not folder.is_dir():
            raise PermanentError(f"{product.href!r} is not a folder below {root}")
        return safe_files.list_folder(folder, lambda path: safe_files.resolve_inside(path, resolved_root))

    def _require_root(self, product: Product) -> str:
        """The root, checked to contain the product.

        Raises:
            PermanentError: The product is outside of it.
        """
        root = self.root
        path = product.href.removeprefix(root)
        if (
            path == product.href
            or any(part in ("", ".", "..") for part in path.split("/"))
            or any(sign in path for sign in "%?#\\")
        ):
            raise PermanentError(f"{product.href!r} is outside {root}, which contains this source's products")
        return root

    def _index_file(self) -> "GoogleIndexFile":
        # Reading bands does not need the packages that parse an index.
        from revisit.adapters.sources.google_index_file import GoogleIndexFile

        return GoogleIndexFile(self.location, self.spec, self.root)
