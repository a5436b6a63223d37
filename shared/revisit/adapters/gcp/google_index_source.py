"""google-index:gs://BUCKET/...: an index of Google's that BigQuery itself loads from its bucket; the products
are read as those of any other."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from revisit.adapters.gcp.settings import Settings
from revisit.adapters.sources.google_index import GoogleIndex
from revisit.domain.bands import BandFile, SourceFile
from revisit.domain.product import Product
from revisit.errors import InvalidInputError
from revisit.ports.sources import Listing

SPEC_PREFIX = "google-index:"
STORAGE_URL = "https://storage.googleapis.com/"
"""Where an object is read by an address of its own."""
_OBJECT_URI = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[^/*?#\[\]\s]+)+")
"""Not one of several objects: what `*` stands for has no one generation."""


def is_bucket_index(spec: str) -> bool:
    """Whether a SPEC names an index by its place in a bucket."""
    return spec.strip().startswith(f"{SPEC_PREFIX}gs://")


class BucketIndex:
    """`ports.Source` on one object; its listing needs BigQuery, and its bands do not."""

    announces_all = False

    def __init__(self, settings: Settings, spec: str) -> None:
        """
        Raises:
            InvalidInputError: The SPEC names no object.
        """
        self.spec = spec.strip()
        self.uri = self.spec.removeprefix(SPEC_PREFIX)
        if not _OBJECT_URI.fullmatch(self.uri):
            raise InvalidInputError(
                f"{self.uri!r} is not an index in a bucket; write gs://BUCKET/PATH/index.csv.gz"
            )
        self._settings = settings
        self._http_index = GoogleIndex(STORAGE_URL + self.uri.removeprefix("gs://"))

    def list_products(
        self,
        state: dict[str, Any],
        missing_mask: Callable[[Any], Any],  # noqa: ARG002
        now: datetime,
    ) -> Listing:
        """What the index has and the catalog lacks; see `Source.listing`. Which that is, BigQuery finds out
        without being asked id by id."""
        from revisit.adapters.gcp.google_index_load import GoogleIndexLoader
        from revisit.adapters.gcp.google_index_object import GoogleIndexObject

        listing = Listing(batches=iter(()), state=state)
        listing.batches = GoogleIndexLoader(
            self._settings, GoogleIndexObject(self._settings, self.uri), self.spec, self._http_index.root
        ).batches(state, listing, now)
        return listing

    def check(self) -> None:
        """Whether the object is there and begins as an index does; see `Source.check`."""
        from revisit.adapters.gcp.google_index_object import GoogleIndexObject

        file = GoogleIndexObject(self._settings, self.uri)
        file.columns(file.generation())

    def bands(self, product: Product) -> dict[str, BandFile]:
        """The band files of a product; see `Source.bands`."""
        return self._http_index.bands(product)

    def files(self, product: Product) -> list[SourceFile]:
        """All files of a product; see `Source.files`."""
        return self._http_index.files(product)
