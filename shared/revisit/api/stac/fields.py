"""The STAC fields extension: which members of items are included."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from revisit.errors import InvalidInputError

MAX_FIELDS = 100
_REQUIRED_FIELDS = (("type",), ("stac_version",), ("id",), ("collection",))
"""Members that every item keeps."""
_DEFAULT_FIELDS = (
    *_REQUIRED_FIELDS,
    ("geometry",),
    ("bbox",),
    ("links",),
    ("assets",),
    ("properties", "datetime"),
)
"""Members that the extension recommends as the default."""


@dataclass(frozen=True, slots=True)
class FieldSelection:
    """Included and excluded members by path, such as properties.datetime."""

    include: tuple[tuple[str, ...], ...] | None = None
    """None includes all."""
    exclude: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def from_lists(
        cls, include: Sequence[str] | None, exclude: Sequence[str] | None, include_unset: bool
    ) -> Self:
        """Fields of a request; an included member stays although it, or its parent, is excluded.

        Args:
            include: Paths to include; None includes the default fields.
            exclude: Paths to exclude.
            include_unset: Whether the request has no include list, not even an empty one.
        """
        included, excluded = list(include or ()), list(exclude or ())
        if len(included) + len(excluded) > MAX_FIELDS:
            raise InvalidInputError(f"at most {MAX_FIELDS} fields are allowed")
        included_paths, excluded_paths = tuple(map(_parse_path, included)), tuple(map(_parse_path, excluded))
        if included_paths:
            return cls(
                (*_REQUIRED_FIELDS, *included_paths),
                tuple(
                    path
                    for path in excluded_paths
                    if not any(one[: len(path)] == path for one in included_paths)
                ),
            )
        return cls(None if include_unset and excluded_paths else _DEFAULT_FIELDS, excluded_paths)

    def includes(self, name: str) -> bool:
        """Whether any part of a member is included."""
        return (self.include is None or any(path[0] == name for path in self.include)) and (
            name,
        ) not in self.exclude

    def apply(self, item: dict[str, Any]) -> dict[str, Any]:
        """An item with its included members only."""
        filtered = item
        if self.include is not None:
            filtered = {}
            for path in self.include:
                _copy_path(item, filtered, path)
        for path in self.exclude:
            filtered = _remove_path(filtered, path)
        return filtered


def _parse_path(name: str) -> tuple[str, ...]:
    """The parts of a path; property names here contain no dots."""
    parts = tuple(name.split("."))
    # Properties may be named without the prefix "properties.".
    return (
        ("properties", *parts)
        if ":" in parts[0] or parts[0] in ("datetime", "platform", "constellation", "instruments", "gsd")
        else parts
    )


def _copy_path(item: dict[str, Any], target: dict[str, Any], path: tuple[str, ...]) -> None:
    name, *rest = path
    if name not in item:
        return
    if not rest or not isinstance(item[name], dict):
        target[name] = item[name]
        return
    inner = target.setdefault(name, {})
    # The whole of it may be there already.
    if inner is not item[name]:
        _copy_path(item[name], inner, tuple(rest))


def _remove_path(item: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    name, *rest = path
    if name not in item:
        return item
    if not rest:
        return {key: value for key, value in item.items() if key != name}
    return {**item, name: _remove_path(item[name], tuple(rest))} if isinstance(item[name], dict) else item
