"""/subscriptions: who watches what."""

from typing import Any

import msgspec
from flask import Response, request
from flask.typing import ResponseReturnValue

from revisit import commands
from revisit.api.aois import aoi_of
from revisit.api.asked import Asked, asks, begin
from revisit.api.once import once
from revisit.commands import shown
from revisit.errors import BadInput
from revisit.recipe import Recipe
from revisit.subscription import OVERLAP, Channel, Subscription

MOST_ALERTS = MOST_RESULTS = 1000
"""Of one answer; the alerts that come first, the results that came last."""


class Watch(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /subscriptions."""

    aoi: dict[str, Any] | str
    name: str
    indices: tuple[str, ...] = ()
    bands: tuple[str, ...] = ()
    resolution_m: float | None = None
    resampling: str = "bilinear"
    level: str = "L2A"
    max_cloud: float | None = None
    min_clear: float | None = None
    webhooks: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    backfill: str | None = None
    repair: bool = False


class Wish(Watch, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /subscriptions/preview: what would be posted to /subscriptions, as far as it is decided."""

    name: str = "preview"
    begin: str | None = msgspec.field(default=None, name="from")


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """Body of PATCH /subscriptions/{id}."""

    state: str


def recipe_of(body: Any) -> Recipe:
    """The recipe a body names; NDVI where it names nothing."""
    return commands.recipe_of(body.indices, body.bands, body.resolution_m, body.resampling)


def create(asked: Asked) -> Response:
    def work() -> ResponseReturnValue:
        body = asked.body(Watch)
        channels = [*(Channel("webhook", url) for url in body.webhooks), *(Channel("file", name) for name in body.files)]
        if body.files:
            asked.operator_only()
        made = commands.subscribe(
            asked.backend, aoi_of(body.aoi, body.repair, asked.owner), body.name, recipe_of(body), body.level,  # type: ignore[arg-type]  # checked there
            body.max_cloud, body.min_clear, channels, begin(body.backfill), asked.owner)
        return shown.subscription(made), 201, {"Location": f"/subscriptions/{made.id}"}

    def with_secrets(told: dict[str, Any]) -> dict[str, Any]:
        secrets = _secrets(asked, told["subscription"])
        return {**told, "channels": [{**way, "secret": secrets[way["id"]]} if way["id"] in secrets else way for way in told["channels"]]}

    return once(asked, work, with_secrets)


@asks
def preview(asked: Asked) -> ResponseReturnValue:
    body = asked.body(Wish)
    wish = Subscription("", body.name.strip() or "preview", {}, (), recipe_of(body), asked.backend.now(), asked.owner, body.level,  # type: ignore[arg-type]  # checked there
                        body.max_cloud, body.min_clear)
    return shown.past(commands.past_of(asked.backend, aoi_of(body.aoi, body.repair, asked.owner), wish, begin(body.begin)))


def list_(asked: Asked) -> ResponseReturnValue:
    return {"subscriptions": [shown.subscription(one) for one in commands.subscriptions(asked.backend, asked.owner)]}


def show(asked: Asked, id: str) -> ResponseReturnValue:
    return shown.subscription(commands.subscription(asked.backend, id, asked.owner))


def change(asked: Asked, id: str) -> ResponseReturnValue:
    state = asked.body(Change).state
    verbs = {"paused": commands.pause, "active": commands.resume}
    if state not in verbs:
        raise BadInput(f"state {state[:40]!r} cannot be asked for; choose paused or active, or DELETE the subscription")
    return shown.subscription(verbs[state](asked.backend, id, asked.owner))


def delete(asked: Asked, id: str) -> ResponseReturnValue:
    commands.delete(asked.backend, id, asked.owner)
    return "", 204


def rotate(asked: Asked, id: str, channel: str) -> Response:
    """A new secret for a webhook, told this once; the one before signs until the moment that is told too."""
    def work() -> ResponseReturnValue:
        watcher, way = commands.rotate_secret(asked.backend, id, channel, asked.owner)
        return {"subscription": watcher.id, "channel": way.id, "target": way.target, "before_until": shown.moment(way.rotated[-1] + OVERLAP)}

    return once(asked, work, lambda told: {**told, "secret": _secrets(asked, told["subscription"]).get(told["channel"])})


def _secrets(asked: Asked, id: str) -> dict[str, str]:
    """The present secrets of a subscription's webhooks; none where it has ended since the answer that tells them was first given."""
    watcher = asked.backend.records.get(Subscription, id)
    return commands.webhook_secrets(asked.backend, watcher) if watcher else {}


def alerts(asked: Asked, id: str) -> ResponseReturnValue:
    after, limit = asked.number("after", 0, 0, 10**9), asked.number("limit", 100, 1, MOST_ALERTS)
    lines = commands.alerts(asked.backend, id, after, asked.owner, limit)
    return {"alerts": [shown.alert(line) for line in lines], "last": lines[-1].number if lines else after}


def results(asked: Asked, id: str) -> ResponseReturnValue:
    limit = asked.number("limit", MOST_RESULTS, 1, MOST_RESULTS)
    return {"jobs": [shown.job(job) for job in commands.results(asked.backend, id, asked.owner)[-limit:]]}


def series(asked: Asked, id: str) -> ResponseReturnValue:
    index, form = request.args.get("index", "NDVI"), request.args.get("format", "json")
    if form not in ("json", "csv"):
        raise BadInput(f"format {form[:40]!r} is not offered; choose json or csv")
    rows = [shown.observation(seen) for seen in commands.series(asked.backend, id, index, asked.owner)]
    if form == "csv":
        return Response(shown.table(rows, shown.OBSERVATION), content_type="text/csv; charset=utf-8; header=present",
                        headers={"Content-Disposition": 'attachment; filename="series.csv"'})
    return {"id": id, "index": index, "observations": rows}


ROUTES = (
    ("POST", "/subscriptions", create),
    ("POST", "/subscriptions/preview", preview),
    ("GET", "/subscriptions", list_),
    ("GET", "/subscriptions/<id>", show),
    ("PATCH", "/subscriptions/<id>", change),
    ("DELETE", "/subscriptions/<id>", delete),
    ("POST", "/subscriptions/<id>/channels/<channel>/secret", rotate),
    ("GET", "/subscriptions/<id>/alerts", alerts),
    ("GET", "/subscriptions/<id>/results", results),
    ("GET", "/subscriptions/<id>/series", series),
)
