"""Signs requests to the buckets that need it: Planetary Computer by token, CDSE by the user's S3 keys.

URLs are signed at the moment of a request and never stored, logged or returned to a user.
"""

import hmac
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from revisit.domain.clock import parse_instant, system_clock
from revisit.errors import InvalidInputError, PermanentError, TransientError

CDSE_ACCESS_KEY, CDSE_SECRET_KEY = "REVISIT_CDSE_ACCESS_KEY", "REVISIT_CDSE_SECRET_KEY"
"""Environment variables with the S3 keys of a user of the Copernicus Data Space Ecosystem."""
MIN_VALIDITY = timedelta(minutes=5)
"""A token with less time left is replaced."""
URL_VALIDITY = timedelta(hours=1)
"""Of a URL signed with S3 keys; GDAL uses one URL for all requests to an open file."""
_MAX_TOKEN_BYTES = 100_000
_TOKEN_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class SasBucket:
    """Container of Azure Blob Storage that is read with a token anyone may request."""

    prefix: str
    """URLs of its files, up to and including the container's slash."""
    token_url: str
    """Answers GET with JSON: `token`, a query string, and `msft:expiry`, RFC 3339."""


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """Bucket of an S3 server that is read with the user's own keys."""

    prefix: str
    provider: str
    region: str
    access_key_variable: str
    secret_key_variable: str


BUCKETS: tuple[SasBucket | S3Bucket, ...] = (
    SasBucket(
        "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/",
        "https://planetarycomputer.microsoft.com/api/sas/v1/token/sentinel-2-l2a",
    ),
    S3Bucket(
        "https://eodata.dataspace.copernicus.eu/eodata/",
        "the Copernicus Data Space Ecosystem",
        "default",
        CDSE_ACCESS_KEY,
        CDSE_SECRET_KEY,
    ),
)
SIGNED_PREFIXES = tuple(bucket.prefix for bucket in BUCKETS)


@dataclass(frozen=True, slots=True)
class _Token:
    query: str
    expires: datetime


class BucketSigner:
    """Signs URLs; keeps tokens until shortly before they expire. Safe for use by several threads."""

    def __init__(
        self,
        buckets: Sequence[SasBucket | S3Bucket] = BUCKETS,
        environment: Mapping[str, str] | None = None,
        now: Callable[[], datetime] = system_clock,
    ) -> None:
        """
        Args:
            buckets: Those that need a signature.
            environment: Holds the keys; the process's if None.
            now: The current time, UTC.
        """
        self._buckets = tuple(buckets)
        self._environment = os.environ if environment is None else environment
        self._now = now
        self._tokens: dict[str, _Token] = {}
        self._lock = threading.Lock()

    def require_keys(self, url: str) -> None:
        """Check that a URL can be signed; URLs of other places need no keys.

        Raises:
            PermanentError: Keys are missing; the message names their variables.
        """
        bucket = self._bucket(url)
        if isinstance(bucket, S3Bucket):
            self._keys(bucket)

    def sign(self, url: str, keep_suffix: bool = False) -> str:
        """The URL to request; unchanged for places that need no signature.

        Args:
            url: Without a query.
            keep_suffix: Whether the signed URL ends like the file's name, as GDAL requires.

        Raises:
            TransientError: The server of the tokens does not answer.
            PermanentError: Keys are missing, or it refuses.
        """
        bucket = self._bucket(url)
        if bucket is None:
            return url
        suffix = {"x-suffix": f".{url.rpartition('.')[2]}"} if keep_suffix else {}
        if isinstance(bucket, SasBucket):
            query = self._token(bucket).query
            return f"{url}?{query}" + (f"&{urlencode(suffix)}" if suffix else "")
        keys = self._keys(bucket)
        return presign_s3(url, keys, bucket.region, self._now(), URL_VALIDITY, suffix)

    def _bucket(self, url: str) -> SasBucket | S3Bucket | None:
        return next((bucket for bucket in self._buckets if url.startswith(bucket.prefix)), None)

    def _keys(self, bucket: S3Bucket) -> tuple[str, str]:
        names = (bucket.access_key_variable, bucket.secret_key_variable)
        access, secret = (self._environment.get(name, "").strip() for name in names)
        if not access or not secret:
            raise PermanentError(
                f"the files of {bucket.provider} are read with your S3 keys: set the environment variables "
                f"{' and '.join(names)}"
            )
        return access, secret

    def _token(self, bucket: SasBucket) -> _Token:
        with self._lock:
            token = self._tokens.get(bucket.prefix)
            if token is None or token.expires - self._now() < MIN_VALIDITY:
                token = _fetch_token(bucket.token_url)
                self._tokens[bucket.prefix] = token
            return token


