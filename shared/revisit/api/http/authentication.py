"""Who asks: whoever an ID token or a key says; on one's own computer whoever is let in."""

from flask import Request

from revisit import services
from revisit.api.http.request_context import Identify, Identity, local_owner
from revisit.api.http.security_headers import bearer, is_open
from revisit.domain.api_key import PREFIX
from revisit.errors import Unknown
from revisit.ports.backend import Backend

NOBODY = Identity("", scopes=frozenset(("read",)))
"""Asks for what is everybody's."""


def identified(backend: Backend) -> Identify:
    """Tells who sent a request; raises Unknown where it is nobody we know."""

    def identify(request: Request) -> Identity:
        if is_open():
            return NOBODY
        given = bearer()
        if given.startswith(PREFIX):
            return _by_key(backend, given)
        if backend.sign_in is None:
            return local_owner(request)
        if not given:
            raise Unknown("sign in and send the ID token, or send a key: Authorization: Bearer ...")
        claims = backend.sign_in.verify(given)
        if claims.uid == "local":
            # The owner of what is made without signing in, who has no limits.
            raise Unknown("an account may not be called 'local'; sign in as another")
        return Identity(claims.uid, claims.operator)

    return identify


def _by_key(backend: Backend, text: str) -> Identity:
    key = services.holder(backend, text)
    return Identity(key.owner, "operator" in key.scopes, frozenset(key.scopes), key.id)
