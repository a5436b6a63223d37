"""What a search finds in numbers, and as a file."""

import msgspec
from flask import Response, request

from revisit.api.http.request_context import Asked, asks
from revisit.api.stac.search_request import of_address, of_body
from revisit.api.stac.serializer import GEOJSON, answer, shown
from revisit.errors import BadInput
from revisit.stac import search_export, search_statistics

FORMATS = {"csv": "text/csv; charset=utf-8", "geojson": GEOJSON, "parquet": "application/vnd.apache.parquet"}


def statistics(asked: Asked) -> Response:
    return answer(search_statistics.statistics(asked.backend, of_address().wanted, asked.owner))


@asks
def posted(asked: Asked) -> Response:
    return answer(search_statistics.statistics(asked.backend, of_body(asked).wanted, asked.owner))


def export(asked: Asked) -> Response:
    form, search = request.args.get("format", ""), of_address(ignored=("format",))
    if form not in FORMATS:
        raise BadInput(f"format is one of {', '.join(FORMATS)}, not {form[:40]!r}")
    found = search_export.all_of(asked.backend, search.wanted, asked.owner)
    if form == "csv":
        body: bytes | str = search_export.csv(found)
    elif form == "parquet":
        body = search_export.geoparquet([shown(one) for one in found])
    else:
        body = msgspec.json.encode({"type": "FeatureCollection", "features": [shown(one) for one in found], "numberReturned": len(found)})
    return Response(body, content_type=FORMATS[form], headers={"Content-Disposition": f'attachment; filename="revisit.{form}"'})


ROUTES = (
    ("GET", "/stac/search/statistics", statistics),
    ("POST", "/stac/search/statistics", posted),
    ("GET", "/stac/search/export", export),
)
