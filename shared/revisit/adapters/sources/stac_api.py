"""Source stac:URL#collection: the products of one collection of a STAC API.

Pages are requested without pystac-client, so that page size, retries and bytes are bounded here. The URL of a
next page is never followed, only its body or query: every request stays below the URL of the SPEC. Servers
often fail on large pages, so a page that fails is requested again at half the size.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urljoin, urlsplit

from revisit.adapters.sources import stac_assets, stac_item
from revisit.adapters.sources.allowed_hosts import require_allowed_url
from revisit.adapters.sources.batches import ProductOrRejection, batch_unseen
from revisit.adapters.sources.json_client import JsonClient, RetriesExhaustedError
from revisit.domain.bands import BandFiles, SourceFile
from revisit.domain.clock import format_rfc3339, parse_instant
from revisit.domain.product import Product
from revisit.errors import InvalidInputError, PermanentError
from revisit.geo.bounds import bounds_of, split_box
from revisit.ports.catalog import Query
from revisit.ports.sources import Listing

SWEEP_PERIOD = timedelta(days=10)
"""Period of the first listing, listed again once a day: products are published late and out of order."""
WATERMARK_OVERLAP = timedelta(hours=24)
"""Overlap with the previous listing, before its watermark."""
PAGE_SIZE = 500
"""Items of one page, without their assets; halved after a page has failed."""
MIN_PAGE_SIZE = 15
MAX_HISTORY_PRODUCTS = 100_000
"""Products that one listing of the past may return."""
BATCH_ROWS = 2_000
"""Rows passed on together, so that an interrupted listing has saved most of what it has read."""

_FIELDS = {
    "include": ["id", "type", "stac_version", "collection", "bbox", "geometry", "properties"],
    "exclude": ["assets", "links"],
}


class StacApi:
    """Products of one collection; its past is listed by area and period."""

    announces_all = False
    batch_size = 10
    """Best number of products for `files_and_bands`: some hundred kilobytes of items."""

    def __init__(self, location: str, sleep: Callable[[float], None] = time.sleep) -> None:
        """
        Args:
            location: URL#collection.
            sleep: Waits for some seconds between two attempts.

        Raises:
            InvalidInputError: The location has another form.
        """
        url, _, collection = location.strip().partition("#")
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.query:
            raise InvalidInputError(
                f"{url!r} is not the URL of a STAC API; write stac:https://host/path#collection"
            )
        if not re.fullmatch(r"[\w.\-]{1,100}", collection):
            raise InvalidInputError(
                f"{location!r} names no collection; write stac:{url or 'https://host/path'}#sentinel-2-c1-l2a"
            )
        self.url = url.rstrip("/")
        self.collection = collection
        self.spec = f"stac:{self.url}#{collection}"
        self._origin = f"{parts.scheme}://{parts.netloc}/"
        self._http = JsonClient(sleep)

    def list_products(
        self, state: dict[str, Any], missing_mask: "Callable[[Any], Any]", now: datetime
    ) -> Listing:
        """Products sensed since the watermark; see `Source.list_products`.

        A first listing reaches back 10 days, or to `state["from"]` (RFC 3339).
        """
        watermark = parse_instant(state["watermark"]) if state.get("watermark") else None
        last_sweep = parse_instant(state["swept"]) if state.get("swept") else None
        sweep = watermark is None or last_sweep is None or now - last_sweep >= timedelta(days=1)
        start = (
            parse_instant(state["from"]) if watermark is None and state.get("from") else now - SWEEP_PERIOD
        )
        if watermark is not None:
            start = min(start, watermark - WATERMARK_OVERLAP) if sweep else watermark - WATERMARK_OVERLAP
        listing = Listing(batches=iter(()))
        latest = [watermark]

        def entries() -> Iterator[ProductOrRejection]:
            for entry in self._search({"datetime": _datetime_interval(start, None)}):
                if isinstance(entry, Product) and entry.sensing_time <= now:
                    latest[0] = max(latest[0] or entry.sensing_time, entry.sensing_time)
                yield entry

        def on_end() -> None:
            if not listing.rows and watermark is None:
                self.check()  # A search of a collection that does not exist is empty, and no error.
            if not listing.rows and watermark is not None:
                raise PermanentError(
                    f"{self.spec} lists nothing since {format_rfc3339(start)}, although it had a product of "
                    f"{format_rfc3339(watermark)}"
                )
            listing.state = {
                "watermark": format_rfc3339(latest[0]) if latest[0] else "",
                "swept": format_rfc3339(now) if sweep else state["swept"],
            }
            if not latest[0] and state.get("from"):
                listing.state["from"] = state["from"]

        listing.batches = batch_unseen(entries(), missing_mask, listing, on_end, BATCH_ROWS)
        return listing

    def history(self, query: Query, missing_mask: "Callable[[Any], Any]") -> Listing:
        """Products of an area and a period, also from before the first listing, to be added to the catalog.

        Args:
            query: Bounds or tiles (one is required), start and end; other conditions are left to the catalog.
            missing_mask: See `Source.list_products`.

        Raises:
            InvalidInputError: The query has neither bounds nor tiles.
        """
        if query.bounds is None and not query.tiles:
            raise InvalidInputError("the past of a source is listed by area; give bounds or tiles")
        period = {"datetime": _datetime_interval(query.start, query.end)} if query.start or query.end else {}
        listing = Listing(batches=iter(()))

        def entries() -> Iterator[ProductOrRejection]:
            seen_ids: set[str] = set()
            for box in _bounding_boxes(query):
                for entry in self._search({"bbox": box} | period, seen_ids):
                    if not isinstance(entry, Product) or not query.tiles or entry.tile in query.tiles:
                        yield entry
                    if len(seen_ids) > MAX_HISTORY_PRODUCTS:
                        raise PermanentError(
                            f"{self.spec} has more than {MAX_HISTORY_PRODUCTS:,} products in this area; "
                            "use a shorter period"
                        )

        listing.batches = batch_unseen(entries(), missing_mask, listing, lambda: None, BATCH_ROWS)
        return listing

    def check(self) -> None:
        """Check that the server has the collection; see `Source.check`."""
        self._http.request_json("GET", f"{self.url}/collections/{self.collection}")

    def bands(self, product: Product) -> BandFiles:
        """The band files of a product, from its item; see `Source.bands`."""
        return self._bands(product, self._fetch_item(product))

    def files(self, product: Product) -> list[SourceFile]:
        """The files that the assets of a product's item name; see `Source.files`."""
        return self._files(product, self._fetch_item(product))

    def files_and_bands(self, products: Sequence[Product]) -> dict[str, tuple[list[SourceFile], BandFiles]]:
        """Files and band files of several products by id, from one search; products it does not find are
        missing.

        Raises:
            TransientError: The server does not answer.
            PermanentError: The server refuses a search by ids.
        """
        wanted = {
            unquote(product.href.removeprefix(self._item_url(""))): product
            for product in products
            if product.href.startswith(self._item_url(""))
        }
        answer = (
            self._http.request_json(
                "POST",
                f"{self.url}/search",
                {"collections": [self.collection], "ids": [*wanted], "limit": len(wanted)},
            )
            if wanted
            else {}
        )
        items = answer.get("features") if isinstance(answer, dict) else None
        found: dict[str, tuple[list[SourceFile], BandFiles]] = {}
        for item in items if isinstance(items, list) else []:
            product = wanted.get(str(item.get("id"))) if stac_item.is_item(item) else None
            if product:
                try:
                    bands = self._bands(product, item)
                except PermanentError:
                    bands = BandFiles({})
                found[product.id] = self._files(product, item), bands
        return found

    def _bands(self, product: Product, item: dict[str, Any]) -> BandFiles:
        return stac_assets.require_bands(
            stac_assets.band_files(item, self._href_resolver(product)), product.id
        )

    def _files(self, product: Product, item: dict[str, Any]) -> list[SourceFile]:
        # A list of files needs no keys; the programs that read them do.
        return stac_assets.files(item, self._href_resolver(product, needs_keys=False))

    def _href_resolver(self, product: Product, needs_keys: bool = True) -> Callable[[str], str]:
        return lambda href: require_allowed_url(_join_url(product.href, href), [self._origin], needs_keys)

    def _fetch_item(self, product: Product) -> dict[str, Any]:
        if not product.href.startswith(f"{self.url}/"):
            raise PermanentError(f"{product.href!r} is not an item of {self.spec}")
        item = self._http.request_json("GET", product.href)
        if not stac_item.is_item(item):
            raise PermanentError(f"{product.href} is not a STAC item")
        found: dict[str, Any] = item
        return found

    # ---- search

    def _search(
        self, parameters: dict[str, Any], seen_ids: set[str] | None = None
    ) -> Iterator[ProductOrRejection]:
        """Products and rejections; items that several pages repeat come once."""
        seen_ids = set() if seen_ids is None else seen_ids
        parsed_count, rejection = 0, ("", "")
        for page in self._search_pages({"collections": [self.collection], **parameters}):
            for item in page:
                id = str(item.get("id")) if isinstance(item, dict) else ""
                if id and id in seen_ids:
                    continue
                seen_ids.add(id)
                try:
                    if not isinstance(item, dict) or item.get("type", "Feature") != "Feature":
                        raise PermanentError("it is not a STAC item")
                    product = stac_item.product_of(item, self.spec, self._item_url(id))
                except PermanentError as reason:
                    rejection = (id, str(reason))
                    yield rejection
                else:
                    parsed_count += 1
                    yield product
        if rejection[1] and not parsed_count:
            raise PermanentError(
                f"{self.spec} lists items but none is valid, such as {rejection[0]}: {rejection[1]}"
            )

    def _search_pages(self, parameters: dict[str, Any]) -> Iterator[list[Any]]:
        size = PAGE_SIZE
        body: dict[str, Any] | None = {**parameters, "fields": _FIELDS}
        requested_bodies: set[str] = set()
        while body is not None:
            try:
                answer = self._http.request_json("POST", f"{self.url}/search", {**body, "limit": size})
            except RetriesExhaustedError:
                # Servers that number their pages would skip items if the size changed.
                if size <= MIN_PAGE_SIZE or "page" in body:
                    raise
                size = max(size // 2, MIN_PAGE_SIZE)
                continue
            features = answer.get("features") if isinstance(answer, dict) else None
            if not isinstance(features, list):
                raise PermanentError(
                    f"{self.url}/search does not answer with a FeatureCollection; is it a STAC API?"
                )
            yield features
            body = _next_page_body(answer, parameters) if features else None
            if body is not None:
                if str(body) in requested_bodies:
                    raise PermanentError(f"{self.url}/search links to the same next page again and again")
                requested_bodies.add(str(body))

    def _item_url(self, id: str) -> str:
        return f"{self.url}/collections/{self.collection}/items/{quote(id, safe='')}"


def _next_page_body(answer: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any] | None:
    """The request body of the next page: the body of the next link, or what its query string states."""
    links = answer.get("links")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") == "next":
            if isinstance(link.get("body"), dict):
                body: dict[str, Any] = {**(parameters if link.get("merge") else {}), **link["body"]}
            else:
                pairs = dict(parse_qsl(str(link.get("href")).partition("#")[0].partition("?")[2]))
                body = {
                    **parameters,
                    **{key: value for key, value in pairs.items() if key in ("next", "token", "page")},
                }
            if body.get("collections") != parameters["collections"]:
                raise PermanentError("the next page is of another collection")
            return {**body, "fields": _FIELDS}
    return None


def _datetime_interval(start: datetime | None, end: datetime | None) -> str:
    """A STAC interval in whole seconds, which every server supports."""
    since = format_rfc3339(start.replace(microsecond=0)) if start else ".."
    until = format_rfc3339((end + timedelta(microseconds=999_999)).replace(microsecond=0)) if end else ".."
    return f"{since}/{until}"


def _bounding_boxes(query: Query) -> list[list[float]]:
    """West, south, east, north of each part.

    Boxes across the antimeridian are split, since many servers do not support them.
    """
    if query.bounds is None:
        from revisit.geo.mgrs_tile import Tile

        boxes = (split_box(bounds_of(Tile.parse(tile).footprint)) for tile in query.tiles)
        return [list(box) for pair in boxes for box in pair]
    return [list(box) for box in split_box(query.bounds)]


def _join_url(base: str, href: str) -> str:
    try:
        return urljoin(base, href)
    except ValueError:
        raise PermanentError(f"{href!r} is not a URL") from None
