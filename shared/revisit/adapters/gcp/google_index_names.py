"""google-index:gs://BUCKET/...: an index of Google's that BigQuery itself loads from its bucket; the products are read as those of any other."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from revisit.adapters.gcp.settings import Settings
from revisit.adapters.sources.google_index import GoogleIndex
from revisit.domain.bands import BandFile, SourceFile
from revisit.domain.product import Product
from revisit.errors import BadInput
from revisit.ports.sources import Listing

KIND = "google-index:"
HOST = "https://storage.googleapis.com/"
"""Where an object is read by an address of its own."""
_URI = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[^/*?#\[\]\s]+)+")
"""Not one of several objects: what `*` stands for has no one generation."""


def is_bucket_index(spec: str) -> bool:
    """Whether a SPEC names an index by its place in a bucket."""
    return spec.strip().startswith(f"{KIND}gs://")


class BucketIndex:
    """`ports.Source` on one object; its listing needs BigQuery, and its bands do not."""

    announces_all = False

    def __init__(self, settings: Settings, spec: str) -> None:
        """
        Raises:
            BadInput: The SPEC names no object.
        """
        self.spec = spec.strip()
        self.uri = self.spec.removeprefix(KIND)
        if not _URI.fullmatch(self.uri):
            raise BadInput(f"{self.uri!r} is not an index in a bucket; write gs://BUCKET/PATH/index.csv.gz")
        self._settings = settings
        self._read = GoogleIndex(HOST + self.uri.removeprefix("gs://"))

    def listing(self, state: dict[str, Any], unseen: Callable[[Any], Any], now: datetime) -> Listing:  # noqa: ARG002
        """What the index has and the catalog lacks; see `Source.listing`. Which that is, BigQuery finds out without being asked id by id."""
        from revisit.adapters.gcp.google_index_load import BigQueryIndex
        from revisit.adapters.gcp.google_index_object import IndexObject

        listing = Listing(batches=iter(()), state=state)
        listing.batches = BigQueryIndex(self._settings, IndexObject(self._settings, self.uri), self.spec, self._read.root).batches(state, listing, now)
        return listing

    def check(self) -> None:
        """Whether the object is there and begins as an index does; see `Source.check`."""
        from revisit.adapters.gcp.google_index_object import IndexObject

        file = IndexObject(self._settings, self.uri)
        file.columns(file.generation())

    def bands(self, product: Product) -> dict[str, BandFile]:
        """The band files of a product; see `Source.bands`."""
        return self._read.bands(product)

    def files(self, product: Product) -> list[SourceFile]:
        """All files of a product; see `Source.files`."""
        return self._read.files(product)
