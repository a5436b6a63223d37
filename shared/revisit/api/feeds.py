"""/feeds: a subscription's alerts as Atom, for whoever knows the secret address."""

import hmac

from flask import Response, request

from revisit import commands, feed
from revisit.api.asked import Asked
from revisit.errors import NotFound
from revisit.subscription import Subscription


def show(asked: Asked, token: str) -> Response:
    watcher = asked.backend.records.get(Subscription, token.partition("-")[0])
    if watcher is None or watcher.state == "deleted" or not hmac.compare_digest(watcher.feed_token.encode(), token.encode()):
        raise NotFound("there is no such feed; its address is part of the subscription")
    lines = commands.alerts(asked.backend, watcher.id, max(0, watcher.alerts - feed.LENGTH), watcher.owner)
    return Response(feed.atom(watcher, lines, request.url_root), content_type=f"{feed.MEDIA_TYPE}; charset=utf-8")


ROUTES = (("GET", "/feeds/<token>.atom", show),)
