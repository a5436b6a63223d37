"""What a search finds in numbers, and as a file."""

import msgspec
from flask import Response, request

from revisit.api.asked import Asked, asks
from revisit.api.stac.parameters import of_address, of_body
from revisit.api.stac.showing import GEOJSON, answer, shown
from revisit.commands import exporting, summing
from revisit.errors import BadInput

FORMATS = {"csv": "text/csv; charset=utf-8", "geojson": GEOJSON, "parquet": "application/vnd.apache.parquet"}


def statistics(asked: Asked) -> Response:
    return answer(summing.statistics(asked.backend, of_address().wanted, asked.owner))


@asks
def posted(asked: Asked) -> Response:
    return answer(summing.statistics(asked.backend, of_body(asked).wanted, asked.owner))


def export(asked: Asked) -> Response:
    form, search = request.args.get("format", ""), of_address(ignored=("format",))
    if form not in FORMATS:
        raise BadInput(f"format is one of {', '.join(FORMATS)}, not {form[:40]!r}")
    found = exporting.all_of(asked.backend, search.wanted, asked.owner)
    if form == "csv":
        body: bytes | str = exporting.csv(found)
    elif form == "parquet":
        body = exporting.geoparquet([shown(one) for one in found])
    else:
        body = msgspec.json.encode({"type": "FeatureCollection", "features": [shown(one) for one in found], "numberReturned": len(found)})
    return Response(body, content_type=FORMATS[form], headers={"Content-Disposition": f'attachment; filename="revisit.{form}"'})


ROUTES = (
    ("GET", "/stac/search/statistics", statistics),
    ("POST", "/stac/search/statistics", posted),
    ("GET", "/stac/search/export", export),
)