@cache
def shared_signer() -> BucketSigner:
    """The signer of this process."""
    return BucketSigner()


def sign(url: str, keep_suffix: bool = False) -> str:
    """As `BucketSigner.sign`, by the signer of this process."""
    return shared_signer().sign(url, keep_suffix) if url.startswith(SIGNED_PREFIXES) else url


def require_keys(url: str) -> None:
    """As `BucketSigner.require_keys`, by the signer of this process."""
    if url.startswith(SIGNED_PREFIXES):
        shared_signer().require_keys(url)


def presign_s3(
    url: str,
    keys: tuple[str, str],
    region: str,
    now: datetime,
    validity: timedelta,
    query: Mapping[str, str] | None = None,
) -> str:
    """A URL of S3 signed for GET (AWS Signature Version 4, query parameters).

    Args:
        url: Address of the object, without a query.
        keys: Access key and secret key.
        region: Region of the server.
        now: The current time, UTC.
        validity: How long the URL is valid.
        query: Further parameters, which the server ignores; the last ones of the result.
    """
    parts, scope = urlsplit(url), f"{now:%Y%m%d}/{region}/s3/aws4_request"
    signed = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{keys[0]}/{scope}",
        "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
        "X-Amz-Expires": str(int(validity.total_seconds())),
        "X-Amz-SignedHeaders": "host",
    }
    canonical_query = urlencode(sorted({**signed, **(query or {})}.items()), quote_via=quote, safe="~")
    request = "\n".join(
        (
            "GET",
            quote(parts.path, safe="/~"),
            canonical_query,
            f"host:{parts.netloc}",
            "",
            "host",
            "UNSIGNED-PAYLOAD",
        )
    )
    text = "\n".join(("AWS4-HMAC-SHA256", signed["X-Amz-Date"], scope, sha256(request.encode()).hexdigest()))
    key = f"AWS4{keys[1]}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signed["X-Amz-Signature"] = hmac.digest(key, text.encode(), "sha256").hex()
    return f"{url}?{urlencode({**signed, **(query or {})}, quote_via=quote, safe='~')}"


def _fetch_token(url: str) -> _Token:
    import msgspec

    from revisit.net.http_client import create_client, read_bounded, send
    from revisit.net.retry import AttemptFailedError, RetryPolicy, is_transient_status

    def attempt() -> Any:
        with create_client(_TOKEN_TIMEOUT_S) as client, send(client, "GET", url) as response:
            content = read_bounded(response, _MAX_TOKEN_BYTES, _TOKEN_TIMEOUT_S)
        if is_transient_status(response.status_code):
            raise AttemptFailedError(f"answers {response.status_code}")
        if response.status_code != 200:
            raise PermanentError(f"{url} answers {response.status_code} and gives no token")
        return content

    try:
        answer = msgspec.json.decode(RetryPolicy(first_delay_s=1.0, max_attempts=3).call(attempt))
        query, expiry = answer["token"], parse_instant(str(answer["msft:expiry"]))
    except AttemptFailedError as failure:
        raise TransientError(f"{url} {failure}") from None
    except (msgspec.DecodeError, InvalidInputError, KeyError, TypeError):
        raise PermanentError(f"{url} does not answer with a token and its expiry") from None
    if not isinstance(query, str) or not query.isprintable() or set(query) & set(" #?/\\\"'<>"):
        raise PermanentError(f"{url} answers with a token that is not a query string")
    return _Token(query, expiry)
