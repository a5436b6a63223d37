"""Cloud Storage, emulated by the project's own server, with preconditions, signatures, HEAD and CORS."""

import json
import os
import shutil
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import skip_or_fail
from emulators import Emulator

_START = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); "
    "from emulators.storage_server import main; main()"
)


@dataclass
class StorageServer(Emulator):
    """The server, and what it was asked."""

    requests: Path = Path()

    def request_log(self) -> list[dict[str, Any]]:
        """The requests so far: method, path, query, range, status, received and sent bytes, agent."""
        return (
            [json.loads(line) for line in self.requests.read_text().splitlines()]
            if self.requests.is_file()
            else []
        )


def storage(requests: Path | None = None, keys: Path | None = None) -> StorageServer:
    """Cloud Storage.

    Args:
        requests: Gets one JSON line a request (`StorageServer.asked`).
        keys: JSON file of public keys in PEM by the e-mail of their account, for signed URLs.
    """
    options = [
        part for name, path in (("--log", requests), ("--keys", keys)) if path for part in (name, path)
    ]
    return StorageServer(
        lambda port: [sys.executable, "-c", _START, "--port", str(port), *options],
        "STORAGE_EMULATOR_HOST",
        "http://127.0.0.1:{port}",
        requests=requests or Path(),
    )


def create_bucket(host: str, name: str, location: str = "EUROPE-WEST1", **fields: Any) -> str:
    """Make a bucket and return its name.

    Args:
        host: `Emulator.host`.
        fields: Fields of the bucket as the JSON API has them: cors, iamConfiguration; `denied` lists
            permissions that its callers lack.
    """
    call_json(f"{host}/storage/v1/b?project=p", {"name": name, "location": location, **fields})
    return name


def set_faults(host: str, *faults: dict[str, Any]) -> None:
    """Have requests fail: each fault is of `times` requests, of `methods`, whose path and query match the
    regular expression `target`.

    They are refused with `status`, or wait for `delay_s`, or lose their answer once they are done
    (`drop_answer`), or come in with one text for
    another (`spoil`).
    """
    call_json(f"{host}/_server/faults", list(faults))


def call_json(url: str, body: Any = None) -> Any:
    """Post JSON, or get without a body."""
    request = urllib.request.Request(
        url, None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def registry_emulator() -> Emulator:
    """The server on the registry, a second opinion on the plain paths; what it lacks is listed in
    docs/emulators.md."""
    found = shutil.which(
        "gcp-storage-emulator", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if not found:
        skip_or_fail("gcp-storage-emulator")
    return Emulator(
        lambda port: [found or "", "start", "--host=127.0.0.1", f"--port={port}", "--in-memory"],
        "STORAGE_EMULATOR_HOST",
        "http://127.0.0.1:{port}",
    )
