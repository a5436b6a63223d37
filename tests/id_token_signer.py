"""ID tokens as Google signs them, by a key of our own whose certificate a local server hands out."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

ISSUER = "https://securetoken.google.com/"


def _segment(value: Any) -> str:
    return _base64(json.dumps(value).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Signer:
    """An RSA key and the certificate for it."""

    id: str = "key-1"
    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )

    @property
    def certificate(self) -> str:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "securetoken.system.gserviceaccount.com")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(self.key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """A JWT (RFC 7515) of these claims, RS256."""
        text = f"{_segment({'alg': 'RS256', 'typ': 'JWT', 'kid': self.id, **header})}.{_segment(claims)}"
        return f"{text}.{_base64(self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def unsigned_token(claims: dict[str, Any]) -> str:
    """A token as Google's emulators take it."""
    return f"{_segment({'alg': 'none', 'typ': 'JWT'})}.{_segment(claims)}."


def firebase_claims(
    project: str, uid: str = "user-1", issued_s: float = -60, **changes: Any
) -> dict[str, Any]:
    """What Firebase writes into the token of a user of a project.

    Args:
        issued_s: Seconds from now; the token is over an hour later.
    """
    issued = int(time.time() + issued_s)
    return {
        "iss": ISSUER + project,
        "aud": project,
        "auth_time": issued,
        "user_id": uid,
        "sub": uid,
        "iat": issued,
        "exp": issued + 3600,
        "email": f"{uid}@example.org",
        "email_verified": True,
        "firebase": {"identities": {"email": [f"{uid}@example.org"]}, "sign_in_provider": "password"},
    } | changes


@dataclass
class CertificateServer:
    """A server of certificates."""

    url: str
    answers: dict[str, Any]
    """What it says: status, body, max_age."""
    request_count: int = 0


@contextmanager
def serve_certificates(*signers: Signer, max_age: int | None = 3600) -> Iterator[CertificateServer]:
    """Hand out the certificates of these keys, as Google does at /robot/v1/metadata/x509/..."""
    body = json.dumps({signer.id: signer.certificate for signer in signers}).encode()
    answers: dict[str, Any] = {"status": 200, "body": body, "max_age": max_age}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.request_count += 1
            self.send_response(answers["status"])
            self.send_header("Content-Type", "application/json")
            if answers["max_age"] is not None:
                self.send_header(
                    "Cache-Control", f"public, max-age={answers['max_age']}, must-revalidate, no-transform"
                )
            self.end_headers()
            self.wfile.write(answers["body"])

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        served = CertificateServer(f"http://127.0.0.1:{server.server_port}/certificates", answers)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
