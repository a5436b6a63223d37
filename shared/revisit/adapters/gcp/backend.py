"""Creates the backend of a deployment on Google Cloud."""

from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

from revisit.adapters.gcp.id_tokens import create_authenticator
from revisit.adapters.gcp.settings import SIGNING_KEY_VARIABLE, Settings, read_settings
from revisit.domain.clock import Clock, system_clock
from revisit.errors import PermanentError
from revisit.ports.assets import Assets
from revisit.ports.backend import Backend, BackendSettings
from revisit.ports.catalog import Catalog
from revisit.ports.event_bus import Bus
from revisit.ports.records import Records
from revisit.ports.sources import Source

if TYPE_CHECKING:
    from google.cloud.firestore import Client

    from revisit.adapters.gcp.outbox import Outbox

MAX_EVENT_AGE = timedelta(hours=20)
"""Older events become dead letters; Pub/Sub drops messages after 24 h and records nothing."""


def gcp_backend(settings: Settings | None = None, now: Clock = system_clock) -> Backend:
    """The backend of a deployment; no request is sent before first use.

    Args:
        settings: None reads them from the environment.
        now: The clock.

    Raises:
        InvalidInputError: An environment variable is missing or invalid.
    """
    settings = settings or read_settings()
    return Backend(
        GcpAdapters(settings, now),
        source=partial(_open_source, settings),
        sources=settings.sources,
        now=now,
        settings=BackendSettings(
            on_google_cloud=True,
            webhook_key=partial(_require_signing_key, settings),
            base_url=settings.base_url,
            max_event_age=MAX_EVENT_AGE,
            stall_after=settings.stall_after,
            authenticator=create_authenticator(settings),
        ),
    )


class GcpAdapters:
    """The adapters of one deployment, each created on first access.

    A function that does not use a port does not import its client library and need not install it.
    """

    def __init__(self, settings: Settings, now: Clock) -> None:
        self._settings, self._now = settings, now

    @cached_property
    def catalog(self) -> Catalog:
        from revisit.adapters.gcp.catalog import BigQueryCatalog

        return BigQueryCatalog(self._settings, self._now)

    @cached_property
    def records(self) -> Records:
        from revisit.adapters.gcp.records import FirestoreRecords

        return FirestoreRecords(self._client, self._outbox, self._settings, self._now)

    @cached_property
    def assets(self) -> Assets:
        from revisit.adapters.gcp.assets import BucketAssets

        return BucketAssets(self._settings)

    @cached_property
    def bus(self) -> Bus:
        from revisit.adapters.gcp.event_bus import PubSubBus

        return PubSubBus(self._settings, self._outbox, self._now)

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
            f"{SIGNING_KEY_VARIABLE} is not set, and webhooks cannot be signed without it; set it to the "
            "output of "
            "`gcloud secrets versions access latest --secret=revisit-signing-key`"
        )
    return settings.webhook_key


def _open_source(settings: Settings, spec: str) -> Source:
    from revisit.adapters.gcp.google_index_source import BucketIndex, is_bucket_index
    from revisit.adapters.sources import open_source

    return BucketIndex(settings, spec) if is_bucket_index(spec) else open_source(spec)
