"""Whether a deployment answers as it should, asked from outside; needs Python and a network, nothing else.

terraform -chdir=terraform output -json > outputs.json
python tests/smoke.py page outputs.json     the page is served as it is in this checkout, and knows its API
python tests/smoke.py api outputs.json      the API answers, lets nobody in without a token, and no other
function answers at all
"""

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

WEB = Path(__file__).parents[1] / "web"
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
PATIENCE_S = 60.0
"""What was just made public is not so everywhere at once."""


def page(outputs: dict[str, object]) -> list[str]:
    """What is wrong with the page."""
    folder, wrong = str(outputs["site_url"]).rpartition("/")[0], []
    for file in sorted(path for path in WEB.rglob("*") if path.is_file()):
        name = str(file.relative_to(WEB))
        status, media_type, body = _get(f"{folder}/{name}")
        if status != 200:
            wrong.append(f"{folder}/{name} answers {status}, not 200")
        elif media_type != TYPES[file.suffix]:
            wrong.append(f"{folder}/{name} is served as {media_type}, not {TYPES[file.suffix]}")
        elif name == "config.js" and f'"{outputs["api_url"]}/"'.encode() not in body:
            wrong.append(f"{folder}/{name} does not name the API {outputs['api_url']}/")
        elif name != "config.js" and body != file.read_bytes():
            wrong.append(f"{folder}/{name} is not the file of this checkout")
    return wrong


def api(outputs: dict[str, object]) -> list[str]:
    """What is wrong with the API and the functions behind it."""
    wrong = []
    for path, wanted in (("/health", 200), ("/subscriptions", 401), ("/nothing-here", 404)):
        status, _, body = _get(f"{outputs['api_url']}{path}", wanted)
        if status != wanted:
            wrong.append(
                f"{outputs['api_url']}{path} answers {status}, not {wanted}: "
                f"{body[:200].decode(errors='replace')}"
            )
    functions = outputs["functions"]
    assert isinstance(functions, dict)
    for name, address in sorted(functions.items()):
        # Cloud Run says of what it keeps inside that it is not there.
        if address != outputs["api_url"] and (status := _get(address, 404)[0]) not in (401, 403, 404):
            wrong.append(f"{name} answers the internet with {status}")
    return wrong


def _get(address: str, expected_status: int = 200) -> tuple[int, str, bytes]:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                found = answer.status, answer.headers.get_content_type(), answer.read()
        except urllib.error.HTTPError as error:
            found = error.code, error.headers.get_content_type(), error.read()
        except OSError as error:
            found = 0, "", str(error).encode()
        if (
            found[0] == expected_status
            or (found[0] not in (0, 403, 404, 429) and found[0] < 500)
            or time.monotonic() > until
        ):
            return found
        time.sleep(2)


def main() -> int:
    """Say what is wrong, a line each."""
    what, file = sys.argv[1:]
    outputs = {name: output["value"] for name, output in json.loads(Path(file).read_text()).items()}
    wrong = {"page": page, "api": api}[what](outputs)
    print("\n".join(wrong) or f"the {what} answers as it should")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
