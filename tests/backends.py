"""Backends that differ from a given one in some settings or adapters."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from revisit.ports.backend import Adapters, Backend


@dataclass(frozen=True)
class ReplacedAdapters:
    """Adapters of which some are created in another way."""

    adapters: Adapters
    created: dict[str, Callable[[], Any]]

    def __getattr__(self, name: str) -> Any:
        return self.created[name]() if name in self.created else getattr(self.adapters, name)


def with_adapters(backend: Backend, **created: Callable[[], Any]) -> Backend:
    """The backend with other adapters; each is created when it is used."""
    return replace(backend, adapters=ReplacedAdapters(backend.adapters, created))


def with_settings(backend: Backend, **changes: Any) -> Backend:
    """The backend with some settings changed."""
    return replace(backend, settings=replace(backend.settings, **changes))
