"""stac:URL#collection: the products of one collection of a STAC API.

Pages are asked for with httpx rather than pystac-client: how large a page is, how often it is tried again and how many bytes it may
have are decided here, and the address of a next page is never followed, only its question: every request stays below the URL
of the SPEC. Large pages are the common fault of such servers, so a page that fails is asked for again at half the size.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from time import sleep
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urljoin, urlsplit

from revisit.adapters.sources import stac_item
from revisit.adapters.sources.allowed_hosts import permitted
from revisit.adapters.sources.batches import Found, batches
from revisit.adapters.sources.json_client import Cut, Http
from revisit.domain.bands import BandFile, SourceFile
from revisit.domain.clock import instant, rfc3339
from revisit.domain.product import Product
from revisit.errors import BadInput, GiveUp
from revisit.ports.catalog import Query
from revisit.ports.sources import Listing

NEWS = timedelta(days=10)
"""Listed at first, and again once a day: products are published late and out of order."""
OVERLAP = timedelta(hours=24)
"""Read again before the watermark at every listing."""
PAGE = 500
"""Items asked for at once, without their assets; halved when a page fails."""
SMALLEST_PAGE = 15
HISTORY_LIMIT = 100_000
"""Products that one question about the past may bring."""
BATCH = 2_000
"""Rows given on together, so that a long listing that is cut off has saved what came before."""

_FIELDS = {"include": ["id", "type", "stac_version", "collection", "bbox", "geometry", "properties"], "exclude": ["assets", "links"]}


class StacApi:
    """Products of one collection; its past is asked for by place and period."""

    announces_all = False
    at_once = 10
    """Products that `several` is best asked of: some hundred kilobytes of items."""

    def __init__(self, location: str, wait: Callable[[float], None] = sleep) -> None:
        """
        Args:
            location: URL#collection.
            wait: Lets seconds pass between two tries.

        Raises:
            BadInput: The location is not one.
        """
        url, _, collection = location.strip().partition("#")
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.query:
            raise BadInput(f"{url!r} is not the address of a STAC API; write stac:https://host/path#collection")
        if not re.fullmatch(r"[\w.\-]{1,100}", collection):
            raise BadInput(f"{location!r} names no collection; write stac:{url or 'https://host/path'}#sentinel-2-l2a")
        self.url = url.rstrip("/")
        self.collection = collection
        self.spec = f"stac:{self.url}#{collection}"
        self._origin = f"{parts.scheme}://{parts.netloc}/"
        self._http = Http(wait)

    def listing(self, state: dict[str, Any], unseen: "Callable[[Any], Any]", now: datetime) -> Listing:
        """What was sensed since the watermark; see `Source.listing`.

        A first listing reaches 10 days back, or to `state["from"]` (RFC 3339).
        """
        watermark = instant(state["watermark"]) if state.get("watermark") else None
        swept = instant(state["swept"]) if state.get("swept") else None
        sweep = watermark is None or swept is None or now - swept >= timedelta(days=1)
        start = instant(state["from"]) if watermark is None and state.get("from") else now - NEWS
        if watermark is not None:
            start = min(start, watermark - OVERLAP) if sweep else watermark - OVERLAP
        listing = Listing(batches=iter(()))
        latest = [watermark]

        def found() -> Iterator[Found]:
            for one in self._found({"datetime": _period(start, None)}):
                if isinstance(one, Product) and one.sensing_time <= now:
                    latest[0] = max(latest[0] or one.sensing_time, one.sensing_time)
                yield one

        def end() -> None:
            if not listing.rows and watermark is None:
                self.check()  # a search in no collection finds nothing and says nothing
            if not listing.rows and watermark is not None:
                raise GiveUp(f"{self.spec} lists nothing since {rfc3339(start)}, although it had a product of {rfc3339(watermark)}")
            listing.state = {"watermark": rfc3339(latest[0]) if latest[0] else "", "swept": rfc3339(now) if sweep else state["swept"]}
            if not latest[0] and state.get("from"):
                listing.state["from"] = state["from"]

        listing.batches = batches(found(), unseen, listing, end, BATCH)
        return listing

    def history(self, query: Query, unseen: "Callable[[Any], Any]") -> Listing:
        """Products of a place and a period, also of before the first listing, to be added to the catalog.

        Args:
            query: Its bounds or tiles (one is needed), start and end; the other conditions are the catalog's to judge.
            unseen: See `Source.listing`.

        Raises:
            BadInput: The query names no place.
        """
        if query.bounds is None and not query.tiles:
            raise BadInput("the past of a source is asked for by place: give bounds or tiles")
        period = {"datetime": _period(query.start, query.end)} if query.start or query.end else {}
        listing = Listing(batches=iter(()))

        def found() -> Iterator[Found]:
            seen: set[str] = set()
            for box in _boxes(query):
                for one in self._found({"bbox": box} | period, seen):
                    if not isinstance(one, Product) or not query.tiles or one.tile in query.tiles:
                        yield one
                    if len(seen) > HISTORY_LIMIT:
                        raise GiveUp(f"{self.spec} has more than {HISTORY_LIMIT:,} products there; ask for a shorter period")

        listing.batches = batches(found(), unseen, listing, lambda: None, BATCH)
        return listing

    def check(self) -> None:
        """Whether the server has the collection; see `Source.check`."""
        self._http.json("GET", f"{self.url}/collections/{self.collection}")

    def bands(self, product: Product) -> dict[str, BandFile]:
        """The band files of a product, from its item; see `Source.bands`."""
        return self._bands(product, self._item(product))

    def files(self, product: Product) -> list[SourceFile]:
        """The files that the assets of a product's item name; see `Source.files`."""
        return self._files(product, self._item(product))

    def several(self, products: Sequence[Product]) -> dict[str, tuple[list[SourceFile], dict[str, BandFile]]]:
        """Files and band files of several products by their ids, from one search; those that it does not find are left out.

        Raises:
            Retry: The server does not answer.
            GiveUp: It does not search by ids.
        """
        wanted = {unquote(product.href.removeprefix(self._item_url(""))): product for product in products if product.href.startswith(self._item_url(""))}
        answer = self._http.json("POST", f"{self.url}/search", {"collections": [self.collection], "ids": [*wanted], "limit": len(wanted)}) if wanted else {}
        items = answer.get("features") if isinstance(answer, dict) else None
        found: dict[str, tuple[list[SourceFile], dict[str, BandFile]]] = {}
        for item in items if isinstance(items, list) else []:
            product = wanted.get(str(item.get("id"))) if stac_item.is_item(item) else None
            if product:
                try:
                    bands = self._bands(product, item)
                except GiveUp:
                    bands = {}
                found[product.id] = self._files(product, item), bands
        return found

    def _bands(self, product: Product, item: dict[str, Any]) -> dict[str, BandFile]:
        files, left_out = stac_item.band_files(item, self._permitted(product))
        if not files:
            why = "; ".join(dict.fromkeys(left_out.values())) or "no asset is one"
            raise GiveUp(f"no band of {product.id} can be read: {why}")
        return files

    def _files(self, product: Product, item: dict[str, Any]) -> list[SourceFile]:
        return stac_item.files(item, self._permitted(product))

    def _permitted(self, product: Product) -> Callable[[str], str]:
        return lambda href: permitted(_joined(product.href, href), [self._origin])

    def _item(self, product: Product) -> dict[str, Any]:
        if not product.href.startswith(f"{self.url}/"):
            raise GiveUp(f"{product.href!r} is not an item of {self.spec}")
        item = self._http.json("GET", product.href)
        if not stac_item.is_item(item):
            raise GiveUp(f"{product.href} is not a STAC item")
        found: dict[str, Any] = item
        return found

    # ------------------------------------------------------------------------------------------------------------- search

    def _found(self, question: dict[str, Any], seen: set[str] | None = None) -> Iterator[Found]:
        """Products and rejections, each item once, however often the pages repeat it."""
        seen = set() if seen is None else seen
        understood, refused = 0, ("", "")
        for page in self._pages({"collections": [self.collection], **question}):
            for item in page:
                id = str(item.get("id")) if isinstance(item, dict) else ""
                if id and id in seen:
                    continue
                seen.add(id)
                try:
                    if not isinstance(item, dict) or item.get("type", "Feature") != "Feature":
                        raise GiveUp("it is not a STAC item")
                    product = stac_item.product_of(item, self.spec, self._item_url(id))
                except GiveUp as reason:
                    refused = (id, str(reason))
                    yield refused
                else:
                    understood += 1
                    yield product
        if refused[1] and not understood:
            raise GiveUp(f"{self.spec} lists items of which none is understood, such as {refused[0]}: {refused[1]}")

    def _pages(self, question: dict[str, Any]) -> Iterator[list[Any]]:
        size = PAGE
        body: dict[str, Any] | None = {**question, "fields": _FIELDS}
        asked: set[str] = set()
        while body is not None:
            try:
                answer = self._http.json("POST", f"{self.url}/search", {**body, "limit": size})
            except Cut:
                # Servers that count pages by number would skip items if the size changed underway.
                if size <= SMALLEST_PAGE or "page" in body:
                    raise
                size = max(size // 2, SMALLEST_PAGE)
                continue
            features = answer.get("features") if isinstance(answer, dict) else None
            if not isinstance(features, list):
                raise GiveUp(f"{self.url}/search does not answer with a FeatureCollection; is it a STAC API?")
            yield features
            body = _next(answer, question) if features else None
            if body is not None:
                if str(body) in asked:
                    raise GiveUp(f"{self.url}/search gives the same next page again and again")
                asked.add(str(body))

    def _item_url(self, id: str) -> str:
        return f"{self.url}/collections/{self.collection}/items/{quote(id, safe='')}"


def _next(answer: dict[str, Any], question: dict[str, Any]) -> dict[str, Any] | None:
    """The question for the page after this one: the next link's body, or its query string, put to the same address."""
    links = answer.get("links")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") == "next":
            if isinstance(link.get("body"), dict):
                body: dict[str, Any] = {**(question if link.get("merge") else {}), **link["body"]}
            else:
                pairs = dict(parse_qsl(str(link.get("href")).partition("#")[0].partition("?")[2]))
                body = {**question, **{key: value for key, value in pairs.items() if key in ("next", "token", "page")}}
            if body.get("collections") != question["collections"]:
                raise GiveUp("the next page is of another collection")
            return {**body, "fields": _FIELDS}
    return None


def _period(start: datetime | None, end: datetime | None) -> str:
    """A STAC interval in whole seconds, which every server reads."""
    since = rfc3339(start.replace(microsecond=0)) if start else ".."
    until = rfc3339((end + timedelta(microseconds=999_999)).replace(microsecond=0)) if end else ".."
    return f"{since}/{until}"


def _boxes(query: Query) -> list[list[float]]:
    """West, south, east, north of each part; two where the antimeridian is crossed, since many servers know no such box."""
    if query.bounds is None:
        from revisit.geo.mgrs_tile import Tile

        return [list(part.bounds) for tile in query.tiles for part in _parts(Tile.parse(tile).footprint)]
    west, south, east, north = query.bounds
    return [[west, south, east, north]] if west <= east else [[west, south, 180.0, north], [-180.0, south, east, north]]


def _joined(base: str, href: str) -> str:
    try:
        return urljoin(base, href)
    except ValueError:
        raise GiveUp(f"{href!r} is not an address") from None


def _parts(shape: Any) -> list[Any]:
    return list(getattr(shape, "geoms", [shape]))
