"""Statistics and file export of a search."""

import msgspec
from flask import Response, request

from revisit.api.http.request_context import RequestContext, Route
from revisit.api.stac.search_request import search_from_body, search_from_query
from revisit.api.stac.serializer import GEOJSON_TYPE, item_document, json_response
from revisit.errors import InvalidInputError
from revisit.stac import search_export, search_statistics

FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "geojson": GEOJSON_TYPE,
    "parquet": "application/vnd.apache.parquet",
}


def statistics(context: RequestContext) -> Response:
    return json_response(
        search_statistics.summarize_search(context.backend, search_from_query().query, context.owner_id)
    )


def post_statistics(context: RequestContext) -> Response:
    return json_response(
        search_statistics.summarize_search(context.backend, search_from_body(context).query, context.owner_id)
    )


def export(context: RequestContext) -> Response:
    form, search = request.args.get("format", ""), search_from_query(ignored=("format",))
    if form not in FORMATS:
        raise InvalidInputError(f"format is one of {', '.join(FORMATS)}, not {form[:40]!r}")
    found = search_export.find_all_items(context.backend, search.query, context.owner_id)
    if form == "csv":
        body: bytes | str = search_export.items_to_csv(found)
    elif form == "parquet":
        body = search_export.items_to_geoparquet([item_document(one) for one in found])
    else:
        body = msgspec.json.encode(
            {
                "type": "FeatureCollection",
                "features": [item_document(one) for one in found],
                "numberReturned": len(found),
            }
        )
    return Response(
        body,
        content_type=FORMATS[form],
        headers={"Content-Disposition": f'attachment; filename="revisit.{form}"'},
    )


ROUTES = (
    Route("GET", "/stac/search/statistics", statistics),
    Route("POST", "/stac/search/statistics", post_statistics, read_only=True),
    Route("GET", "/stac/search/export", export),
)
