"""/results: a finished job as a STAC Item, and its files."""

from io import BytesIO
from typing import Any

from flask import Response, request, send_file
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import RequestContext, Route
from revisit.domain.job import Asset, Job
from revisit.errors import NotFoundError
from revisit.services.subscriptions.results import get_job

ITEM_TYPE = "application/geo+json"
LINK_LIFETIME_S = 15 * 60
"""Lifetime of a signed URL, which gives access to a file without credentials."""


def show(context: RequestContext, id: str) -> Response:
    import msgspec

    return Response(
        msgspec.json.encode(result_item(get_job(context.backend, id, context.owner_id))),
        content_type=ITEM_TYPE,
    )


def result_item(job: Job) -> dict[str, Any]:
    """A finished job as a STAC Item whose assets link to this API."""
    from revisit.stac.result_item import build_result_item

    root_url = request.url_root.rstrip("/")
    links = [
        {"rel": "self", "href": f"{root_url}/results/{job.id}", "type": ITEM_TYPE},
        {"rel": "root", "href": f"{root_url}/", "type": "text/html"},
    ]
    return build_result_item(job, lambda asset: f"{root_url}/results/{job.id}/assets/{asset.name}", links)


def asset(context: RequestContext, id: str, name: str) -> ResponseReturnValue:
    """A file, or a redirect to a signed URL where it is stored remotely."""
    job_asset = _find_asset(context, id, name)
    if request.method == "HEAD" and _is_remote(context, job_asset):
        # Signed URLs are valid for GET only.
        headers = {
            "Content-Length": str(job_asset.size),
            "Accept-Ranges": "bytes",
            "ETag": f'"{job_asset.sha256}"',
        }
        return Response(headers=headers, content_type=job_asset.media_type)
    link = context.backend.assets.signed_url(job_asset.path, LINK_LIFETIME_S, _download_name(id, job_asset))
    return (
        _send_asset(context, id, job_asset)
        if link is None
        else Response(status=307, headers={"Location": link, "Cache-Control": "no-store"})
    )


def link(context: RequestContext, id: str, name: str) -> ResponseReturnValue:
    """The URL of a file that needs no credentials, and its lifetime in seconds.

    Pages of another origin need it: after a redirect to a third origin browsers send an opaque origin (Fetch
    standard, section 4.4, tainted origin), which the bucket does not allow.
    """
    job_asset = _find_asset(context, id, name)
    signed = context.backend.assets.signed_url(job_asset.path, LINK_LIFETIME_S, _download_name(id, job_asset))
    here = f"{request.url_root.rstrip('/')}/results/{id}/assets/{job_asset.name}"
    return {"href": signed or here, "seconds": LINK_LIFETIME_S if signed else None}, {
        "Cache-Control": "no-store"
    }


def _find_asset(context: RequestContext, id: str, name: str) -> Asset:
    """An asset of the caller."""
    job_asset = get_job(context.backend, id, context.owner_id).asset(name)
    if job_asset is None:
        raise NotFoundError(f"job {id!r} has no asset {name!r}; see the assets of its Item")
    return job_asset


def _is_remote(context: RequestContext, job_asset: Asset) -> bool:
    """Whether the asset is not on a local disk."""
    return context.backend.assets.locate(job_asset.path).startswith("/vsi")


def _download_name(id: str, job_asset: Asset) -> str:
    return f"{id}-{job_asset.path.rpartition('/')[2]}"


def _send_asset(context: RequestContext, id: str, job_asset: Asset) -> Response:
    """The file or the requested range; its ETag is its checksum, since a further run of the job may
    replace it."""
    assets = context.backend.assets
    try:
        content = (
            BytesIO(assets.read(job_asset.path))
            if _is_remote(context, job_asset)
            else assets.locate(job_asset.path)
        )
        answer = send_file(
            content,
            job_asset.media_type,
            etag=job_asset.sha256,
            conditional=True,
            max_age=86_400,
            download_name=_download_name(id, job_asset),
        )
    except FileNotFoundError:
        raise NotFoundError(f"asset {job_asset.name!r} of job {id!r} no longer exists") from None
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


ROUTES = (
    Route("GET", "/results/<id>", show),
    Route("GET", "/results/<id>/assets/<name>", asset),
    Route("GET", "/results/<id>/assets/<name>/link", link),
)
