"""/subscriptions: who watches what."""

from hashlib import sha256
from typing import Any

import msgspec
from flask import Response, make_response, request
from flask.typing import ResponseReturnValue
from msgspec import UNSET, UnsetType

from revisit import services
from revisit.api.http.idempotency import once
from revisit.api.http.request_context import Asked, Names, asks, begin
from revisit.api.routes.aoi_input import aoi_of
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import OVERLAP, Channel, Subscription
from revisit.errors import BadInput
from revisit.presenters import documents
from revisit.services.subscriptions.update import Change

MOST_ALERTS = MOST_RESULTS = 1000
"""Of one answer; the alerts that come first, the results that came last."""


class Watch(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /subscriptions."""

    aoi: dict[str, Any] | str
    name: str
    indices: Names = ()
    bands: Names = ()
    resolution_m: float | None = None
    resampling: str = "bilinear"
    level: str = "L2A"
    max_cloud: float | None = None
    min_clear: float | None = None
    webhooks: Names = ()
    files: Names = ()
    backfill: str | None = None
    repair: bool = False


class Wish(Watch, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /subscriptions/preview: what would be posted to /subscriptions, as far as it is decided."""

    name: str = "preview"
    begin: str | None = msgspec.field(default=None, name="from")


class Difference(msgspec.Struct, forbid_unknown_fields=True):
    """Body of PATCH /subscriptions/{id}: what is not named stays; null takes a limit away."""

    name: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    aoi: dict[str, Any] | str | UnsetType = UNSET
    indices: Names | UnsetType = UNSET
    bands: Names | UnsetType = UNSET
    resolution_m: float | UnsetType | None = UNSET
    resampling: str | UnsetType = UNSET
    level: str | UnsetType = UNSET
    max_cloud: float | UnsetType | None = UNSET
    min_clear: float | UnsetType | None = UNSET
    webhooks: Names | UnsetType = UNSET
    files: Names | UnsetType = UNSET
    repair: bool = False


def recipe_of(body: Any) -> Recipe:
    """The recipe a body names; NDVI where it names nothing."""
    return services.recipe_of(body.indices, body.bands, body.resolution_m, body.resampling)


def create(asked: Asked) -> Response:
    def work() -> ResponseReturnValue:
        body = asked.body(Watch)
        channels = [*(Channel("webhook", url) for url in body.webhooks), *(Channel("file", name) for name in body.files)]
        if body.files:
            asked.operator_only()
        made = services.subscribe(
            asked.backend, aoi_of(body.aoi, body.repair, asked.owner), body.name, recipe_of(body), body.level,  # type: ignore[arg-type]  # checked there
            body.max_cloud, body.min_clear, channels, begin(body.backfill), asked.owner)
        return documents.subscription(made), 201, {"Location": f"/subscriptions/{made.id}"}

    def with_secrets(told: dict[str, Any]) -> dict[str, Any]:
        secrets = _secrets(asked, told["subscription"])
        return {**told, "channels": [{**way, "secret": secrets[way["id"]]} if way["id"] in secrets else way for way in told["channels"]]}

    return once(asked, work, with_secrets)


@asks
def preview(asked: Asked) -> ResponseReturnValue:
    body = asked.body(Wish)
    wish = Subscription("", body.name.strip() or "preview", {}, (), recipe_of(body), asked.backend.now(), asked.owner, body.level,  # type: ignore[arg-type]  # checked there
                        body.max_cloud, body.min_clear)
    return documents.past(services.past_of(asked.backend, aoi_of(body.aoi, body.repair, asked.owner), wish, begin(body.begin)))


def list_(asked: Asked) -> ResponseReturnValue:
    there = services.subscriptions(asked.backend, asked.owner)
    coming = services.next_passes(asked.backend, there)
    return {"subscriptions": [documents.subscription(services.latest(asked.backend, one), next_pass=coming.get(one.id)) for one in there]}


def show(asked: Asked, id: str) -> Response:
    watcher = services.latest(asked.backend, services.subscription(asked.backend, id, asked.owner))
    return _tagged(documents.subscription(watcher, next_pass=services.next_passes(asked.backend, [watcher]).get(watcher.id)), watcher)


def change(asked: Asked, id: str) -> Response:
    # When the next pass comes is not told here, nor when one is made: the catalog is not asked where something has just been written.
    body = asked.body(Difference)
    if body.files:
        asked.operator_only()
    named = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET and name not in ("aoi", "repair")}
    if not isinstance(body.aoi, UnsetType):
        named["aoi"] = aoi_of(body.aoi, body.repair, asked.owner)
    if not named:
        raise BadInput("nothing is to be different; name a field, such as state, name or max_cloud")
    before = {channel.id for channel in services.subscription(asked.backend, id, asked.owner).channels}
    changed = services.change(asked.backend, id, Change(**named), asked.owner, _expected())
    fresh = {way: secret for way, secret in _secrets(asked, changed.id).items() if way not in before} if body.webhooks else {}
    response = _tagged(documents.subscription(changed, fresh), changed)
    if fresh:
        response.headers["Cache-Control"] = "no-store"
    return response


