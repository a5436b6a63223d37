"""Which members of items are shown: the fields extension."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from revisit.errors import BadInput

MOST = 100
_ALWAYS = ("type", "id", "collection")
"""Without these an item leads nowhere."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Members by their path, such as properties.datetime."""

    include: tuple[tuple[str, ...], ...] = ()
    """Empty means all."""
    exclude: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def of(cls, include: Iterable[str] | None, exclude: Iterable[str] | None) -> Self:
        """As a request names them; what is included as well as excluded is left out."""
        wanted, unwanted = list(include or ()), list(exclude or ())
        if len(wanted) + len(unwanted) > MOST:
            raise BadInput(f"fields are {MOST} at most")
        return cls(tuple(map(_path, wanted)), tuple(map(_path, unwanted)))

    def of_item(self, item: dict[str, Any]) -> dict[str, Any]:
        """An item with the members that are wanted only."""
        shown = item
        if self.include:
            shown = {name: item[name] for name in _ALWAYS if name in item}
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
