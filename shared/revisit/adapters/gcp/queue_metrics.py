"""Queue depths of Pub/Sub subscriptions from Cloud Monitoring, since Pub/Sub itself does not report them.

The session is google-auth's own (`AuthorizedSession`), since it also renews the access token.
https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/list
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from revisit.adapters.gcp.errors import translate_errors
from revisit.adapters.gcp.settings import Settings
from revisit.domain.clock import Clock, format_rfc3339, parse_instant
from revisit.domain.job import Lane
from revisit.errors import PermanentError, TransientError
from revisit.ports.event_bus import BusStatistics, QueueDepth
from revisit.ports.topology import SCHEDULED_TOPICS, TRIGGER_TOPICS

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession

API_URL = "https://monitoring.googleapis.com/v3"
ROLE = "roles/monitoring.viewer"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
UNDELIVERED_METRIC = "pubsub.googleapis.com/subscription/num_undelivered_messages"
OLDEST_AGE_METRIC = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"
"""Both are measured once a minute and can be read up to four minutes later
(https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-pubsub)."""
LOOKBACK = timedelta(minutes=10)
"""Older measurements are ignored."""
CACHE_TTL = timedelta(seconds=30)
"""For figures and for failures alike: the page polls every few seconds."""
TIMEOUT_S = 5.0
"""Longest that one response may take."""
MAX_PAGES = 20
"""Pages read of one metric; a page has 1,000 series, and each subscription is one series."""
LANE_SUFFIXES: tuple[tuple[Lane, str], ...] = (("live", ""), ("backfill", ".backfill"))
"""Suffix of each lane's subscription, where the lanes have separate ones."""


class Monitoring:
    """Reads the figures of one project's subscriptions."""

    def __init__(
        self, settings: Settings, now: Clock, session: "AuthorizedSession | None" = None, url: str = API_URL
    ) -> None:
        """
        Args:
            settings: Project, and whether emulators are used.
            now: Clock.
            session: Authorized session; None uses the application default credentials.
            url: Base URL of Cloud Monitoring, for tests.
        """
        self._project, self._emulated, self._now, self._url = (
            settings.project,
            settings.uses_emulator,
            now,
            url,
        )
        self._session = session
        self._lock = threading.Lock()
        self._cached: tuple[datetime, BusStatistics] | None = None

    def statistics(self) -> BusStatistics:
        """Messages published and not yet handled, by function and lane; or the reason why that is unknown."""
        with self._lock:
            if self._cached is None or self._now() - self._cached[0] >= CACHE_TTL:
                self._cached = (self._now(), self._fetch_statistics())
            return self._cached[1]

    def _fetch_statistics(self) -> BusStatistics:
        if self._emulated and self._session is None:
            return BusStatistics(note="queue depths are unknown: Cloud Monitoring does not measure emulators")
        try:
            with translate_errors("Cloud Monitoring", f"the queue depths of project {self._project}", ROLE):
                waiting, ages = (
                    dict(self._latest_points(UNDELIVERED_METRIC)),
                    dict(self._latest_points(OLDEST_AGE_METRIC)),
                )
        except (PermanentError, TransientError, exceptions.GoogleAPICallError) as error:
            return BusStatistics(note=f"queue depths are unknown: {error}")
        if not waiting:
            return BusStatistics(
                note="queue depths are unknown: Cloud Monitoring has no figures of the last 10 minutes for "
                f"project {self._project}"
            )
        carriers = {
            f"{function}.{topic}{ending}": (function, lane)
            for table in (TRIGGER_TOPICS, SCHEDULED_TOPICS)
            for function, topic in table.items()
            for lane, ending in LANE_SUFFIXES
        }
        depths = tuple(
            QueueDepth(
                *carriers[name], waiting[name].value, 0, 0, float(ages[name].value if name in ages else 0)
            )
            for name in carriers
            if name in waiting and waiting[name].value
        )
        return BusStatistics(depths, max(figure.at for figure in waiting.values()))

    def _latest_points(self, metric: str) -> "Iterator[tuple[str, _Point]]":
        """The latest figure of each subscription."""
        now = self._now()
        parameters = {
            "filter": f'metric.type = "{metric}" AND resource.type = "pubsub_subscription"',
            "interval.startTime": format_rfc3339(now - LOOKBACK),
            "interval.endTime": format_rfc3339(now),
            "pageSize": "1000",
        }
        for _ in range(MAX_PAGES):
            response = self._get(parameters)
            try:
                # Points are sorted from the latest to the earliest.
                yield from [
                    (series["resource"]["labels"]["subscription_id"], _parse_point(series["points"][0]))
                    for series in response.get("timeSeries", ())
                    if series["points"]
                ]
            except (KeyError, TypeError, ValueError) as error:
                raise PermanentError(
                    f"Cloud Monitoring's response for {metric} has an unknown form "
                    f"({type(error).__name__}: {error}); update Revisit"
                ) from error
            if not (next_token := response.get("nextPageToken")):
                return
            parameters["pageToken"] = next_token

    def _get(self, parameters: dict[str, str]) -> dict[str, Any]:
        try:
            response = self._authorized_session().request(
                "GET",
                f"{self._url}/projects/{self._project}/timeSeries",
                params=parameters,
                timeout=TIMEOUT_S,
                max_allowed_time=TIMEOUT_S,
            )
            body = response.json() if "json" in response.headers.get("Content-Type", "") else {}
        except OSError as error:
            # requests raises subclasses of OSError, whose texts hold addresses and no cause.
            raise TransientError(
                f"Cloud Monitoring does not answer within {TIMEOUT_S:g} s ({type(error).__name__})"
            ) from error
        if response.status_code != 200:
            raise exceptions.from_http_status(
                response.status_code,
                str(body.get("error", {}).get("message") or response.reason).partition("\n")[0][:300],
            )
        return dict(body)

    def _authorized_session(self) -> "AuthorizedSession":
        if self._session is None:
            import google.auth
            from google.auth.transport.requests import AuthorizedSession

            credentials, _ = google.auth.default(scopes=[SCOPE])
            self._session = AuthorizedSession(credentials)
        return self._session


@dataclass(frozen=True, slots=True)
class _Point:
    """One measurement."""

    at: datetime
    value: int


def _parse_point(point: dict[str, Any]) -> _Point:
    return _Point(parse_instant(point["interval"]["endTime"]), int(point["value"]["int64Value"]))
