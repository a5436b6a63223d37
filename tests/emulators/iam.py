"""IAM, as far as `signBlob` goes, with a key of its own; and Google's metadata server, as far as accounts go.

https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/signBlob
"""

import base64
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

TOKEN = "token-of-who-asks"


class Iam:
    """Signs for one account when the request bears `TOKEN`."""

    def __init__(self, email: str) -> None:
        self.email, self.key = email, rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.request_count = 0
        self.answers: list[int] = []
        """Statuses that come before the right answer."""
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def write_public_key(self, file: Path) -> None:
        """Write the public key in PEM by e-mail, for the storage emulator."""
        public = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        file.write_text(json.dumps({self.email: public.decode()}))

    def request(self, url: str, **options: Any) -> Any:
        """A transport of google-auth's that finds IAM here."""
        from google.auth.transport.requests import Request

        here = url.replace(
            "https://iamcredentials.googleapis.com", f"http://127.0.0.1:{self.server.server_port}"
        )
        assert here != url
        return Request()(url=here, **options)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str, authorization: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.request_count += 1
        if self.answers:
            return self.answers.pop(0), {"error": {"status": "UNAVAILABLE"}}
        match = re.fullmatch(r"/v1/projects/-/serviceAccounts/([^/:]+):signBlob", path)
        if not match:
            return 404, {"error": {"status": "NOT_FOUND"}}
        if authorization != f"Bearer {TOKEN}":
            return 401, {"error": {"status": "UNAUTHENTICATED"}}
        if match[1] != self.email:
            return 403, {
                "error": {
                    "status": "PERMISSION_DENIED",
                    "message": "Permission 'iam.serviceAccounts.signBlob' denied",
                }
            }
        signature = self.key.sign(base64.b64decode(body["payload"]), padding.PKCS1v15(), hashes.SHA256())
        return 200, {"keyId": "1", "signedBlob": base64.b64encode(signature).decode()}


def _handler(iam: Iam) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            _send(self, *iam.answer(self.path, self.headers.get("Authorization", ""), body))

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class MetadataServer:
    """What a machine of Google's knows of its account
    (https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys)."""

    def __init__(self, email: str) -> None:
        found = {
            "/": "ok",
            "/computeMetadata/v1/project/project-id": "a-project",
            "/computeMetadata/v1/universe/universe-domain": "googleapis.com",
            "/computeMetadata/v1/instance/service-accounts/default/": {
                "email": email,
                "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
            },
            "/computeMetadata/v1/instance/service-accounts/default/token": {
                "access_token": TOKEN,
                "expires_in": 3599,
                "token_type": "Bearer",
            },
        }

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                known = path in found and (path == "/" or self.headers.get("Metadata-Flavor") == "Google")
                _send(self, 200 if known else 404, found.get(path))

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _send(call: BaseHTTPRequestHandler, status: int, answer: Any) -> None:
    body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
    call.send_response(status)
    call.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
    call.send_header("Metadata-Flavor", "Google")
    call.send_header("Content-Length", str(len(body)))
    call.end_headers()
    call.wfile.write(body)
