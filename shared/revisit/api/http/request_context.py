"""The context of a request: its route, its principal, the backend, and its decoded body and parameters."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from flask import Request, request
from werkzeug.exceptions import Forbidden, UnsupportedMediaType

from revisit.domain.clock import parse_end_instant, parse_instant
from revisit.errors import InvalidInputError
from revisit.ports.backend import Backend
from revisit.ports.json_decoder import json_decoder

if TYPE_CHECKING:
    from revisit.api.resources import AppResources

Names = Annotated[tuple[str, ...], msgspec.Meta(max_length=300)]
"""A list of names in a body: more than there are indices, and few enough to check quickly."""

MAX_QUOTED_CHARACTERS = 100
"""Longest part of a value that an error message repeats."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API."""

    method: str
    path: str
    """Rule of the path, as Flask writes it: "/orders/<id>"."""
    handler: Callable[..., Any]
    """Answers a `RequestContext` and the values of the path."""
    read_only: bool = False
    """Whether a POST changes nothing: a key with scope `read` may send it, and it is not audited."""
    idempotent: bool = False
    """Whether a repeat with the same Idempotency-Key gets the stored answer."""
    add_secrets: Callable[["RequestContext", Any], Any] | None = None
    """Adds to the JSON answer what must not be stored with it."""

    @property
    def reads(self) -> bool:
        """Whether scope `read` is enough."""
        return self.read_only or self.method == "GET"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sent a request."""

    owner_id: str
    """Owner of the principal's records."""
    operator: bool = False
    """Whether they run the service: sources, dead letters, audit log."""
    scopes: frozenset[str] = frozenset(("read", "write"))
    """What they may do with their own records."""
    key_id: str = ""
    """Id of the API key they sent; empty for a signed-in user."""


type RequestAuthenticator = Callable[[Request], Principal]


def local_principal(request: Request) -> Principal:
    """The owner of this computer, for every request."""
    del request
    return Principal("local", operator=True)


class InvalidBodyError(InvalidInputError):
    """A body with one member that the route does not accept."""

    def __init__(self, message: str, body: bytes = b"", known: Iterable[str] = ()) -> None:
        """
        Args:
            message: Sentence of msgspec, such as "Expected `str`, got `int` - at `$.indices[1]`".
            body: The body, to quote the value from.
            known: Names of the members that the route accepts, to suggest one of.
        """
        self.reason, _, path = message.partition(" - at `")
        named = re.search(r"(?:required|unknown) field `(.*?)`", self.reason)
        location = re.findall(r"[^.\[\]]+", path.rstrip("`").removeprefix("$").replace("[...]", ""))
        parts = [*location, *([named[1]] if named else ())]
        self.pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)
        """Location of the member (RFC 6901)."""
        where = f" at {self.pointer}" if location else ""
        hint = _quoted(body, location)
        if named and "unknown" in self.reason and (similar := get_close_matches(named[1], known, 1)):
            hint = f"; did you mean `{similar[0]}`?"
        super().__init__(f"the body is invalid{where}: {self.reason}{hint}")


def _quoted(body: bytes, location: list[str]) -> str:
    """The value at a location of a JSON document, as the end of a sentence; empty where there is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for part in location:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return ""
    if not location or isinstance(value, dict | list):
        return ""
    return f" ({json.dumps(value, ensure_ascii=False)[:MAX_QUOTED_CHARACTERS]})"


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What every handler receives."""

    backend: Backend
    principal: Principal
    route: Route
    resources: "AppResources"

    @property
    def owner_id(self) -> str:
        return self.principal.owner_id

    def require_operator(self) -> None:
        """Refuse everybody who does not run the service."""
        if not self.principal.operator:
            raise Forbidden("only operators of this service may do this")

    def reject_api_key(self) -> None:
        """Refuse API keys: a stolen key could otherwise create further keys."""
        if self.principal.key_id:
            raise Forbidden("API keys may not manage keys or the account; sign in instead")

    def require_scope(self, scope: str) -> None:
        """Refuse an API key without a scope."""
        if scope not in self.principal.scopes:
            raise Forbidden(
                f"this key has no scope {scope}; create one with `revisit keys create --scope {scope}`"
            )

    def decode_body[T](self, body_type: type[T]) -> T:
        """The JSON body.

        Raises:
            InvalidInputError: The body does not match the type; `pointer` locates the member.
        """
        if not request.is_json:
            raise UnsupportedMediaType("send JSON, with Content-Type: application/json")
        try:
            return json_decoder(body_type).decode(request.get_data())
        except msgspec.ValidationError as error:
            raise InvalidBodyError(str(error), request.get_data(), _member_names(body_type)) from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"the body is invalid: {error}") from None
        except RecursionError:
            raise InvalidInputError("the body is nested too deeply") from None

    def query_int(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """A whole number from the query string."""
        text = request.args.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 12 and minimum <= int(text) <= maximum):
            raise InvalidInputError(
                f"{name} is a whole number from {minimum} to {maximum}, not {text[:40]!r}"
            )
        return int(text)


def _member_names(body_type: type[Any]) -> list[str]:
    is_struct = isinstance(body_type, type) and issubclass(body_type, msgspec.Struct)
    return [field.encode_name for field in msgspec.structs.fields(body_type)] if is_struct else []


def parse_period_start(text: str | None) -> datetime | None:
    """The start of a period."""
    return parse_instant(text) if text else None


def parse_period_end(text: str | None) -> datetime | None:
    """The end of a period; a date includes the whole day."""
    return parse_end_instant(text) if text else None