def delete(asked: Asked, id: str) -> ResponseReturnValue:
    services.delete(asked.backend, id, asked.owner, _expected())
    return "", 204


def _tagged(told: dict[str, Any], watcher: Subscription) -> Response:
    """A subscription with its tag: before the point what If-Match is held to, which alerts that come do not change."""
    response = make_response(told)
    response.set_etag(f"{services.revision(watcher)}.{sha256(response.get_data()).hexdigest()[:16]}")
    return response


def _expected() -> set[str] | None:
    """The revisions that If-Match names; None where it takes any."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return None
    return {tag.partition(".")[0] for tag in request.if_match.as_set(include_weak=True)}


def renew_feed(asked: Asked, id: str) -> Response:
    """A new secret address, told here and with the subscription; the one before ends at once."""
    def work() -> ResponseReturnValue:
        told = documents.subscription(services.renew_feed(asked.backend, id, asked.owner))
        return {name: told[name] for name in ("subscription", "feed", "calendar")}

    return once(asked, work)


def end_feed(asked: Asked, id: str) -> ResponseReturnValue:
    services.end_feed(asked.backend, id, asked.owner)
    return "", 204


def rotate(asked: Asked, id: str, channel: str) -> Response:
    """A new secret for a webhook, told this once; the one before signs until the moment that is told too."""
    def work() -> ResponseReturnValue:
        watcher, way = services.rotate_secret(asked.backend, id, channel, asked.owner)
        return {"subscription": watcher.id, "channel": way.id, "target": way.target, "before_until": documents.moment(way.rotated[-1] + OVERLAP)}

    return once(asked, work, lambda told: {**told, "secret": _secrets(asked, told["subscription"]).get(told["channel"])})


def _secrets(asked: Asked, id: str) -> dict[str, str]:
    """The present secrets of a subscription's webhooks; none where it has ended since the answer that tells them was first given."""
    watcher = asked.backend.records.get(Subscription, id)
    return services.webhook_secrets(asked.backend, watcher) if watcher else {}


def alerts(asked: Asked, id: str) -> ResponseReturnValue:
    after, limit = asked.number("after", 0, 0, 10**9), asked.number("limit", 100, 1, MOST_ALERTS)
    lines = services.alerts(asked.backend, id, after, asked.owner, limit)
    return {"alerts": [documents.alert(line) for line in lines], "last": lines[-1].number if lines else after}


def results(asked: Asked, id: str) -> ResponseReturnValue:
    limit = asked.number("limit", MOST_RESULTS, 1, MOST_RESULTS)
    return {"jobs": [documents.job(job) for job in services.results(asked.backend, id, asked.owner)[-limit:]]}


def series(asked: Asked, id: str) -> ResponseReturnValue:
    index, form = request.args.get("index", "NDVI"), request.args.get("format", "json")
    if form not in ("json", "csv"):
        raise BadInput(f"format {form[:40]!r} is not offered; choose json or csv")
    rows = [documents.observation(seen) for seen in services.series(asked.backend, id, index, asked.owner)]
    if form == "csv":
        return Response(documents.table(rows, documents.OBSERVATION), content_type="text/csv; charset=utf-8; header=present",
                        headers={"Content-Disposition": 'attachment; filename="series.csv"'})
    return {"id": id, "index": index, "observations": rows}


ROUTES = (
    ("POST", "/subscriptions", create),
    ("POST", "/subscriptions/preview", preview),
    ("GET", "/subscriptions", list_),
    ("GET", "/subscriptions/<id>", show),
    ("PATCH", "/subscriptions/<id>", change),
    ("DELETE", "/subscriptions/<id>", delete),
    ("POST", "/subscriptions/<id>/feed", renew_feed),
    ("DELETE", "/subscriptions/<id>/feed", end_feed),
    ("POST", "/subscriptions/<id>/channels/<channel>/secret", rotate),
    ("GET", "/subscriptions/<id>/alerts", alerts),
    ("GET", "/subscriptions/<id>/results", results),
    ("GET", "/subscriptions/<id>/series", series),
)
