"""/subscriptions: create, change, list and delete subscriptions; alerts, results and series."""

from hashlib import sha256
from typing import Any

import msgspec
from flask import Response, make_response, request
from flask.typing import ResponseReturnValue
from msgspec import UNSET, UnsetType

from revisit.api.http.request_context import Names, RequestContext, Route, parse_period_start
from revisit.api.routes.aoi_input import parse_aoi
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import SECRET_OVERLAP, Channel, Subscription
from revisit.errors import InvalidInputError
from revisit.presenters import documents
from revisit.presenters.csv_table import OBSERVATION_COLUMNS, to_csv
from revisit.services.orders.resolve_recipe import build_recipe, resolve_recipe
from revisit.services.products.passes import next_passes
from revisit.services.subscriptions.create import create_subscription, new_limits
from revisit.services.subscriptions.lifecycle import delete_subscription
from revisit.services.subscriptions.preview import preview_subscription
from revisit.services.subscriptions.records import get_subscription, list_subscriptions, revision
from revisit.services.subscriptions.results import get_series, list_alerts, list_latest_jobs, with_last_alert
from revisit.services.subscriptions.update import (
    SubscriptionUpdate,
    revoke_feed_token,
    rotate_feed_token,
    rotate_secret,
    update_subscription,
    webhook_secrets,
)

MAX_ALERTS = MAX_RESULTS = 1000
"""Entries of one page."""


class CreateSubscriptionBody(msgspec.Struct, forbid_unknown_fields=True):
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
    min_coverage: float | UnsetType | None = UNSET
    min_clear_of: str | UnsetType = UNSET
    webhooks: Names = ()
    files: Names = ()
    backfill: str | None = None
    repair: bool = False


