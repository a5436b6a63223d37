"""Makes the backend of one deployment on Google Cloud."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

from revisit.adapters.gcp.id_tokens import sign_in
from revisit.adapters.gcp.settings import SIGNING_KEY, Settings, settings
from revisit.domain.clock import Clock, system_clock
from revisit.errors import GiveUp
from revisit.ports.assets import Assets
from revisit.ports.backend import Backend
from revisit.ports.catalog import Catalog
from revisit.ports.sources import Source

if TYPE_CHECKING:
    from google.cloud.firestore import Client

    from revisit.adapters.gcp.outbox import Outbox

MAX_AGE = timedelta(hours=20)
"""Older events are put aside: Pub/Sub itself lets go of them after 24 h, and would do so without a word."""


def gcp_backend(named: Settings | None = None, now: Clock = system_clock) -> Backend:
    """The backend of a deployment; nothing is asked of Google before it is first used.

    Args:
        named: As the environment says if not given.
        now: The present.

    Raises:
        BadInput: The environment lacks a variable, or names something that cannot be.
    """
    place = named or settings()
    home = _Home(place, now)

    @cache
    def catalog() -> Catalog:
        from revisit.adapters.gcp.catalog import BigQueryCatalog

        return BigQueryCatalog(place, now)

    return Backend(catalog, _later(lambda: home.records), _later(lambda: home.assets), _later(lambda: home.bus), partial(_open_source, place), place.sources, now,
                   signing_key=partial(_signing_key, place), base_url=place.base_url, max_age=MAX_AGE, sign_in=sign_in(place))


class _Home:
    """The adapters of one deployment, each made when it is first asked for."""

    def __init__(self, place: Settings, now: Clock) -> None:
        self._place, self._now = place, now

    @cached_property
    def records(self) -> Any:
        from revisit.adapters.gcp.records import FirestoreRecords

        return FirestoreRecords(self._client, self._outbox, self._place, self._now)

    @cached_property
    def bus(self) -> Any:
        from revisit.adapters.gcp.topics import PubSubBus

        return PubSubBus(self._place, self._outbox, self._now)

    @cached_property
    def assets(self) -> Assets:
        from revisit.adapters.gcp.assets import BucketAssets

        return BucketAssets(self._place)

    @cached_property
    def _client(self) -> "Client":
        from revisit.adapters.gcp.records import client_of

        return client_of(self._place)

    @cached_property
    def _outbox(self) -> "Outbox":
        from revisit.adapters.gcp.outbox import Outbox
        from revisit.adapters.gcp.publisher import Publisher

        return Outbox(self._client, Publisher(self._place).publish, self._now)


def _signing_key(place: Settings) -> bytes:
    if not place.signing_key:
        raise GiveUp(f"{SIGNING_KEY} is not set, and webhooks are not signed without; set it to what "
                     "`gcloud secrets versions access latest --secret=revisit-signing-key` prints")
    return place.signing_key


def _later(make: Callable[[], Any]) -> Any:
    """Stands for an adapter until it is first used: a function that never asks for one need not even install its library."""

    class Later:
        def __getattr__(self, name: str) -> Any:
            return getattr(make(), name)

    return Later()


def _open_source(place: Settings, spec: str) -> Source:
    from revisit.adapters.gcp.google_index_names import BucketIndex, is_bucket_index
    from revisit.adapters.sources import open_source

    return BucketIndex(place, spec) if is_bucket_index(spec) else open_source(spec)
