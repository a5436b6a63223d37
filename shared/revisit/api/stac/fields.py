"""Which members of items are shown: the fields extension."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from revisit.errors import BadInput

MOST = 100
_ALWAYS = (("type",), ("stac_version",), ("id",), ("collection",))
"""Without these an item leads nowhere."""
_USUAL = (*_ALWAYS, ("geometry",), ("bbox",), ("links",), ("assets",), ("properties", "datetime"))
"""What the extension recommends where a request names nothing."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Members by their path, such as properties.datetime."""

    include: tuple[tuple[str, ...], ...] | None = None
    """None means all."""
    exclude: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, include: Sequence[str] | None, exclude: Sequence[str] | None, silent: bool) -> Self:
        """As a request names them; what is included is shown although it, or what it is part of, is excluded.

        Args:
            silent: Whether the request says nothing of what to include, not even that it is nothing in particular.
        """
        wanted, unwanted = list(include or ()), list(exclude or ())
        if len(wanted) + len(unwanted) > MOST:
            raise BadInput(f"fields are {MOST} at most")
        shown, hidden = tuple(map(_path, wanted)), tuple(map(_path, unwanted))
        if shown:
            return cls((*_ALWAYS, *shown), tuple(path for path in hidden if not any(one[:len(path)] == path for one in shown)))
        return cls(None if silent and hidden else _USUAL, hidden)

    def shows(self, name: str) -> bool:
        """Whether anything of a member is wanted."""
        return (self.include is None or any(path[0] == name for path in self.include)) and (name,) not in self.exclude

    def of_item(self, item: dict[str, Any]) -> dict[str, Any]:
        """An item with the members that are wanted only."""
        shown = item
        if self.include is not None:
            shown = {}
            for path in self.include:
                _copy(item, shown, path)
        for path in self.exclude:
            shown = _without(shown, path)
        return shown


def _path(name: str) -> tuple[str, ...]:
    """Names of properties may have dots, which nobody's here do."""
    parts = tuple(name.split("."))
    # Properties may be named without saying that they are.
    return ("properties", *parts) if ":" in parts[0] or parts[0] in ("datetime", "platform", "constellation", "instruments", "gsd") else parts


def _copy(item: dict[str, Any], shown: dict[str, Any], path: tuple[str, ...]) -> None:
    name, *rest = path
    if name not in item:
        return
    if not rest or not isinstance(item[name], dict):
        shown[name] = item[name]
        return
    inner = shown.setdefault(name, {})
    # The whole of it may be there already.
    if inner is not item[name]:
        _copy(item[name], inner, tuple(rest))


def _without(item: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    name, *rest = path
    if name not in item:
        return item
    if not rest:
        return {key: value for key, value in item.items() if key != name}
    return {**item, name: _without(item[name], tuple(rest))} if isinstance(item[name], dict) else item
