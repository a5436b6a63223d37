"""Makes the backend of one deployment on Google Cloud."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

from revisit.adapters.gcp.id_tokens import create_authenticator
from revisit.adapters.gcp.settings import SIGNING_KEY_VARIABLE, Settings, read_settings
from revisit.domain.clock import Clock, system_clock
from revisit.errors import PermanentError
from revisit.ports.assets import Assets
from revisit.ports.backend import Backend
from revisit.ports.catalog import Catalog
from revisit.ports.sources import Source

if TYPE_CHECKING:
    from google.cloud.firestore import Client

    from revisit.adapters.gcp.outbox import Outbox

MAX_EVENT_AGE = timedelta(hours=20)
"""Older events are put aside: Pub/Sub itself lets go of them after 24 h, and would do so without a word."""


def gcp_backend(named: Settings | None = None, now: Clock = system_clock) -> Backend:
    """The backend of a deployment; nothing is asked of Google before it is first used.

    Args:
        named: As the environment says if not given.
        now: The present.

    Raises:
        InvalidInputError: The environment lacks a variable, or names something that cannot be.
    """
    deployment = named or read_settings()
    adapters = _Adapters(deployment, now)

    @cache
    def catalog() -> Catalog:
        from revisit.adapters.gcp.catalog import BigQueryCatalog

        return BigQueryCatalog(deployment, now)

    return Backend(
        catalog,
        _lazy_proxy(lambda: adapters.records),
        _lazy_proxy(lambda: adapters.assets),
        _lazy_proxy(lambda: adapters.bus),
        partial(_open_source, deployment),
        deployment.sources,
        now,
        webhook_key=partial(_require_signing_key, deployment),
        base_url=deployment.base_url,
        max_age=MAX_EVENT_AGE,
        authenticator=create_authenticator(deployment),
    )


class _Adapters:
    """The adapters of one deployment, each made when it is first asked for."""

    def __init__(self, settings: Settings, now: Clock) -> None:
        self._settings, self._now = settings, now

    @cached_property
    def records(self) -> Any:
        from revisit.adapters.gcp.records import FirestoreRecords

        return FirestoreRecords(self._client, self._outbox, self._settings, self._now)

    @cached_property
    def bus(self) -> Any:
        from revisit.adapters.gcp.event_bus import PubSubBus

        return PubSubBus(self._settings, self._outbox, self._now)

    @cached_property
    def assets(self) -> Assets:
        from revisit.adapters.gcp.assets import BucketAssets

        return BucketAssets(self._settings)

    @cached_property
    def _client(self) -> "Client":
        from revisit.adapters.gcp.records import create_client

        return create_client(self._settings)

    @cached_property
    def _outbox(self) -> "Outbox":
        from revisit.adapters.gcp.outbox import Outbox
        from revisit.adapters.gcp.publisher import Publisher

        return Outbox(self._client, Publisher(self._settings).publish, self._now)


def _require_signing_key(settings: Settings) -> bytes:
    if not settings.webhook_key:
        raise PermanentError(
            f"{SIGNING_KEY_VARIABLE} is not set, and webhooks are not signed without; set it to what "
            "`gcloud secrets versions access latest --secret=revisit-signing-key` prints"
        )
    return settings.webhook_key


def _lazy_proxy(make: Callable[[], Any]) -> Any:
    """Stands for an adapter until it is first used: a function that never asks for one need not even install
    its library."""

    class Later:
        def __getattr__(self, name: str) -> Any:
            return getattr(make(), name)

    return Later()


def _open_source(settings: Settings, spec: str) -> Source:
    from revisit.adapters.gcp.google_index_source import BucketIndex, is_bucket_index
    from revisit.adapters.sources import open_source

    return BucketIndex(settings, spec) if is_bucket_index(spec) else open_source(spec)
