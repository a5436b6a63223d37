"""Cloud Storage, played by the project's own server: the one on the registry ignores preconditions, signatures, HEAD and CORS."""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from emulators import Emulator

_START = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}); from emulators.storage_server import main; main()"


def storage(log: Path | None = None, keys: Path | None = None) -> Emulator:
    """Cloud Storage.

    Args:
        log: Gets one JSON line a request (`requests_in`).
        keys: JSON file of public keys in PEM by the e-mail of their account, for signed URLs.
    """
    options = [part for name, path in (("--log", log), ("--keys", keys)) if path for part in (name, path)]
    return Emulator(lambda port: [sys.executable, "-c", _START, "--port", str(port), *options], "STORAGE_EMULATOR_HOST", "http://127.0.0.1:{port}")


def create_bucket(host: str, name: str, location: str = "EUROPE-WEST1", **about: Any) -> str:
    """Make a bucket and return its name.

    Args:
        host: `Emulator.host`.
        about: Fields of the bucket as the JSON API has them: cors, iamConfiguration; `denied` lists permissions that its callers lack.
    """
    ask(f"{host}/storage/v1/b?project=p", {"name": name, "location": location, **about})
    return name


def set_faults(host: str, *faults: dict[str, Any]) -> None:
    """Have requests fail or wait: {"methods": ["POST"], "target": "regex of path and query", "status": 503, "delay_s": 1, "times": 2}."""
    ask(f"{host}/_server/faults", list(faults))


def requests_in(log: Path) -> list[dict[str, Any]]:
    """What was asked of the server: method, path, query, range, status, received and sent bytes."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def ask(url: str, body: Any = None) -> Any:
    """Post JSON, or get without a body."""
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")