class PreviewSubscriptionBody(CreateSubscriptionBody, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /subscriptions/preview: a possibly incomplete body of POST /subscriptions."""

    name: str = "preview"
    begin: str | None = msgspec.field(default=None, name="from")


class UpdateSubscriptionBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of PATCH /subscriptions/{id}: omitted members stay; null removes a limit."""

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
    min_coverage: float | UnsetType | None = UNSET
    min_clear_of: str | UnsetType = UNSET
    webhooks: Names | UnsetType = UNSET
    files: Names | UnsetType = UNSET
    repair: bool = False


def recipe_from_body(body: Any) -> Recipe:
    """The recipe of a body; NDVI by default."""
    return build_recipe(body.indices, body.bands, body.resolution_m, body.resampling)


def create(context: RequestContext) -> ResponseReturnValue:
    body = context.decode_body(CreateSubscriptionBody)
    if body.files:
        context.require_operator()
    channels = [
        *(Channel("webhook", url) for url in body.webhooks),
        *(Channel("file", name) for name in body.files),
    ]
    subscription = create_subscription(
        context.backend,
        parse_aoi(body.aoi, body.repair, context.owner_id),
        body.name,
        recipe_from_body(body),
        body.level,  # type: ignore[arg-type]  # checked by Subscription
        body.max_cloud,
        body.min_clear,
        channels,
        parse_period_start(body.backfill),
        context.owner_id,
        defer_listing=True,
        min_coverage=body.min_coverage,
        min_clear_of=body.min_clear_of,  # type: ignore[arg-type]  # checked by Subscription
    )
    return documents.subscription(subscription), 201, {"Location": f"/subscriptions/{subscription.id}"}


def add_channel_secrets(context: RequestContext, document: dict[str, Any]) -> dict[str, Any]:
    """The answer to POST /subscriptions with the secret of each webhook."""
    secrets = _webhook_secrets(context, document["subscription"])
    channels = [
        {**channel, "secret": secrets[channel["id"]]} if channel["id"] in secrets else channel
        for channel in document["channels"]
    ]
    return {**document, "channels": channels}


def preview(context: RequestContext) -> ResponseReturnValue:
    body = context.decode_body(PreviewSubscriptionBody)
    draft = Subscription(
        "",
        body.name.strip() or "preview",
        {},
        (),
        resolve_recipe(recipe_from_body(body)),
        context.backend.now(),
        context.owner_id,
        body.level,  # type: ignore[arg-type]  # checked by Subscription
        body.max_cloud,
        **new_limits(body.min_clear, body.min_coverage, body.min_clear_of),  # type: ignore[arg-type]
    )
    return documents.subscription_preview(
        preview_subscription(
            context.backend,
            parse_aoi(body.aoi, body.repair, context.owner_id),
            draft,
            parse_period_start(body.begin),
        )
    )


def list_(context: RequestContext) -> ResponseReturnValue:
    subscriptions = list_subscriptions(context.backend, context.owner_id)
    expected = next_passes(context.resources.recent_products, subscriptions, context.backend.now())
    return {
        "subscriptions": [
            documents.subscription(with_last_alert(context.backend, one), next_pass=expected.get(one.id))
            for one in subscriptions
        ]
    }


def show(context: RequestContext, id: str) -> Response:
    subscription = with_last_alert(context.backend, get_subscription(context.backend, id, context.owner_id))
    expected = next_passes(context.resources.recent_products, [subscription], context.backend.now())
    return _with_etag(
        documents.subscription(subscription, next_pass=expected.get(subscription.id)), subscription
    )


def update(context: RequestContext, id: str) -> Response:
    # Responses to changes have no next pass: they do not wait for the catalog.
    body = context.decode_body(UpdateSubscriptionBody)
    if body.files:
        context.require_operator()
    changes = {
        name: value
        for name, value in msgspec.structs.asdict(body).items()
        if value is not UNSET and name not in ("aoi", "repair")
    }
    if not isinstance(body.aoi, UnsetType):
        changes["aoi"] = parse_aoi(body.aoi, body.repair, context.owner_id)
    if not changes:
        raise InvalidInputError("nothing to change; name a member such as state, name or max_cloud")
    channel_ids_before = {
        channel.id for channel in get_subscription(context.backend, id, context.owner_id).channels
    }
    updated = update_subscription(
        context.backend, id, SubscriptionUpdate(**changes), context.owner_id, _if_match_revisions()
    )
    new_secrets = (
        {
            id: secret
            for id, secret in _webhook_secrets(context, updated.id).items()
            if id not in channel_ids_before
        }
        if body.webhooks
        else {}
    )
    response = _with_etag(documents.subscription(updated, new_secrets), updated)
    if new_secrets:
        response.headers["Cache-Control"] = "no-store"
    return response


def delete(context: RequestContext, id: str) -> ResponseReturnValue:
    delete_subscription(context.backend, id, context.owner_id, _if_match_revisions())
    return "", 204


def _with_etag(document: dict[str, Any], subscription: Subscription) -> Response:
    """A subscription with its ETag; the part before the point is its revision, which new alerts keep."""
    response = make_response(document)
    response.set_etag(f"{revision(subscription)}.{sha256(response.get_data()).hexdigest()[:16]}")
    return response


def _if_match_revisions() -> set[str] | None:
    """The revisions in If-Match; None where it accepts any."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return None
    return {tag.partition(".")[0] for tag in request.if_match.as_set(include_weak=True)}


def renew_feed(context: RequestContext, id: str) -> ResponseReturnValue:
    """Replace the secret addresses of feed and calendar; the old ones stop working."""
    document = documents.subscription(rotate_feed_token(context.backend, id, context.owner_id))
    return {name: document[name] for name in ("subscription", "feed", "calendar")}


def end_feed(context: RequestContext, id: str) -> ResponseReturnValue:
    revoke_feed_token(context.backend, id, context.owner_id)
    return "", 204


def renew_secret(context: RequestContext, id: str, channel: str) -> ResponseReturnValue:
    """Replace the secret of a webhook; the old one still signs until `before_until`."""
    subscription, webhook = rotate_secret(context.backend, id, channel, context.owner_id)
    return {
        "subscription": subscription.id,
        "channel": webhook.id,
        "target": webhook.target,
        "before_until": documents.json_time(webhook.rotated[-1] + SECRET_OVERLAP),
    }


def add_renewed_secret(context: RequestContext, document: dict[str, Any]) -> dict[str, Any]:
    """The answer to a rotation with the new secret."""
    secrets = _webhook_secrets(context, document["subscription"])
    return {**document, "secret": secrets.get(document["channel"])}


def _webhook_secrets(context: RequestContext, id: str) -> dict[str, str]:
    """The current webhook secrets; none if the subscription was deleted since the stored answer."""
    subscription = context.backend.records.get(Subscription, id)
    return webhook_secrets(context.backend, subscription) if subscription else {}


def alerts(context: RequestContext, id: str) -> ResponseReturnValue:
    after, limit = context.query_int("after", 0, 0, 10**9), context.query_int("limit", 100, 1, MAX_ALERTS)
    found = list_alerts(context.backend, id, after, context.owner_id, limit)
    return {"alerts": [documents.alert(line) for line in found], "last": found[-1].number if found else after}


def results(context: RequestContext, id: str) -> ResponseReturnValue:
    limit = context.query_int("limit", MAX_RESULTS, 1, MAX_RESULTS)
    latest = list_latest_jobs(context.backend, id, context.owner_id, limit)
    return {"jobs": [documents.job(job) for job in latest]}


def series(context: RequestContext, id: str) -> ResponseReturnValue:
    index, form = request.args.get("index", "NDVI"), request.args.get("format", "json")
    if form not in ("json", "csv"):
        raise InvalidInputError(f"format {form[:40]!r} is not offered; choose json or csv")
    rows = [documents.observation(seen) for seen in get_series(context.backend, id, index, context.owner_id)]
    if form == "csv":
        return Response(
            to_csv(rows, OBSERVATION_COLUMNS),
            content_type="text/csv; charset=utf-8; header=present",
            headers={"Content-Disposition": 'attachment; filename="series.csv"'},
        )
    return {"id": id, "index": index, "observations": rows}


ROUTES = (
    Route("POST", "/subscriptions", create, idempotent=True, add_secrets=add_channel_secrets),
    Route("POST", "/subscriptions/preview", preview, read_only=True),
    Route("GET", "/subscriptions", list_),
    Route("GET", "/subscriptions/<id>", show),
    Route("PATCH", "/subscriptions/<id>", update),
    Route("DELETE", "/subscriptions/<id>", delete),
    Route("POST", "/subscriptions/<id>/feed", renew_feed, idempotent=True),
    Route("DELETE", "/subscriptions/<id>/feed", end_feed),
    Route(
        "POST",
        "/subscriptions/<id>/channels/<channel>/secret",
        renew_secret,
        idempotent=True,
        add_secrets=add_renewed_secret,
    ),
    Route("GET", "/subscriptions/<id>/alerts", alerts),
    Route("GET", "/subscriptions/<id>/results", results),
    Route("GET", "/subscriptions/<id>/series", series),
)
