"""/feeds: a subscription's alerts as Atom, and its next passes as a calendar, for whoever knows the secret address."""

import hmac

from flask import Response, request

from revisit import services
from revisit.api.http.request_context import Asked
from revisit.delivery import atom_feed
from revisit.domain.aoi import AOI
from revisit.domain.subscription import Subscription
from revisit.errors import NotFound
from revisit.services.products.passes import MOST_DAYS, passes_of


def show(asked: Asked, token: str) -> Response:
    watcher = _of(asked, token)
    lines = services.alerts(asked.backend, watcher.id, max(0, watcher.alerts - atom_feed.LENGTH), watcher.owner)
    return Response(atom_feed.atom(watcher, lines, request.url_root), content_type=f"{atom_feed.MEDIA_TYPE}; charset=utf-8")


def calendar(asked: Asked, token: str) -> Response:
    from revisit.delivery.icalendar import MEDIA_TYPE
    from revisit.delivery.icalendar import calendar as written

    watcher = _of(asked, token)
    passes = passes_of(asked.backend, AOI.of(watcher.aoi), days=MOST_DAYS)
    return Response(written(passes, f"Sentinel-2 over {watcher.name}", asked.backend.now()), content_type=MEDIA_TYPE)


def _of(asked: Asked, token: str) -> Subscription:
    watcher = asked.backend.records.get(Subscription, token.partition("-")[0])
    if watcher is None or watcher.state == "deleted" or not hmac.compare_digest(watcher.feed_token.encode(), token.encode()):
        raise NotFound("there is no such feed; its address is part of the subscription")
    return watcher


ROUTES = (
    ("GET", "/feeds/<token>.atom", show),
    ("GET", "/feeds/<token>.ics", calendar),
)
