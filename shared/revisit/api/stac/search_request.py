"""STAC search requests, parsed from query parameters or a JSON body."""

import math
import re
from dataclasses import dataclass
from typing import Any

import msgspec
from flask import request

from revisit.api.http.request_context import RequestContext
from revisit.api.stac.fields import FieldSelection
from revisit.domain.clock import parse_instant
from revisit.errors import InvalidInputError
from revisit.geo.mgrs_tile import Tile
from revisit.stac.cql2 import parse_cql2_json, parse_cql2_text
from revisit.stac.product_item import COLLECTIONS
from revisit.stac.search_area import parse_bbox, parse_geometry
from revisit.stac.search_query import RESULTS_COLLECTION, ItemQuery
from revisit.stac.sorted_search import SortKey, parse_sort_key

DEFAULT_LIMIT, MAX_LIMIT = 50, 1000
"""Items per page: default and maximum."""
MAX_IDS = 1000
MAX_TILES = 500

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
"""RFC 3339."""


class Sort(msgspec.Struct, forbid_unknown_fields=True):
    """A property to sort by."""

    field: str
    direction: str = "asc"


class Fields(msgspec.Struct, forbid_unknown_fields=True):
    """Members of items to include and to exclude."""

    include: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    exclude: list[str] | None = None


class SearchBody(
    msgspec.Struct,
    forbid_unknown_fields=True,
    rename={"filter_lang": "filter-lang", "filter_crs": "filter-crs"},
):
    """Members of a search as a JSON body; query parameters have the same names."""

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
class SearchRequest:
    """A validated search."""

    query: ItemQuery
    limit: int
    after: str
    sort: tuple[SortKey, ...]
    fields: FieldSelection
    body: SearchBody
    """The body as it was sent."""


BODY_FIELDS = tuple(msgspec.structs.fields(SearchBody))


def search_from_body(context: RequestContext) -> SearchRequest:
    """The search in a request body."""
    return parse_search(context.decode_body(SearchBody))


def search_from_query(collection: str = "", ignored: tuple[str, ...] = ()) -> SearchRequest:
    """The search in the query parameters of a request.

    Args:
        collection: Id of the collection in the path; empty if the parameters name the collections.
        ignored: Parameters that belong to the route and not to the search.
    """
    arguments = {name: text for name, text in request.args.items() if text}
    known = {field.encode_name for field in BODY_FIELDS} - ({"collections"} if collection else set())
    for name in request.args:
        # pystac-client also sends the collection.
        if name not in known | set(ignored) and (name, request.args[name]) != ("collections", collection):
            raise InvalidInputError(
                f"there is no parameter {name[:40]!r}; there are {', '.join(sorted(known))}"
            )
        if len(request.args.getlist(name)) > 1:
            raise InvalidInputError(f"{name} is given twice; separate several values by commas")
    body = SearchBody(
        collections=[collection] if collection else _split(arguments.get("collections")),
        ids=_split(arguments.get("ids")),
        tiles=_split(arguments.get("tiles")),
        bbox=[_parse_number("bbox", text) for text in arguments["bbox"].split(",")]
        if "bbox" in arguments
        else None,
        intersects=_parse_json("intersects", arguments.get("intersects")),
        datetime=arguments.get("datetime"),
        limit=_parse_int("limit", arguments["limit"]) if "limit" in arguments else None,
        filter=arguments.get("filter"),
        filter_lang=arguments.get("filter-lang"),
        filter_crs=arguments.get("filter-crs"),
        sortby=_parse_sortby(arguments.get("sortby")),
        fields=_parse_fields(request.args["fields"]) if "fields" in request.args else msgspec.UNSET,
        newest=_parse_bool("newest", arguments["newest"]) if "newest" in arguments else None,
        coverage=_parse_number("coverage", arguments["coverage"]) if "coverage" in arguments else None,
        token=arguments.get("token"),
    )
    if body.filter is not None and body.filter_lang == "cql2-json":
        body.filter = _parse_json("filter", body.filter)
    return parse_search(body)


