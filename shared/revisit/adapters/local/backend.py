"""Backend of a local data folder."""

import logging
import os
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import msgspec

from revisit.adapters.local.asset_folder import FolderAssets
from revisit.adapters.local.filesystem import network_filesystem
from revisit.adapters.local.queue import LocalQueue
from revisit.adapters.local.records import LocalRecords
from revisit.adapters.local.sqlite import Database
from revisit.adapters.local.wakeup import Wakeup
from revisit.adapters.local.webhook_key import load_webhook_key
from revisit.domain.clock import Clock, system_clock
from revisit.errors import InvalidInputError
from revisit.ports.assets import Assets
from revisit.ports.backend import Backend, BackendSettings
from revisit.ports.catalog import Catalog
from revisit.ports.event_bus import Bus
from revisit.ports.records import Records
from revisit.ports.sources import Source

DATABASE = "revisit.db"
ASSETS = "assets"
CATALOG = "catalog"
PIPES = "bells"
_SOURCES_SETTING = "sources"


def local_backend(data: Path, sources: tuple[str, ...] = (), now: Clock = system_clock) -> Backend:
    """Backend of a data folder, which is created if it does not exist.

    Args:
        data: Contains revisit.db, catalog/, assets/ and, once a webhook was signed, signing.key.
        sources: SPECs of the sources to refresh, besides those that `remember_sources` stored in the folder.
        now: Clock.

    Returns:
        A backend whose `bus` is the `LocalQueue`.

    Raises:
        InvalidInputError: The folder cannot be written, is from a newer version, or is not a data folder.
        PermanentError: Its database is damaged.
    """
    # Flask and worker processes resolve a relative path against folders of their own.
    data = data.expanduser().absolute()
    database = open_database(data)
    bell = Wakeup(data / PIPES)
    queue = LocalQueue(database, now, bell)
    queue.recover()

    return Backend(
        LocalAdapters(data / CATALOG, LocalRecords(database, now, bell), FolderAssets(data / ASSETS), queue),
        _open_source,
        tuple(dict.fromkeys((*remembered_sources(database), *sources))),
        now,
        BackendSettings(channel_folder=data / "channels", webhook_key=cache(lambda: load_webhook_key(data))),
    )


@dataclass(frozen=True)
class LocalAdapters:
    """Adapters of one data folder; the catalog is opened on first access."""

    catalog_folder: Path
    records: Records
    assets: Assets
    bus: Bus

    @cached_property
    def catalog(self) -> Catalog:
        from revisit.adapters.local.catalog import LocalCatalog

        return LocalCatalog(self.catalog_folder)


def local_queue(backend: Backend) -> LocalQueue:
    """Queue of a local backend, for its workers."""
    if not isinstance(backend.bus, LocalQueue):
        raise TypeError("this backend has no queue of its own")
    return backend.bus


def open_database(data: Path) -> Database:
    """Database of a data folder; both are created if they do not exist.

    Raises:
        InvalidInputError, PermanentError: As for `local_backend`.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(
            f"the data folder {data} cannot be created ({error.strerror}); name another with --data"
        ) from error
    if not os.access(data, os.W_OK | os.X_OK):
        raise InvalidInputError(
            f"the data folder {data} cannot be written; make it writable, or name another with --data"
        )
    if kind := network_filesystem(data):
        logging.getLogger(__name__).warning(
            "the data folder %s is on a network disk (%s), where a power cut or a lost connection can "
            "damage it; "
            "name a folder on a local disk with --data",
            data,
            kind,
        )
    return Database(data / DATABASE)


def remember_sources(data: Path, sources: tuple[str, ...]) -> tuple[str, ...]:
    """Add SPECs of sources to those stored in the data folder; returns all of them."""
    database = open_database(data)
    try:
        with database.transaction() as connection:
            kept = tuple(dict.fromkeys((*remembered_sources(database), *sources)))
            connection.execute(
                "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = "
                "excluded.value",
                (_SOURCES_SETTING, msgspec.json.encode(kept).decode()),
            )
    finally:
        database.close()
    return kept


def remembered_sources(database: Database) -> tuple[str, ...]:
    """SPECs stored by `remember_sources`."""
    with database.read_connection() as connection:
        value = connection.execute("SELECT value FROM setting WHERE name = ?", (_SOURCES_SETTING,)).get
    return msgspec.json.decode(value, type=tuple[str, ...]) if value else ()


def _open_source(spec: str) -> Source:
    from revisit.adapters.sources import open_source

    return open_source(spec)
