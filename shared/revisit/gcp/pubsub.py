"""The bus on Pub/Sub: one topic an event, one push subscription a hearer, and what it gave up taken in as dead letters."""

import base64
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from revisit.bookkeeping import DeadLetter
from revisit.clock import Clock
from revisit.errors import GiveUp, Retry
from revisit.gcp.failure import asking
from revisit.gcp.outbox import Outbox
from revisit.gcp.settings import Settings
from revisit.ports import Carried, Depth
from revisit.wire import Envelope
from revisit.wiring import hearers

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud.pubsub_v1 import SubscriberClient

    from revisit.gcp.monitoring import Monitoring

DEAD_LETTERS = "dead-letters"
"""Topic and subscription of what was delivered in vain too often."""
SECONDS = 15.0
"""Longest that publishing may take, its tries included."""
TRY_S = 5.0
"""Longest that one try may wait for an answer."""
AT_ONCE = 500
"""Events in one request, which may have 1,000 and 10 MB."""
SCOPE = "https://www.googleapis.com/auth/pubsub"
LOOK_S = 2.0
"""How long to wait for one: Pub/Sub keeps who asks waiting where there is none."""
SOURCE = "CloudPubSubDeadLetterSourceSubscription"
DELIVERIES = "CloudPubSubDeadLetterSourceDeliveryCount"
"""Attributes that Pub/Sub adds to a dead letter."""

log = logging.getLogger("revisit")


def subscription_name(function: str, topic: str) -> str:
    """Of the push subscription that carries a topic to a function: Terraform names them so."""
    return f"{function}.{topic}"


class Publisher:
    """Puts events on their topics: by the JSON API, since a function that publishes a handful need not load the client for streams
    (110 ms of a cold start)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def publish(self, envelopes: Sequence[Envelope]) -> list[bool]:
        """Publish events; says of each whether it is out. What failed is logged and may be tried again."""
        places: dict[str, list[int]] = {}
        for place, envelope in enumerate(envelopes):
            places.setdefault(envelope.event.topic, []).append(place)
        out = [False] * len(envelopes)
        for topic, of in places.items():
            for start in range(0, len(of), AT_ONCE):
                together = of[start:start + AT_ONCE]
                if self._arrived(topic, [envelopes[place] for place in together]):
                    for place in together:
                        out[place] = True
        return out

    def _arrived(self, topic: str, envelopes: list[Envelope]) -> bool:
        try:
            with asking("Pub/Sub", f"the topic {topic} of project {self._settings.project}", "roles/pubsub.publisher"):
                self._patience(self._post)(topic, envelopes)
        except (Retry, GiveUp, exceptions.GoogleAPICallError) as error:
            for envelope in envelopes:
                log.error("%s %s waits in the outbox: %s", topic, envelope.event.subject, error)
            return False
        return True

    def _post(self, topic: str, envelopes: list[Envelope]) -> None:
        """One request, which takes all of them or none (https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish)."""
        messages: list[Any] = [{"data": base64.b64encode(envelope.encode()).decode(), "attributes": envelope.attributes} for envelope in envelopes]
        answer = self._session.post(f"{self._settings.pubsub}/v1/projects/{self._settings.project}/topics/{topic}:publish",
                                    json={"messages": messages}, timeout=TRY_S)
        if answer.status_code != HTTPStatus.OK:
            raise exceptions.from_http_response(answer)

    @cached_property
    def _patience(self) -> Any:
        from google.api_core.retry import Retry as Retrying
        from google.api_core.retry import if_transient_error

        # No connection, or no answer in time, is an OSError here.
        return Retrying(lambda error: isinstance(error, OSError) or if_transient_error(error), initial=0.2, maximum=4.0, timeout=SECONDS)

    @cached_property
    def _session(self) -> "AuthorizedSession":
        import google.auth
        from google.auth.credentials import AnonymousCredentials
        from google.auth.transport.requests import AuthorizedSession

        credentials = AnonymousCredentials() if self._settings.emulated else google.auth.default(scopes=[SCOPE])[0]
        return AuthorizedSession(credentials)


class PubSubBus:
    """The Bus port on one project's topics."""

    def __init__(self, settings: Settings, outbox: Outbox, now: Clock, monitoring: "Monitoring | None" = None) -> None:
        """
        Args:
            monitoring: Knows what Pub/Sub holds; that of the project if not given.
        """
        self._settings = settings
        self._outbox = outbox
        self._now = now
        self._named = monitoring

    def relay(self) -> int:
        """Publish what a crash left in the outbox; returns how many."""
        return self._outbox.sweep()

    def collect(self, keep: Callable[[DeadLetter], None], limit: int = 500) -> int:
        """Hand over what Pub/Sub delivered in vain too often; each is let go once `keep` returns. Returns how many."""
        path, kept = f"projects/{self._settings.project}/subscriptions/{DEAD_LETTERS}", 0
        with asking("Pub/Sub", f"the subscription {DEAD_LETTERS} of project {self._settings.project}", "roles/pubsub.subscriber"):
            while kept < limit:
                try:
                    pulled = self._subscriber.pull(subscription=path, max_messages=100, timeout=LOOK_S, retry=None).received_messages
                except exceptions.DeadlineExceeded:
                    return kept
                if not pulled:
                    return kept
                for one in pulled:
                    keep(letter_of(one.message, self._now()))
                    self._subscriber.acknowledge(subscription=path, ack_ids=[one.ack_id], timeout=SECONDS)
                    kept += 1
        return kept

    def depth(self) -> list[Depth]:
        """What is committed but not yet published, by function and lane."""
        waiting: dict[tuple[str, str], list[datetime]] = {}
        for topic, lane, at in self._outbox.waiting():
            for function in hearers(topic):
                waiting.setdefault((function, lane), []).append(at)
        return [Depth(function, "backfill" if lane == "backfill" else "live", len(times), 0, 0,
                      max(0.0, (self._now() - min(times)).total_seconds()))
                for (function, lane), times in sorted(waiting.items())]

    def carried(self) -> Carried:
        """What Pub/Sub holds, some minutes ago; a note where nobody tells."""
        return self._monitoring.carried()

    def check(self) -> list[str]:
        """What is wrong with the topics and subscriptions, one sentence each."""
        from revisit.gcp.checkup import check

        return check(self._settings.project, DEAD_LETTERS)

    @cached_property
    def _monitoring(self) -> "Monitoring":
        from revisit.gcp.monitoring import Monitoring

        return self._named or Monitoring(self._settings, self._now)

    @cached_property
    def _subscriber(self) -> "SubscriberClient":
        from google.cloud.pubsub_v1 import SubscriberClient

        return SubscriberClient()


def letter_of(message: Any, now: datetime) -> DeadLetter:
    """What Pub/Sub gave up, as a dead letter; its id is that which the function itself would have given it."""
    from revisit import wire

    attributes = dict(message.attributes)
    function, _, topic = attributes.get(SOURCE, "").partition(".")
    attempts = int(attributes.get(DELIVERIES) or 0)
    try:
        envelope = wire.from_push({"data": base64.b64encode(message.data).decode(), "publishTime": message.publish_time})
        id, topic, body = f"{envelope.id}:{function or 'unread'}", envelope.event.topic, message.data.decode()
    except GiveUp:
        id, body = f"{message.message_id}:{function or 'unread'}", base64.b64encode(message.data).decode()
    return DeadLetter(id, function, topic, f"given up after {attempts} attempts: each ended in an error or without an answer",
                      now, attempts, body)
