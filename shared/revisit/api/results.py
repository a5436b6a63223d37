"""/results: a job as a STAC Item, and the files it made."""

from flask import Response, request, send_file
from flask.typing import ResponseReturnValue

from revisit import commands
from revisit.api.asked import Asked
from revisit.errors import NotFound

ITEM_TYPE = "application/geo+json"


def show(asked: Asked, id: str) -> Response:
    import msgspec

    from revisit.item import item

    done, here = commands.job(asked.backend, id, asked.owner), request.url_root.rstrip("/")
    links = [{"rel": "self", "href": f"{here}/results/{done.id}", "type": ITEM_TYPE}, {"rel": "root", "href": f"{here}/", "type": "text/html"}]
    found = item(done, lambda asset: f"{here}/results/{done.id}/assets/{asset.name}", links)
    return Response(msgspec.json.encode(found), content_type=ITEM_TYPE)


def asset(asked: Asked, id: str, name: str) -> ResponseReturnValue:
    """A file, or the range of it that is asked for; its ETag is its checksum, for it never changes."""
    found = commands.job(asked.backend, id, asked.owner).asset(name)
    if found is None:
        raise NotFound(f"job {id!r} has no asset {name!r}; its item names those it has")
    try:
        answer = send_file(asked.backend.assets.locate(found.path), found.media_type, etag=found.sha256, conditional=True, max_age=86_400,
                           download_name=f"{id}-{found.path.rpartition('/')[2]}")
    except FileNotFoundError:
        raise NotFound(f"asset {name!r} of job {id!r} is not there any more") from None
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return answer


ROUTES = (
    ("GET", "/results/<id>", show),
    ("GET", "/results/<id>/assets/<name>", asset),
)
