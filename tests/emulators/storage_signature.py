"""What a V4 signed URL must hold to be let in, worked out from its request as Google's pages say.

https://cloud.google.com/storage/docs/authentication/canonical-requests and
.../docs/authentication/signatures.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from emulators.storage_objects import StorageError

ALGORITHM = "GOOG4-RSA-SHA256"
MAX_EXPIRY_S = 7 * 86_400
MAX_CLOCK_SKEW = timedelta(minutes=15)
"""By how much the clock of the signer may be fast."""


def is_signed(query: str) -> bool:
    """Whether a request says that it is signed."""
    return any(name in query for name in ("X-Goog-Signature=", "X-Goog-Algorithm=", "X-Goog-Credential="))


def verify(method: str, path: str, query: str, headers: dict[str, str], keys: dict[str, str]) -> None:
    """Let a signed request pass.

    Args:
        path: As it was sent, percent-encoded.
        headers: By names in small letters.
        keys: Public keys in PEM by the e-mail of their account.

    Raises:
        Refused: The signature is of another request, has expired, or is of an unknown account.
    """
    given = dict(parse_qsl(query, keep_blank_values=True))
    try:
        signature, credential, date = (
            bytes.fromhex(given["X-Goog-Signature"]),
            given["X-Goog-Credential"],
            given["X-Goog-Date"],
        )
        names, lasts = given["X-Goog-SignedHeaders"].split(";"), int(given["X-Goog-Expires"])
        at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        email, scope = credential.split("/", 1)
    except (KeyError, ValueError) as error:
        raise StorageError(
            400, "AuthenticationRequired", f"The signed request lacks or garbles {error}"
        ) from None
    if given.get("X-Goog-Algorithm") != ALGORITHM or not 0 < lasts <= MAX_EXPIRY_S or "host" not in names:
        raise StorageError(
            400,
            "InvalidArgument",
            "The signed request has another algorithm, lasts too long, or does not sign its host",
        )
    if scope.split("/")[0] != date[:8] or scope.split("/")[2:] != ["storage", "goog4_request"]:
        raise StorageError(400, "InvalidArgument", "The credential's scope is not that of the date")
    if not at - MAX_CLOCK_SKEW <= datetime.now(UTC) <= at + timedelta(seconds=lasts):
        raise StorageError(403, "ExpiredToken", "The provided token has expired.")
    asked = "&".join(
        f"{quote(name, safe='~')}={quote(value, safe='~')}"
        for name, value in sorted(given.items())
        if name != "X-Goog-Signature"
    )
    stated = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in sorted(names))
    payload = headers.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD")
    request = "\n".join((method, path, asked, stated, ";".join(names), payload))
    text = "\n".join((ALGORITHM, date, scope, hashlib.sha256(request.encode()).hexdigest()))
    if email not in keys:
        raise StorageError(403, "SignatureDoesNotMatch", f"{email} is not known here")
    key = serialization.load_pem_public_key(keys[email].encode())
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        key.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise StorageError(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        ) from None
