"""/feeds: a subscription's alerts as Atom and its next passes as a calendar, at a secret address."""

import hmac

from flask import Response, request

from revisit.api.http.request_context import RequestContext, Route
from revisit.delivery import atom_feed
from revisit.domain.aoi import AOI
from revisit.domain.subscription import Subscription
from revisit.errors import NotFoundError
from revisit.services.products.passes import MAX_DAYS, upcoming_passes
from revisit.services.subscriptions.results import list_alerts


def atom(context: RequestContext, token: str) -> Response:
    subscription = _find_subscription(context, token)
    alerts = list_alerts(
        context.backend,
        subscription.id,
        max(0, subscription.alerts - atom_feed.MAX_ENTRIES),
        subscription.owner,
    )
    return Response(
        atom_feed.render_feed(subscription, alerts, request.url_root),
        content_type=f"{atom_feed.MEDIA_TYPE}; charset=utf-8",
    )


def calendar(context: RequestContext, token: str) -> Response:
    from revisit.delivery.icalendar import MEDIA_TYPE, render_calendar

    subscription = _find_subscription(context, token)
    passes = upcoming_passes(context.backend, AOI.from_normalized(subscription.aoi), days=MAX_DAYS)
    return Response(
        render_calendar(passes, f"Sentinel-2 over {subscription.name}", context.backend.now()),
        content_type=MEDIA_TYPE,
    )


def _find_subscription(context: RequestContext, token: str) -> Subscription:
    subscription = context.backend.records.get(Subscription, token.partition("-")[0])
    if (
        subscription is None
        or subscription.state == "deleted"
        or not hmac.compare_digest(subscription.feed_token.encode(), token.encode())
    ):
        raise NotFoundError("there is no such feed; its current address is shown with the subscription")
    return subscription


ROUTES = (
    Route("GET", "/feeds/<token>.atom", atom),
    Route("GET", "/feeds/<token>.ics", calendar),
)
