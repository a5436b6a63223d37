"""What Pub/Sub holds, by subscription, as Cloud Monitoring has measured it; Pub/Sub itself tells nobody.

https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/list
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions

from revisit.adapters.gcp.errors import asking
from revisit.adapters.gcp.settings import Settings
from revisit.domain.clock import Clock, instant, rfc3339
from revisit.domain.job import Lane
from revisit.errors import GiveUp, Retry
from revisit.ports.event_bus import Carried, Depth
from revisit.ports.topology import HEARS, TICKS

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession

URL = "https://monitoring.googleapis.com/v3"
ROLE = "roles/monitoring.viewer"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
WAITING = "pubsub.googleapis.com/subscription/num_undelivered_messages"
AGE = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"
"""Both are measured once a minute and can be read up to four minutes later
(https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-pubsub)."""
REACH = timedelta(minutes=10)
"""Figures older than this are none."""
KEPT = timedelta(seconds=30)
"""One answer serves all who ask within it, and so does one that did not come: a page asks every few seconds."""
SECONDS = 5.0
"""Longest that one answer may take."""
PAGES = 20
"""Read at most of one metric; a page has a thousand series, and a subscription one."""
LANES: tuple[tuple[Lane, str], ...] = (("live", ""), ("backfill", ".backfill"))
"""What each lane's subscription ends in, where the lanes have one each."""


class Monitoring:
    """Asks for the figures of one project's subscriptions."""

    def __init__(self, settings: Settings, now: Clock, session: "AuthorizedSession | None" = None, url: str = URL) -> None:
        """
        Args:
            session: Asks in somebody's name; the account at work if not given.
            url: Where Cloud Monitoring is, other than at Google in tests.
        """
        self._project, self._emulated, self._now, self._url = settings.project, settings.emulated, now, url
        self._session = session
        self._lock = threading.Lock()
        self._kept: tuple[datetime, Carried] | None = None

    def carried(self) -> Carried:
        """What is published and not yet handled, by function and lane; where that cannot be learnt, why."""
        with self._lock:
            if self._kept is None or self._now() - self._kept[0] >= KEPT:
                self._kept = (self._now(), self._carried())
            return self._kept[1]

    def _carried(self) -> Carried:
        if self._emulated and self._session is None:
            return Carried(note="what Pub/Sub holds is not known: emulators stand in for Google's services, and Cloud Monitoring sees none of them")
        try:
            with asking("Cloud Monitoring", f"what Pub/Sub holds in project {self._project}", ROLE):
                waiting, ages = dict(self._latest(WAITING)), dict(self._latest(AGE))
        except (GiveUp, Retry, exceptions.GoogleAPICallError) as error:
            return Carried(note=f"what Pub/Sub holds is not known: {error}")
        if not waiting:
            return Carried(note=f"what Pub/Sub holds is not known: Cloud Monitoring has no figures of project {self._project} of the last 10 minutes")
        carriers = {f"{function}.{topic}{ending}": (function, lane) for table in (HEARS, TICKS) for function, topic in table.items()
                    for lane, ending in LANES}
        depths = tuple(Depth(*carriers[name], waiting[name].value, 0, 0, float(ages[name].value if name in ages else 0))
                       for name in carriers if name in waiting and waiting[name].value)
        return Carried(depths, max(figure.at for figure in waiting.values()))

    def _latest(self, metric: str) -> "Iterator[tuple[str, _Figure]]":
        """The newest figure of each subscription."""
        now = self._now()
        asked = {"filter": f'metric.type = "{metric}" AND resource.type = "pubsub_subscription"', "interval.startTime": rfc3339(now - REACH),
                 "interval.endTime": rfc3339(now), "pageSize": "1000"}
        for _ in range(PAGES):
            answer = self._get(asked)
            try:
                # Points come the newest first.
                yield from [(series["resource"]["labels"]["subscription_id"], _figure(series["points"][0]))
                            for series in answer.get("timeSeries", ()) if series["points"]]
            except (KeyError, TypeError, ValueError) as error:
                raise GiveUp(f"Cloud Monitoring's figures of {metric} are not as they were ({type(error).__name__}: {error}); update Revisit") from error
            if not (following := answer.get("nextPageToken")):
                return
            asked["pageToken"] = following

    def _get(self, asked: dict[str, str]) -> dict[str, Any]:
        try:
            answer = self._authorized().request("GET", f"{self._url}/projects/{self._project}/timeSeries", params=asked, timeout=SECONDS,
                                                max_allowed_time=SECONDS)
            said = answer.json() if "json" in answer.headers.get("Content-Type", "") else {}
        except OSError as error:
            # What the library below raises has a base class of Python's own; its text names addresses and no cause.
            raise Retry(f"Cloud Monitoring does not answer within {SECONDS:g} s ({type(error).__name__})") from error
        if answer.status_code != 200:
            raise exceptions.from_http_status(answer.status_code, str(said.get("error", {}).get("message") or answer.reason).partition("\n")[0][:300])
        return dict(said)

    def _authorized(self) -> "AuthorizedSession":
        if self._session is None:
            import google.auth
            from google.auth.transport.requests import AuthorizedSession

            credentials, _ = google.auth.default(scopes=[SCOPE])
            self._session = AuthorizedSession(credentials)
        return self._session


@dataclass(frozen=True, slots=True)
class _Figure:
    """One measurement."""

    at: datetime
    value: int


def _figure(point: dict[str, Any]) -> _Figure:
    return _Figure(instant(point["interval"]["endTime"]), int(point["value"]["int64Value"]))
