"""Event bus on Pub/Sub: a topic per event type, a push subscription per function, a dead-letter topic."""

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

    from revisit.adapters.gcp.queue_metrics import Monitoring

DEAD_LETTER_TOPIC = "dead-letters"
"""Topic and subscription of messages whose delivery failed too often."""
ACK_TIMEOUT_S = 15.0
"""Time-out of an acknowledgement, seconds."""
PULL_TIMEOUT_S = 2.0
"""Time-out of a pull, seconds: Pub/Sub holds the request while there are no messages."""
SOURCE_ATTRIBUTE = "CloudPubSubDeadLetterSourceSubscription"
DELIVERY_COUNT_ATTRIBUTE = "CloudPubSubDeadLetterSourceDeliveryCount"
"""Attributes that Pub/Sub adds to a dead letter."""


class PubSubBus:
    """The Bus port on one project's topics."""

    def __init__(
        self, settings: Settings, outbox: Outbox, now: Clock, monitoring: "Monitoring | None" = None
    ) -> None:
        """
        Args:
            settings: The deployment.
            outbox: The transactional outbox.
            now: The clock.
            monitoring: Source of queue depths; None uses Cloud Monitoring.
        """
        self._settings = settings
        self._outbox = outbox
        self._now = now
        self._given_monitoring = monitoring

    def publish_pending(self) -> int:
        """See `Bus.publish_pending`."""
        return self._outbox.sweep()

    def collect_dead_letters(self, save: Callable[[DeadLetter], None], limit: int = 500) -> int:
        """See `Bus.collect_dead_letters`; takes at most `limit`."""
        path, saved = f"projects/{self._settings.project}/subscriptions/{DEAD_LETTER_TOPIC}", 0
        with translate_errors(
            "Pub/Sub",
            f"the subscription {DEAD_LETTER_TOPIC} of project {self._settings.project}",
            "roles/pubsub.subscriber",
        ):
            while saved < limit:
                try:
                    pulled = self._subscriber.pull(
                        subscription=path, max_messages=100, timeout=PULL_TIMEOUT_S, retry=None
                    ).received_messages
                except exceptions.DeadlineExceeded:
                    return saved
                if not pulled:
                    return saved
                for received in pulled:
                    save(to_dead_letter(received.message, self._now()))
                    self._subscriber.acknowledge(
                        subscription=path, ack_ids=[received.ack_id], timeout=ACK_TIMEOUT_S
                    )
                    saved += 1
        return saved

    def depth(self) -> list[QueueDepth]:
        """Events that are committed and not yet published, by function and lane."""
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
        """Queue depths of Pub/Sub, some minutes old; a note if they are unknown."""
        return self._monitoring.statistics()

    def check(self) -> list[str]:
        """Faults of the topics and subscriptions; see `SupportsCheck`."""
        from revisit.adapters.gcp.pubsub_check import check

        return check(self._settings.project, DEAD_LETTER_TOPIC)

    @cached_property
    def _monitoring(self) -> "Monitoring":
        from revisit.adapters.gcp.queue_metrics import Monitoring

        return self._given_monitoring or Monitoring(self._settings, self._now)

    @cached_property
    def _subscriber(self) -> "SubscriberClient":
        from google.cloud.pubsub_v1 import SubscriberClient

        return SubscriberClient()


def to_dead_letter(message: Any, now: datetime) -> DeadLetter:
    """A message of the dead-letter topic as a dead letter, with the id that the function would have given
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
        f"failed after {attempts} attempts: each ended in an error or without an answer",
        now,
        attempts,
        body,
    )
