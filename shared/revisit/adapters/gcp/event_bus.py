"""The bus on Pub/Sub: one topic an event, one push subscription a hearer, and what it gave up taken in as
dead letters."""

import base64
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from revisit.adapters.gcp.errors import translate_errors
from revisit.adapters.gcp.outbox import Outbox
from revisit.adapters.gcp.settings import Settings
from revisit.domain.clock import Clock
from revisit.errors import PermanentError
from revisit.ports.event_bus import BusStatistics, QueueDepth
from revisit.ports.system_records import DeadLetter
from revisit.ports.topology import functions_for

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import SubscriberClient

    from revisit.adapters.gcp.monitoring import Monitoring

DEAD_LETTER_TOPIC = "dead-letters"
"""Topic and subscription of what was delivered in vain too often."""
ACK_TIMEOUT_S = 15.0
"""Longest that letting go of one may take."""
PULL_TIMEOUT_S = 2.0
"""How long to wait for one: Pub/Sub keeps who asks waiting where there is none."""
SOURCE_ATTRIBUTE = "CloudPubSubDeadLetterSourceSubscription"
DELIVERY_COUNT_ATTRIBUTE = "CloudPubSubDeadLetterSourceDeliveryCount"
"""Attributes that Pub/Sub adds to a dead letter."""


def subscription_name(function: str, topic: str) -> str:
    """Of the push subscription that carries a topic to a function: Terraform names them so."""
    return f"{function}.{topic}"


class PubSubBus:
    """The Bus port on one project's topics."""

    def __init__(
        self, settings: Settings, outbox: Outbox, now: Clock, monitoring: "Monitoring | None" = None
    ) -> None:
        """
        Args:
            monitoring: Knows what Pub/Sub holds; that of the project if not given.
        """
        self._settings = settings
        self._outbox = outbox
        self._now = now
        self._given_monitoring = monitoring

    def publish_pending(self) -> int:
        """Publish what a crash left in the outbox; returns how many."""
        return self._outbox.sweep()

    def collect_dead_letters(self, save: Callable[[DeadLetter], None], limit: int = 500) -> int:
        """Hand over what Pub/Sub delivered in vain too often; each is let go once `keep` returns. Returns how
        many."""
        path, kept = f"projects/{self._settings.project}/subscriptions/{DEAD_LETTER_TOPIC}", 0
        with translate_errors(
            "Pub/Sub",
            f"the subscription {DEAD_LETTER_TOPIC} of project {self._settings.project}",
            "roles/pubsub.subscriber",
        ):
            while kept < limit:
                try:
                    pulled = self._subscriber.pull(
                        subscription=path, max_messages=100, timeout=PULL_TIMEOUT_S, retry=None
                    ).received_messages
                except exceptions.DeadlineExceeded:
                    return kept
                if not pulled:
                    return kept
                for one in pulled:
                    save(to_dead_letter(one.message, self._now()))
                    self._subscriber.acknowledge(
                        subscription=path, ack_ids=[one.ack_id], timeout=ACK_TIMEOUT_S
                    )
                    kept += 1
        return kept

    def depth(self) -> list[QueueDepth]:
        """What is committed but not yet published, by function and lane."""
        waiting: dict[tuple[str, str], list[datetime]] = {}
        for topic, lane, at in self._outbox.pending():
            for function in functions_for(topic):
                waiting.setdefault((function, lane), []).append(at)
        return [
            QueueDepth(
                function,
                "backfill" if lane == "backfill" else "live",
                len(times),
                0,
                0,
                max(0.0, (self._now() - min(times)).total_seconds()),
            )
            for (function, lane), times in sorted(waiting.items())
        ]

    def statistics(self) -> BusStatistics:
        """What Pub/Sub holds, some minutes ago; a note where nobody tells."""
        return self._monitoring.statistics()

    def check(self) -> list[str]:
        """What is wrong with the topics and subscriptions, one sentence each."""
        from revisit.adapters.gcp.pubsub_check import check

        return check(self._settings.project, DEAD_LETTER_TOPIC)

    @cached_property
    def _monitoring(self) -> "Monitoring":
        from revisit.adapters.gcp.monitoring import Monitoring

        return self._given_monitoring or Monitoring(self._settings, self._now)

    @cached_property
    def _subscriber(self) -> "SubscriberClient":
        from google.cloud.pubsub_v1 import SubscriberClient

        return SubscriberClient()


def to_dead_letter(message: Any, now: datetime) -> DeadLetter:
    """What Pub/Sub gave up, as a dead letter; its id is that which the function itself would have given
    it."""
    from revisit.ports import cloudevents as wire

    attributes = dict(message.attributes)
    function, _, topic = attributes.get(SOURCE_ATTRIBUTE, "").partition(".")
    attempts = int(attributes.get(DELIVERY_COUNT_ATTRIBUTE) or 0)
    try:
        envelope = wire.from_push(
            {"data": base64.b64encode(message.data).decode(), "publishTime": message.publish_time}
        )
        id, topic, body = f"{envelope.id}:{function or 'unread'}", envelope.event.topic, message.data.decode()
    except PermanentError:
        id, body = f"{message.message_id}:{function or 'unread'}", base64.b64encode(message.data).decode()
    return DeadLetter(
        id,
        function,
        topic,
        f"given up after {attempts} attempts: each ended in an error or without an answer",
        now,
        attempts,
        body,
    )
