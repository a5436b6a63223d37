"""Publishes events to Pub/Sub topics by the JSON API.

The session is google-auth's own (`AuthorizedSession`), since it also renews the access token; retries are
ours.
"""

import base64
import logging
from collections.abc import Sequence
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from revisit.adapters.gcp.errors import TRANSIENT_ERRORS, translate_errors
from revisit.adapters.gcp.settings import Settings
from revisit.errors import PermanentError, TransientError
from revisit.net.retry import RetryPolicy
from revisit.ports.batch_sizes import MAX_EVENTS_PER_REQUEST
from revisit.ports.cloudevents import Envelope

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession

RETRY = RetryPolicy(first_delay_s=0.2, max_delay_s=4.0, max_elapsed_s=15.0, full_jitter=True)
ATTEMPT_TIMEOUT_S = 5.0
"""Longest that one attempt may wait for a response."""
SCOPE = "https://www.googleapis.com/auth/pubsub"

log = logging.getLogger("revisit")


class Publisher:
    """Publishes events without Google's streaming client, which adds 110 ms to a cold start."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def publish(self, envelopes: Sequence[Envelope]) -> list[bool]:
        """Publish events.

        Returns:
            Whether each was published. Failures are logged; those events stay in the outbox.
        """
        positions_by_topic: dict[str, list[int]] = {}
        for position, envelope in enumerate(envelopes):
            positions_by_topic.setdefault(envelope.event.topic, []).append(position)
        published = [False] * len(envelopes)
        for topic, positions in positions_by_topic.items():
            for start in range(0, len(positions), MAX_EVENTS_PER_REQUEST):
                batch = positions[start : start + MAX_EVENTS_PER_REQUEST]
                if self._publish_batch(topic, [envelopes[position] for position in batch]):
                    for position in batch:
                        published[position] = True
        return published

    def _publish_batch(self, topic: str, envelopes: list[Envelope]) -> bool:
        try:
            with translate_errors(
                "Pub/Sub", f"the topic {topic} of project {self._settings.project}", "roles/pubsub.publisher"
            ):
                RETRY.call(lambda: self._post(topic, envelopes), TRANSIENT_ERRORS)
        except (TransientError, PermanentError, exceptions.GoogleAPICallError) as error:
            for envelope in envelopes:
                log.error("%s %s waits in the outbox: %s", topic, envelope.event.subject, error)
            return False
        return True

    def _post(self, topic: str, envelopes: list[Envelope]) -> None:
        """Publish all of the events or none, in one request.

        https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish
        """
        messages: list[Any] = [
            {"data": base64.b64encode(envelope.encode()).decode(), "attributes": envelope.attributes}
            for envelope in envelopes
        ]
        url = f"{self._settings.pubsub_url}/v1/projects/{self._settings.project}/topics/{topic}:publish"
        try:
            response = self._session.post(url, json={"messages": messages}, timeout=ATTEMPT_TIMEOUT_S)
        except OSError as error:
            # requests raises subclasses of OSError, which are none of Python's ConnectionError.
            raise ConnectionError(str(error)) from error
        if response.status_code != HTTPStatus.OK:
            raise exceptions.from_http_response(response)

    @cached_property
    def _session(self) -> "AuthorizedSession":
        import google.auth
        from google.auth.credentials import AnonymousCredentials
        from google.auth.transport.requests import AuthorizedSession

        credentials = (
            AnonymousCredentials() if self._settings.uses_emulator else google.auth.default(scopes=[SCOPE])[0]
        )
        return AuthorizedSession(credentials)
