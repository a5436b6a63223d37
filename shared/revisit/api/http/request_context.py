"""A request on its way to a route: who asks, of which backend, and what the body says."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from flask import Flask, Request, g, request
from werkzeug.exceptions import Forbidden, UnsupportedMediaType

from revisit.domain.clock import end_instant, instant
from revisit.errors import BadInput
from revisit.ports.backend import Backend


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks."""

    owner: str
    """What their records belong to."""
    operator: bool = False
    """Whether they look after the whole: sources and dead letters."""
    scopes: frozenset[str] = frozenset(("read", "write"))
    """What they may do with what is theirs."""
    key: str = ""
    """Id of the key they sent; empty where they came themselves."""


class BadBody(BadInput):
    """A body of which one member is not what is asked for."""

    def __init__(self, fault: str) -> None:
        """Takes msgspec's sentence, such as "Expected `str`, got `int` - at `$.indices[1]`"."""
        super().__init__(f"the body is not what is asked for here: {fault}")
        self.why, _, path = fault.partition(" - at `")
        named = re.search(r"(?:required|unknown) field `(.*?)`", self.why)
        parts = [*re.findall(r"[^.\[\]]+", path.rstrip("`").removeprefix("$").replace("[...]", "")), *([named[1]] if named else ())]
        self.pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)
        """Where it is (RFC 6901)."""


Names = Annotated[tuple[str, ...], msgspec.Meta(max_length=300)]
"""Of a body: more than there are indices, and few enough that looking at each takes no time."""

type Identify = Callable[[Request], Identity]


def local_owner(request: Request) -> Identity:
    """On one's own computer everybody who is let in is its owner."""
    del request
    return Identity("local", operator=True)


@dataclass(frozen=True, slots=True)
class Asked:
    """What every route is handed."""

    backend: Backend
    me: Identity

    @property
    def owner(self) -> str:
        return self.me.owner

    def operator_only(self) -> None:
        """Refuse those who do not look after the whole."""
        if not self.me.operator:
            raise Forbidden("this is for those who run the service")

    def in_person_only(self) -> None:
        """Refuse what comes with a key: a stolen one could otherwise make itself successors."""
        if self.me.key:
            raise Forbidden("keys and the account are seen to by whoever signs in, not with a key")

    def within_scope(self, method: str) -> None:
        """Refuse what the key that was sent is not good for."""
        needed = "read" if method in ("GET", "HEAD") else "write"
        if needed not in self.me.scopes:
            raise Forbidden(f"this key has no scope {needed}; make one that has, with `revisit keys create --scope {needed}`")

    def body[T](self, kind: type[T]) -> T:
        """The JSON body.

        Raises:
            BadInput: It is not what the route takes.
        """
        if not request.is_json:
            raise UnsupportedMediaType("send JSON, with Content-Type: application/json")
        try:
            return msgspec.json.decode(request.get_data(), type=kind)
        except msgspec.ValidationError as error:
            raise BadBody(str(error)) from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadInput(f"the body is not what is asked for here: {error}") from None
        except RecursionError:
            raise BadInput("the body is nested too deeply") from None

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number of the query string."""
        text = request.args.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
            raise BadInput(f"{name} is a whole number from {least} to {most}, not {text[:40]!r}")
        return int(text)


def begin(text: str | None) -> Any:
    """The beginning of a period."""
    return instant(text) if text else None


def end(text: str | None) -> Any:
    """The end of a period; a day is meant whole."""
    return end_instant(text) if text else None


type Route = tuple[str, str, Callable[..., Any]]
"""Method, path, function of (asked, the path's parts)."""


_ASKING: set[Callable[..., Any]] = set()


def asks[F: Callable[..., Any]](route: F) -> F:
    """Mark a route that changes nothing although its question is posted, being too long for an address: a key that reads is enough
    for it, and the book holds no line of it."""
    _ASKING.add(route)
    return route


def add_routes(app: Flask, routes: Iterable[Route], backend: Backend, identify: Identify) -> None:
    """Hand each route who asks, beside the parts of its path."""

    def handed(method: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def answer(**parts: Any) -> Any:
            g.asked = asked = Asked(backend, identify(request))
            g.asks = function in _ASKING
            asked.within_scope("GET" if g.asks else method)
            return function(asked, **parts)

        return answer

    for method, path, function in routes:
        app.add_url_rule(path, f"{method} {path}", handed(method, function), methods=[method])
