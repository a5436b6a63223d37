"""Signed URLs of objects: V4 signatures made by IAM, so that no private key is needed.

https://cloud.google.com/storage/docs/access-control/signed-urls
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from google.auth import iam
from google.auth.credentials import Credentials, Signing
from google.auth.exceptions import GoogleAuthError

from revisit.adapters.gcp.errors import translate_errors
from revisit.adapters.gcp.settings import Settings
from revisit.errors import InvalidInputError, PermanentError, TransientError

if TYPE_CHECKING:
    from google.cloud.storage import Blob

MAX_LIFETIME_S = 24 * 3600
"""Longest lifetime of a URL, seconds."""
ROLE = "roles/iam.serviceAccountTokenCreator on the service account that signs"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT_S = 10


class UrlSigner:
    """Signs URLs as one service account."""

    def __init__(self, email: str, credentials: Credentials, request: Callable[..., Any]) -> None:
        """
        Args:
            email: The service account that signs.
            credentials: The account that calls IAM.
            request: Sends the call: a `google.auth.transport.Request`.
        """
        self._credentials = _IamCredentials(email, iam.Signer(request, credentials, email))
        self.email = email

    def signed_url(self, blob: "Blob", valid_s: float, name: str = "") -> str:
        """The signed URL of one object.

        Args:
            blob: The object.
            valid_s: Lifetime, seconds.
            name: File name for saving; empty takes the object's.

        Raises:
            InvalidInputError: The lifetime is not 1 s to 1 day, or the name is not a file name.
            TransientError: IAM does not answer.
            PermanentError: The account may not sign.
        """
        if not 1 <= valid_s <= MAX_LIFETIME_S:
            raise InvalidInputError(
                f"the URL of an asset is valid for 1 to {MAX_LIFETIME_S} seconds, not for {valid_s:g}"
            )
        saved = name or str(blob.name).rpartition("/")[2]
        if not (saved.isascii() and saved.isprintable()) or any(letter in saved for letter in '"\\/'):
            raise InvalidInputError(f"{saved!r} is not a file name")
        with translate_errors("IAM", f"a signature of {self.email}", ROLE):
            try:
                return str(
                    blob.generate_signed_url(
                        version="v4",
                        expiration=timedelta(seconds=int(valid_s)),
                        method="GET",
                        response_disposition=f'inline; filename="{saved}"',
                        credentials=self._credentials,
                    )
                )
            except GoogleAuthError as error:
                raise _signing_error(self.email, error) from None


class _IamCredentials(Signing):
    """Credentials with an e-mail address, which the storage library requires for signing."""

    def __init__(self, email: str, signer: iam.Signer) -> None:
        self._email, self._signer = email, signer

    def sign_bytes(self, message: bytes) -> bytes:
        return bytes(self._signer.sign(message))

    @property
    def signer_email(self) -> str:
        return self._email

    @property
    def signer(self) -> iam.Signer:
        return self._signer


def create_url_signer(settings: Settings) -> UrlSigner:
    """The signer of a deployment: the account of REVISIT_SIGNER, or the running one.

    Raises:
        TransientError: The metadata server does not answer.
        PermanentError: There is no account, or it is not a service account and REVISIT_SIGNER is not set.
    """
    import google.auth
    from google.auth.transport.requests import Request

    request = partial(Request(), timeout=TIMEOUT_S)
    with translate_errors("IAM", "the account that signs addresses", ROLE):
        credentials, _ = google.auth.default(scopes=[SCOPE])
        email = settings.signer or str(getattr(credentials, "service_account_email", ""))
        if email == "default":
            # On Google's machines the e-mail is known once a token has been fetched.
            credentials.refresh(request)
            email = str(getattr(credentials, "service_account_email", ""))
    if "@" not in email:
        raise PermanentError(
            "only a service account can sign URLs, and the current account is not one; to sign as a service "
            "account, set REVISIT_SIGNER to its e-mail"
        )
    return UrlSigner(email, credentials, request)


def _signing_error(email: str, error: GoogleAuthError) -> PermanentError | TransientError:
    """IAM's errors have no type: those that name a refusal are permanent, all others transient."""
    text = str(error)
    for status in ("PERMISSION_DENIED", "NOT_FOUND", "UNAUTHENTICATED"):
        if status in text:
            return PermanentError(
                f"IAM refuses to sign as {email} ({status}); grant {ROLE} to the account that runs, or "
                "correct REVISIT_SIGNER"
            )
    return TransientError(f"IAM does not sign as {email} now: {type(error).__name__}")