def parse_search(body: SearchBody) -> SearchRequest:
    """Validate a search body."""
    if body.bbox is not None and body.intersects is not None:
        raise InvalidInputError("bbox and intersects exclude each other; give one of them")
    for name, maximum in (("ids", MAX_IDS), ("tiles", MAX_TILES), ("collections", 10)):
        if len(getattr(body, name) or ()) > maximum:
            raise InvalidInputError(f"at most {maximum:,} {name} are allowed")
    limit = DEFAULT_LIMIT if body.limit is None else body.limit
    if limit < 1:
        raise InvalidInputError(f"limit is a whole number from 1 to {MAX_LIMIT:,}, not {limit}")
    if body.coverage is not None and not 0 <= body.coverage <= 100:
        raise InvalidInputError(f"coverage is a percentage from 0 to 100, not {body.coverage:g}")
    start, end = _parse_datetime(body.datetime)
    area = (
        parse_bbox(body.bbox)
        if body.bbox is not None
        else parse_geometry(body.intersects)
        if body.intersects is not None
        else None
    )
    query = ItemQuery(
        tuple(body.collections or ()),
        tuple(body.ids or ()),
        tuple(Tile.parse(tile).id for tile in body.tiles or ()),
        area,
        start,
        end,
        _parse_filter(body),
        bool(body.newest),
        body.coverage,
    )
    if body.collections and not {RESULTS_COLLECTION, *COLLECTIONS.values()} & set(body.collections):
        raise InvalidInputError(
            f"there is no collection {', '.join(body.collections)[:80]!r};"
            f" choose from {', '.join((*COLLECTIONS.values(), RESULTS_COLLECTION))}"
        )
    sort = tuple(parse_sort_key(one.field, one.direction) for one in body.sortby or ())
    fields = body.fields
    selection = (
        FieldSelection()
        if fields is msgspec.UNSET
        else FieldSelection.from_lists(
            fields.include or None, fields.exclude, include_unset=fields.include is msgspec.UNSET
        )
    )
    return SearchRequest(query, min(limit, MAX_LIMIT), body.token or "", sort, selection, body)


def _parse_filter(body: SearchBody) -> Any:
    if body.filter is None:
        return None
    if body.filter_crs not in (None, "http://www.opengis.net/def/crs/OGC/1.3/CRS84"):
        raise InvalidInputError(
            "shapes of a filter are in lon/lat degrees: leave filter-crs out, or say http://www.opengis.net/def/crs/OGC/1.3/CRS84"
        )
    language = body.filter_lang or ("cql2-text" if isinstance(body.filter, str) else "cql2-json")
    if language not in ("cql2-text", "cql2-json"):
        raise InvalidInputError(f"filter-lang is cql2-text or cql2-json, not {language[:40]!r}")
    if (language == "cql2-text") != isinstance(body.filter, str):
        raise InvalidInputError(
            f"the filter is not {language}: text is written in quotes, JSON as an object with op and args"
        )
    return parse_cql2_text(body.filter) if language == "cql2-text" else parse_cql2_json(body.filter)


def _parse_datetime(text: str | None) -> tuple[Any, Any]:
    """An instant, or an interval of which one end may be open."""
    if not text:
        return None, None
    parts = text.split("/")
    if any(part not in ("", "..") and not _INSTANT.fullmatch(part) for part in parts):
        raise InvalidInputError(
            "datetime is an instant with its offset, such as 2024-06-01T00:00:00Z, or an interval of two,"
            f" not {text[:80]!r}"
        )
    if len(parts) == 1 and parts[0] not in ("", ".."):
        return parse_instant(text.upper()), parse_instant(text.upper())
    begin, end = (None if part in ("", "..") else part for part in parts) if len(parts) == 2 else (None, None)
    if begin is None and end is None:
        raise InvalidInputError(
            f"datetime is an instant or an interval such as 2024-06-01T00:00:00Z/.., not {text[:80]!r}"
        )
    start, stop = begin and parse_instant(begin.upper()), end and parse_instant(end.upper())
    if start and stop and start > stop:
        raise InvalidInputError(f"the period {text[:80]!r} ends before it begins; swap the two instants")
    return start, stop


def _split(text: str | None) -> list[str] | None:
    return [part.strip() for part in text.split(",") if part.strip()] if text else None


def _parse_number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInputError(f"{name}: {text[:40]!r} is not a number")
    return number


def _parse_int(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise InvalidInputError(f"{name} is a whole number, not {text[:40]!r}")
    return int(text)


def _parse_bool(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidInputError(f"{name} is true or false, not {text[:40]!r}")
    return text == "true"


def _parse_json(name: str, text: str | None) -> Any:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        raise InvalidInputError(f"{name} is not JSON: {text[:60]!r}") from None


def _parse_sortby(text: str | None) -> list[Sort] | None:
    # A plus sign that is not escaped comes as a space.
    return (
        None
        if text is None
        else [
            Sort(part.lstrip("+-"), "desc" if part.startswith("-") else "asc") for part in _split(text) or ()
        ]
    )


def _parse_fields(text: str) -> Fields:
    parts = _split(text) or []
    include = [part.lstrip("+") for part in parts if not part.startswith("-")]
    return Fields(include or msgspec.UNSET, [part[1:] for part in parts if part.startswith("-")])
