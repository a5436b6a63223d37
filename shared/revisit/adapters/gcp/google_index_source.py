"""Source google-index:gs://BUCKET/...: an index of Google that BigQuery loads from its bucket.

Products are read as those of any other index.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from revisit.adapters.gcp.settings import Settings
from revisit.adapters.sources.google_index import GoogleIndex
from revisit.domain.bands import BandFiles, SourceFile
from revisit.domain.product import Product
from revisit.errors import InvalidInputError
from revisit.ports.sources import Listing

SPEC_PREFIX = "google-index:"
STORAGE_URL = "https://storage.googleapis.com/"
"""Prefix of the public URLs of objects."""
_OBJECT_URI = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[^/*?#\[\]\s]+)+")
"""One object, without wildcards, since several objects have no common generation."""


def is_bucket_index(spec: str) -> bool:
    """Whether a SPEC names an index in a bucket."""
    return spec.strip().startswith(f"{SPEC_PREFIX}gs://")


class BucketIndex:
    """The source of one object; its listing needs BigQuery, its bands do not."""

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
        """Products of the index that the catalog lacks; see `Source.list_products`.

        BigQuery compares the ids, so `missing_mask` is not used.
        """
        from revisit.adapters.gcp.google_index_load import GoogleIndexLoader
        from revisit.adapters.gcp.google_index_object import GoogleIndexObject

        listing = Listing(batches=iter(()), state=state)
        listing.batches = GoogleIndexLoader(
            self._settings, GoogleIndexObject(self._settings, self.uri), self.spec, self._http_index.root
        ).batches(state, listing, now)
        return listing

    def check(self) -> None:
        """Check that the object exists and starts like an index; see `Source.check`."""
        from revisit.adapters.gcp.google_index_object import GoogleIndexObject

        file = GoogleIndexObject(self._settings, self.uri)
        file.columns(file.generation())

    def bands(self, product: Product) -> BandFiles:
        """The band files of a product; see `Source.bands`."""
        return self._http_index.bands(product)

    def files(self, product: Product) -> list[SourceFile]:
        """All files of a product; see `Source.files`."""
        return self._http_index.files(product)
