"""Puts events on their topics."""

import base64
import logging
from collections.abc import Sequence
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from revisit.adapters.gcp.errors import translate_errors
from revisit.adapters.gcp.settings import Settings
from revisit.errors import PermanentError, TransientError
from revisit.ports.cloudevents import Envelope

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession

PUBLISH_TIMEOUT_S = 15.0
"""Longest that publishing may take, its tries included."""
ATTEMPT_TIMEOUT_S = 5.0
"""Longest that one try may wait for an answer."""
MAX_BATCH_EVENTS = 500
"""Events in one request, which may have 1,000 and 10 MB."""
SCOPE = "https://www.googleapis.com/auth/pubsub"

log = logging.getLogger("revisit")


class Publisher:
    """Puts events on their topics: by the JSON API, since a function that publishes a handful need not load
    the client for streams
    (110 ms of a cold start)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def publish(self, envelopes: Sequence[Envelope]) -> list[bool]:
        """Publish events; says of each whether it is out. What failed is logged and may be tried again."""
        positions_by_topic: dict[str, list[int]] = {}
        for position, envelope in enumerate(envelopes):
            positions_by_topic.setdefault(envelope.event.topic, []).append(position)
        published = [False] * len(envelopes)
        for topic, positions in positions_by_topic.items():
            for start in range(0, len(positions), MAX_BATCH_EVENTS):
                batch = positions[start : start + MAX_BATCH_EVENTS]
                if self._publish_batch(topic, [envelopes[place] for place in batch]):
                    for position in batch:
                        published[position] = True
        return published

    def _publish_batch(self, topic: str, envelopes: list[Envelope]) -> bool:
        try:
            with translate_errors(
                "Pub/Sub", f"the topic {topic} of project {self._settings.project}", "roles/pubsub.publisher"
            ):
                self._retry(self._post)(topic, envelopes)
        except (TransientError, PermanentError, exceptions.GoogleAPICallError) as error:
            for envelope in envelopes:
                log.error("%s %s waits in the outbox: %s", topic, envelope.event.subject, error)
            return False
        return True

    def _post(self, topic: str, envelopes: list[Envelope]) -> None:
        """One request, which takes all of them or none
        (https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish)."""
        messages: list[Any] = [
            {"data": base64.b64encode(envelope.encode()).decode(), "attributes": envelope.attributes}
            for envelope in envelopes
        ]
        answer = self._session.post(
            f"{self._settings.pubsub_url}/v1/projects/{self._settings.project}/topics/{topic}:publish",
            json={"messages": messages},
            timeout=ATTEMPT_TIMEOUT_S,
        )
        if answer.status_code != HTTPStatus.OK:
            raise exceptions.from_http_response(answer)

    @cached_property
    def _retry(self) -> Any:
        from google.api_core.retry import Retry as Retrying
        from google.api_core.retry import if_transient_error

        # No connection, or no answer in time, is an OSError here.
        return Retrying(
            lambda error: isinstance(error, OSError) or if_transient_error(error),
            initial=0.2,
            maximum=4.0,
            timeout=PUBLISH_TIMEOUT_S,
        )

    @cached_property
    def _session(self) -> "AuthorizedSession":
        import google.auth
        from google.auth.credentials import AnonymousCredentials
        from google.auth.transport.requests import AuthorizedSession

        credentials = (
            AnonymousCredentials() if self._settings.uses_emulator else google.auth.default(scopes=[SCOPE])[0]
        )
        return AuthorizedSession(credentials)
