"""Puts events on their topics."""

import base64
import logging
from collections.abc import Sequence
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from revisit.adapters.gcp.errors import asking
from revisit.adapters.gcp.settings import Settings
from revisit.errors import GiveUp, Retry
from revisit.ports.envelope import Envelope

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession

SECONDS = 15.0
"""Longest that publishing may take, its tries included."""
TRY_S = 5.0
"""Longest that one try may wait for an answer."""
AT_ONCE = 500
"""Events in one request, which may have 1,000 and 10 MB."""
SCOPE = "https://www.googleapis.com/auth/pubsub"

log = logging.getLogger("revisit")


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
