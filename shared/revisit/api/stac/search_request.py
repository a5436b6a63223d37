"""What is asked for, in the parameters of an address or in a body: the same of both."""

import math
import re
from dataclasses import dataclass
from typing import Any

import msgspec
from flask import request

from revisit.api.http.request_context import Asked
from revisit.api.stac.fields import Selection
from revisit.domain.clock import instant
from revisit.errors import BadInput
from revisit.geo.mgrs_tile import Tile
from revisit.stac.cql2 import read_json, read_text
from revisit.stac.product_item import COLLECTIONS
from revisit.stac.search_area import box, place
from revisit.stac.search_query import RESULTS, Wanted
from revisit.stac.sorted_search import Key, key_of

LIMIT, MOST = 50, 1000
"""Items of one page: where none is asked for, and at most."""
MOST_IDS = 1000
MOST_TILES = 500

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
"""RFC 3339."""


class Sort(msgspec.Struct, forbid_unknown_fields=True):
    """A property to sort by."""

    field: str
    direction: str = "asc"


class Fields(msgspec.Struct, forbid_unknown_fields=True):
    """Members of items to show, and not to show."""

    include: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    exclude: list[str] | None = None


class Body(msgspec.Struct, forbid_unknown_fields=True, rename={"filter_lang": "filter-lang", "filter_crs": "filter-crs"}):
    """A search as a JSON body; as parameters of an address each is a text."""

    collections: list[str] | None = None
    ids: list[str] | None = None
    bbox: list[float] | None = None
    intersects: dict[str, Any] | None = None
    datetime: str | None = None
    limit: int | None = None
    filter: Any = None
    filter_lang: str | None = None
    filter_crs: str | None = None
    sortby: list[Sort] | None = None
    fields: Fields | msgspec.UnsetType = msgspec.UNSET
    newest: bool | None = None
    coverage: float | None = None
    tiles: list[str] | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """A search understood."""

    wanted: Wanted
    limit: int
    after: str
    sort: tuple[Key, ...]
    selection: Selection
    body: Body
    """As it was put."""


NAMES = tuple(msgspec.structs.fields(Body))


def of_body(asked: Asked) -> Search:
    """The search of a request's body."""
    return understood(asked.body(Body))


def of_address(collection: str = "", ignored: tuple[str, ...] = ()) -> Search:
    """The search of a request's parameters.

    Args:
        collection: The one it is in; empty where the parameters say.
        ignored: Parameters of the route itself.
    """
    given = {name: text for name, text in request.args.items() if text}
    known = {field.encode_name for field in NAMES} - ({"collections"} if collection else set())
    for name in request.args:
        # pystac-client names the collection besides.
        if name not in known | set(ignored) and (name, request.args[name]) != ("collections", collection):
            raise BadInput(f"there is no parameter {name[:40]!r}; there are {', '.join(sorted(known))}")
        if len(request.args.getlist(name)) > 1:
            raise BadInput(f"{name} is given twice; separate several by commas")
    body = Body(
        collections=[collection] if collection else _list(given.get("collections")), ids=_list(given.get("ids")), tiles=_list(given.get("tiles")),
        bbox=[_number("bbox", text) for text in given["bbox"].split(",")] if "bbox" in given else None,
        intersects=_json("intersects", given.get("intersects")), datetime=given.get("datetime"),
        limit=_whole("limit", given["limit"]) if "limit" in given else None, filter=given.get("filter"), filter_lang=given.get("filter-lang"),
        filter_crs=given.get("filter-crs"), sortby=_sorts(given.get("sortby")),
        fields=_fields(request.args["fields"]) if "fields" in request.args else msgspec.UNSET,
        newest=_yes("newest", given["newest"]) if "newest" in given else None,
        coverage=_number("coverage", given["coverage"]) if "coverage" in given else None, token=given.get("token"),
    )
    if body.filter is not None and body.filter_lang == "cql2-json":
        body.filter = _json("filter", body.filter)
    return understood(body)


