"""A request on its way to a route: who asks, of which backend, and what the body says."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from flask import Flask, Request, g, request
from werkzeug.exceptions import Forbidden, UnsupportedMediaType

from revisit.domain.clock import parse_end_instant, parse_instant
from revisit.errors import InvalidInputError
from revisit.ports.backend import Backend


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    owner_id: str
    """What their records belong to."""
    operator: bool = False
    """Whether they look after the whole: sources and dead letters."""
    scopes: frozenset[str] = frozenset(("read", "write"))
    """What they may do with what is theirs."""
    key_id: str = ""
    """Id of the key they sent; empty where they came themselves."""


class InvalidBodyError(InvalidInputError):
    """A body of which one member is not what is asked for."""

    def __init__(self, message: str) -> None:
        """Takes msgspec's sentence, such as "Expected `str`, got `int` - at `$.indices[1]`"."""
        super().__init__(f"the body is not what is asked for here: {message}")
        self.reason, _, path = message.partition(" - at `")
        named = re.search(r"(?:required|unknown) field `(.*?)`", self.reason)
        parts = [
            *re.findall(r"[^.\[\]]+", path.rstrip("`").removeprefix("$").replace("[...]", "")),
            *([named[1]] if named else ()),
        ]
        self.pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)
        """Where it is (RFC 6901)."""


Names = Annotated[tuple[str, ...], msgspec.Meta(max_length=300)]
"""Of a body: more than there are indices, and few enough that looking at each takes no time."""

type RequestAuthenticator = Callable[[Request], Principal]


def local_principal(request: Request) -> Principal:
    """On one's own computer everybody who is let in is its owner."""
    del request
    return Principal("local", operator=True)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What every route is handed."""

    backend: Backend
    principal: Principal

    @property
    def owner_id(self) -> str:
        return self.principal.owner_id

    def require_operator(self) -> None:
        """Refuse those who do not look after the whole."""
        if not self.principal.operator:
            raise Forbidden("this is for those who run the service")

    def reject_api_key(self) -> None:
        """Refuse what comes with a key: a stolen one could otherwise make itself successors."""
        if self.principal.key_id:
            raise Forbidden("keys and the account are seen to by whoever signs in, not with a key")

    def require_scope(self, method: str) -> None:
        """Refuse what the key that was sent is not good for."""
        needed = "read" if method in ("GET", "HEAD") else "write"
        if needed not in self.principal.scopes:
            raise Forbidden(
                f"this key has no scope {needed}; make one that has, with `revisit keys create --scope {needed}`"
            )

    def decode_body[T](self, body_type: type[T]) -> T:
        """The JSON body.

        Raises:
            InvalidInputError: It is not what the route takes.
        """
        if not request.is_json:
            raise UnsupportedMediaType("send JSON, with Content-Type: application/json")
        try:
            return msgspec.json.decode(request.get_data(), type=body_type)
        except msgspec.ValidationError as error:
            raise InvalidBodyError(str(error)) from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"the body is not what is asked for here: {error}") from None
        except RecursionError:
            raise InvalidInputError("the body is nested too deeply") from None

    def query_int(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """A whole number of the query string."""
        text = request.args.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 12 and minimum <= int(text) <= maximum):
            raise InvalidInputError(
                f"{name} is a whole number from {minimum} to {maximum}, not {text[:40]!r}"
            )
        return int(text)


def parse_period_start(text: str | None) -> Any:
    """The beginning of a period."""
    return parse_instant(text) if text else None


def parse_period_end(text: str | None) -> Any:
    """The end of a period; a day is meant whole."""
    return parse_end_instant(text) if text else None


type Route = tuple[str, str, Callable[..., Any]]
"""Method, path, function of (asked, the path's parts)."""


_READ_ONLY_ROUTES: set[Callable[..., Any]] = set()


def read_only[F: Callable[..., Any]](route: F) -> F:
    """Mark a route that changes nothing although its question is posted, being too long for an address: a key
    that reads is enough
    for it, and the book holds no line of it."""
    _READ_ONLY_ROUTES.add(route)
    return route


def add_routes(
    app: Flask, routes: Iterable[Route], backend: Backend, authenticate: RequestAuthenticator
) -> None:
    """Hand each route who asks, beside the parts of its path."""

    def bind_context(method: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def view(**parts: Any) -> Any:
            g.context = context = RequestContext(backend, authenticate(request))
            g.read_only = function in _READ_ONLY_ROUTES
            context.require_scope("GET" if g.read_only else method)
            return function(context, **parts)

        return view

    for method, path, function in routes:
        app.add_url_rule(path, f"{method} {path}", bind_context(method, function), methods=[method])
