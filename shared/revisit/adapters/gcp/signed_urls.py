"""Addresses that let their bearer read one object for a while: V4 signatures made by IAM, so that no key is ever in our hands.

https://cloud.google.com/storage/docs/access-control/signed-urls
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from google.auth import iam
from google.auth.credentials import Credentials, Signing
from google.auth.exceptions import GoogleAuthError

from revisit.adapters.gcp.errors import asking
from revisit.adapters.gcp.settings import Settings
from revisit.errors import BadInput, GiveUp, Retry

if TYPE_CHECKING:
    from google.cloud.storage import Blob

BROWSER_S = 15 * 60
CLI_S = 24 * 3600
"""Nothing is signed for longer."""
ROLE = "roles/iam.serviceAccountTokenCreator on the service account that signs"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT_S = 10


class UrlSigner:
    """Signs in the name of one service account."""

    def __init__(self, email: str, credentials: Credentials, request: Callable[..., Any]) -> None:
        """
        Args:
            email: The service account in whose name is signed.
            credentials: Of whoever asks IAM to sign.
            request: Carries that question: a `google.auth.transport.Request`.
        """
        self._signing = _Signing(email, iam.Signer(request, credentials, email))
        self.email = email

    def link(self, blob: "Blob", seconds: float, name: str = "") -> str:
        """The address of one object.

        Args:
            seconds: How long it holds.
            name: What the file is called where it is saved; as in the bucket if empty.

        Raises:
            BadInput: It would hold for longer than a day, or for no time.
            Retry: IAM does not answer.
            GiveUp: The account may not sign.
        """
        if not 1 <= seconds <= CLI_S:
            raise BadInput(f"an address of an asset holds for 1 to {CLI_S} seconds, not for {seconds:g}")
        saved = name or str(blob.name).rpartition("/")[2]
        if not (saved.isascii() and saved.isprintable()) or any(letter in saved for letter in '"\\/'):
            raise BadInput(f"{saved!r} is not a name for a file that is saved")
        with asking("IAM", f"a signature of {self.email}", ROLE):
            try:
                return str(blob.generate_signed_url(version="v4", expiration=timedelta(seconds=int(seconds)), method="GET",
                                                    response_disposition=f'inline; filename="{saved}"', credentials=self._signing))
            except GoogleAuthError as error:
                raise _failure(self.email, error) from None


class _Signing(Signing):
    """What the storage library asks for a signature; it also has an e-mail."""

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


def url_signer(settings: Settings) -> UrlSigner:
    """The signer of a deployment: the account of REVISIT_SIGNER, or the one that runs.

    Raises:
        Retry: The metadata server does not answer.
        GiveUp: There is no account, or it is not a service account and none is named.
    """
    import google.auth
    from google.auth.transport.requests import Request

    request = partial(Request(), timeout=TIMEOUT_S)
    with asking("IAM", "the account that signs addresses", ROLE):
        credentials, _ = google.auth.default(scopes=[SCOPE])
        email = settings.signer or str(getattr(credentials, "service_account_email", ""))
        if email == "default":
            # On Google's machines the e-mail is known once a token has been fetched.
            credentials.refresh(request)
            email = str(getattr(credentials, "service_account_email", ""))
    if "@" not in email:
        raise GiveUp("addresses are signed in the name of a service account and the account at work is none; set REVISIT_SIGNER to its e-mail")
    return UrlSigner(email, credentials, request)


def _failure(email: str, error: GoogleAuthError) -> GiveUp | Retry:
    """IAM's answers come without a type of their own: only what names a refusal will not mend."""
    text = str(error)
    for sign in ("PERMISSION_DENIED", "NOT_FOUND", "UNAUTHENTICATED"):
        if sign in text:
            return GiveUp(f"IAM refuses to sign as {email} ({sign}); grant {ROLE} to the account that runs, or correct REVISIT_SIGNER")
    return Retry(f"IAM does not sign as {email} now: {type(error).__name__}")