def understood(body: Body) -> Search:
    """A search, or a sentence why not."""
    if body.bbox is not None and body.intersects is not None:
        raise BadInput("bbox and intersects exclude each other; give one place")
    for name, most in (("ids", MOST_IDS), ("tiles", MOST_TILES), ("collections", 10)):
        if len(getattr(body, name) or ()) > most:
            raise BadInput(f"{name} are {most:,} at most")
    limit = LIMIT if body.limit is None else body.limit
    if limit < 1:
        raise BadInput(f"limit is a whole number from 1 to {MOST:,}, not {limit}")
    if body.coverage is not None and not 0 <= body.coverage <= 100:
        raise BadInput(f"coverage is a percentage from 0 to 100, not {body.coverage:g}")
    start, end = _period(body.datetime)
    shape = box(body.bbox) if body.bbox is not None else place(body.intersects) if body.intersects is not None else None
    wanted = Wanted(tuple(body.collections or ()), tuple(body.ids or ()), tuple(Tile.parse(tile).id for tile in body.tiles or ()), shape, start, end,
                    _filter(body), bool(body.newest), body.coverage)
    if body.collections and not {RESULTS, *COLLECTIONS.values()} & set(body.collections):
        raise BadInput(f"there is no collection {', '.join(body.collections)[:80]!r}; choose from {', '.join((*COLLECTIONS.values(), RESULTS))}")
    sort = tuple(key_of(one.field, one.direction) for one in body.sortby or ())
    fields = body.fields
    selection = Selection() if fields is msgspec.UNSET else Selection.of(fields.include or None, fields.exclude, silent=fields.include is msgspec.UNSET)
    return Search(wanted, min(limit, MOST), body.token or "", sort, selection, body)


def _filter(body: Body) -> Any:
    if body.filter is None:
        return None
    if body.filter_crs not in (None, "http://www.opengis.net/def/crs/OGC/1.3/CRS84"):
        raise BadInput("shapes of a filter are in lon/lat degrees: leave filter-crs out, or say http://www.opengis.net/def/crs/OGC/1.3/CRS84")
    language = body.filter_lang or ("cql2-text" if isinstance(body.filter, str) else "cql2-json")
    if language not in ("cql2-text", "cql2-json"):
        raise BadInput(f"filter-lang is cql2-text or cql2-json, not {language[:40]!r}")
    if (language == "cql2-text") != isinstance(body.filter, str):
        raise BadInput(f"the filter is not {language}: text is written in quotes, JSON as an object with op and args")
    return read_text(body.filter) if language == "cql2-text" else read_json(body.filter)


def _period(text: str | None) -> tuple[Any, Any]:
    """An instant, or an interval of which one end may be open."""
    if not text:
        return None, None
    parts = text.split("/")
    if any(part not in ("", "..") and not _INSTANT.fullmatch(part) for part in parts):
        raise BadInput(f"datetime is an instant with its offset, such as 2024-06-01T00:00:00Z, or an interval of two, not {text[:80]!r}")
    if len(parts) == 1 and parts[0] not in ("", ".."):
        return instant(text.upper()), instant(text.upper())
    begin, end = (None if part in ("", "..") else part for part in parts) if len(parts) == 2 else (None, None)
    if begin is None and end is None:
        raise BadInput(f"datetime is an instant or an interval such as 2024-06-01T00:00:00Z/.., not {text[:80]!r}")
    start, stop = begin and instant(begin.upper()), end and instant(end.upper())
    if start and stop and start > stop:
        raise BadInput(f"the period {text[:80]!r} ends before it begins; exchange the two")
    return start, stop


def _list(text: str | None) -> list[str] | None:
    return [part.strip() for part in text.split(",") if part.strip()] if text else None


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(f"{name}: {text[:40]!r} is not a number")
    return number


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise BadInput(f"{name} is a whole number, not {text[:40]!r}")
    return int(text)


def _yes(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise BadInput(f"{name} is true or false, not {text[:40]!r}")
    return text == "true"


def _json(name: str, text: str | None) -> Any:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        raise BadInput(f"{name} is not JSON: {text[:60]!r}") from None


def _sorts(text: str | None) -> list[Sort] | None:
    # A plus sign that is not escaped comes as a space.
    return None if text is None else [Sort(part.lstrip("+-"), "desc" if part.startswith("-") else "asc") for part in _list(text) or ()]


def _fields(text: str) -> Fields:
    parts = _list(text) or []
    include = [part.lstrip("+") for part in parts if not part.startswith("-")]
    return Fields(include or msgspec.UNSET, [part[1:] for part in parts if part.startswith("-")])
