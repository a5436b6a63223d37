"""Authentication: ID tokens and API keys; a server on one's own computer has a single principal."""

from flask import Request

from revisit.api.http.request_context import Principal, RequestAuthenticator, local_principal
from revisit.api.http.security_headers import bearer_token, is_public
from revisit.domain.api_key import KEY_PREFIX
from revisit.errors import UnauthenticatedError
from revisit.ports.backend import Backend
from revisit.services.accounts.keys import authenticate_key

ANONYMOUS = Principal("", scopes=frozenset(("read",)))
"""Principal of public routes."""


def make_authenticator(backend: Backend) -> RequestAuthenticator:
    """Return the function that authenticates requests; it raises `UnauthenticatedError`."""

    def authenticate(request: Request) -> Principal:
        if is_public():
            return ANONYMOUS
        credential = bearer_token()
        if credential.startswith(KEY_PREFIX):
            return _principal_of_key(backend, credential)
        if backend.settings.authenticator is None:
            return local_principal(request)
        if not credential:
            raise UnauthenticatedError(
                "sign in and send the ID token, or send a key: Authorization: Bearer ..."
            )
        claims = backend.settings.authenticator.verify(credential)
        if claims.uid == "local":
            # "local" owns what is created without signing in, and has no quota.
            raise UnauthenticatedError("an account may not be called 'local'; sign in as another")
        return Principal(claims.uid, claims.operator)

    return authenticate


def _principal_of_key(backend: Backend, text: str) -> Principal:
    key = authenticate_key(backend, text)
    return Principal(key.owner, "operator" in key.scopes, frozenset(key.scopes), key.id)
