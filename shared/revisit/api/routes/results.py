"""/results: a job as a STAC Item, and the files it made."""

from io import BytesIO
from typing import Any

from flask import Response, request, send_file
from flask.typing import ResponseReturnValue

from revisit import services
from revisit.api.http.request_context import Asked
from revisit.domain.job import Asset, Job
from revisit.errors import NotFound

ITEM_TYPE = "application/geo+json"
LINK_S = 15 * 60
"""How long an address holds that lets its bearer read a file without being asked who it is."""


def show(asked: Asked, id: str) -> Response:
    import msgspec

    return Response(msgspec.json.encode(item(services.job(asked.backend, id, asked.owner))), content_type=ITEM_TYPE)


def item(done: Job) -> dict[str, Any]:
    """A finished job as a STAC Item whose files are found here."""
    from revisit.stac.result_item import item as item_of

    here = request.url_root.rstrip("/")
    links = [{"rel": "self", "href": f"{here}/results/{done.id}", "type": ITEM_TYPE}, {"rel": "root", "href": f"{here}/", "type": "text/html"}]
    return item_of(done, lambda asset: f"{here}/results/{done.id}/assets/{asset.name}", links)


def asset(asked: Asked, id: str, name: str) -> ResponseReturnValue:
    """A file, or the way to it where it is kept elsewhere."""
    found = _asset(asked, id, name)
    if request.method == "HEAD" and _elsewhere(asked, found):
        # What is signed is signed for GET.
        about = {"Content-Length": str(found.size), "Accept-Ranges": "bytes", "ETag": f'"{found.sha256}"'}
        return Response(headers=about, content_type=found.media_type)
    link = asked.backend.assets.link(found.path, LINK_S, _saved_as(id, found))
    return _file(asked, id, found) if link is None else Response(status=307, headers={"Location": link, "Cache-Control": "no-store"})


def link(asked: Asked, id: str, name: str) -> ResponseReturnValue:
    """Where a file can be read, and for how many seconds without saying who asks.

    A page of another origin than this API's needs it: browsers do not say which origin it is when they are sent on to a third
    (Fetch standard, section 4.4, tainted origin), and the bucket would not answer to that.
    """
    found = _asset(asked, id, name)
    signed = asked.backend.assets.link(found.path, LINK_S, _saved_as(id, found))
    here = f"{request.url_root.rstrip('/')}/results/{id}/assets/{found.name}"
    return {"href": signed or here, "seconds": LINK_S if signed else None}, {"Cache-Control": "no-store"}


def _asset(asked: Asked, id: str, name: str) -> Asset:
    """An asset of whoever asks."""
    found = services.job(asked.backend, id, asked.owner).asset(name)
    if found is None:
        raise NotFound(f"job {id!r} has no asset {name!r}; its item names those it has")
    return found


def _elsewhere(asked: Asked, found: Asset) -> bool:
    """Whether it is kept elsewhere than on a disk."""
    return asked.backend.assets.locate(found.path).startswith("/vsi")


def _saved_as(id: str, found: Asset) -> str:
    return f"{id}-{found.path.rpartition('/')[2]}"


def _file(asked: Asked, id: str, found: Asset) -> Response:
    """The file, or the range of it that is asked for; its ETag is its checksum, for it never changes."""
    assets = asked.backend.assets
    try:
        content = BytesIO(assets.read(found.path)) if _elsewhere(asked, found) else assets.locate(found.path)
        answer = send_file(content, found.media_type, etag=found.sha256, conditional=True, max_age=86_400, download_name=_saved_as(id, found))
    except FileNotFoundError:
        raise NotFound(f"asset {found.name!r} of job {id!r} is not there any more") from None
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return answer


ROUTES = (
    ("GET", "/results/<id>", show),
    ("GET", "/results/<id>/assets/<name>", asset),
    ("GET", "/results/<id>/assets/<name>/link", link),
)
