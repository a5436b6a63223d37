"""cloudbuild.yaml names steps, files and settings that exist, and each step says what it needs."""

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from werkzeug.serving import make_server

from backends import with_settings
from import_graph import ROOT
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from revisit.errors import UnauthenticatedError
from revisit.ports.authenticator import Authenticator

FILE = ROOT / "cloudbuild.yaml"
BUILD = yaml.safe_load(FILE.read_text())
STEPS = {step["id"]: step for step in BUILD["steps"]}
SCRIPTS = {name: " ".join(step["args"]) for name, step in STEPS.items()}


def test_steps_run_from_test_to_smoke():
    assert list(STEPS) == ["test", "build", "plan", "apply", "publish", "smoke"]
    before = dict(zip(STEPS, [[], *([name] for name in STEPS)], strict=False))
    waits = {name: step.get("waitFor", before[name]) for name, step in STEPS.items()}
    assert waits == {
        "test": [],
        "build": ["-"],
        "plan": ["test", "build"],
        "apply": ["plan"],
        "publish": ["apply"],
        "smoke": ["publish"],
    }


def test_each_step_says_what_it_needs():
    blocks = re.split(r"\n(?=  # Needs: )", FILE.read_text())[1:]
    assert [re.search(r"- id: (\w+)", block)[1] for block in blocks] == list(STEPS)


def test_substitutions_are_used_and_known():
    text = "".join(
        line for line in FILE.read_text().splitlines(keepends=True) if not line.lstrip().startswith("#")
    )
    used = set(re.findall(r"(?<!\$)\$\{?(\w+)", text))
    assert used == {"PROJECT_ID", *BUILD["substitutions"]}
    default = re.search(
        r'variable "region".*?default\s+= "([^"]+)"',
        (ROOT / "terraform" / "variables.tf").read_text(),
        re.DOTALL,
    )[1]
    assert BUILD["substitutions"] == {"_REGION": default}


def test_targets_files_and_variables_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", SCRIPTS["test"])) <= targets
    for script in SCRIPTS.values():
        assert all((ROOT / name).is_file() for name in re.findall(r"\btests/\S+\.py", script))
    variables = set(
        re.findall(r'^variable "(\w+)"', (ROOT / "terraform" / "variables.tf").read_text(), re.MULTILINE)
    )
    assert set(re.findall(r"-var=(\w+)=", SCRIPTS["plan"])) <= variables
    assert re.search(r"-out=(\S+)", SCRIPTS["plan"])[1] in SCRIPTS["apply"]


def test_only_the_plan_that_was_made_is_applied_and_nothing_is_approved_unseen():
    assert "auto-approve" not in FILE.read_text()
    assert BUILD["serviceAccount"].endswith("revisit-deploy@$PROJECT_ID.iam.gserviceaccount.com")


@pytest.mark.parametrize("step", STEPS)
def test_scripts_are_well_formed(step):
    if "entrypoint" in STEPS[step]:
        script = STEPS[step]["args"][-1].replace("$$", "$")
        checked = subprocess.run(
            [STEPS[step]["entrypoint"], "-n"], input=script, text=True, capture_output=True
        )
        assert (checked.returncode, checked.stderr) == (0, "")


MEDIA_TYPES = {
    "js": "text/javascript",
    "json": "application/json",
    "css": "text/css",
    "svg": "image/svg+xml",
    "html": "text/html",
    "txt": "text/plain",
}


class Deployment(BaseHTTPRequestHandler):
    """A page, an API and a function that are as they should be, but for what is spoilt."""

    spoilt: str = ""

    def do_GET(self):
        host, _, name = self.path[1:].partition("/")
        status, media_type, body = 404, "text/plain", b""
        if host == "site":
            media_type = MEDIA_TYPES[name.rpartition(".")[2]]
            status, body = 200, (ROOT / "web" / name).read_bytes()
            if name == "config.js":
                body = f'export const api = "http://{self.headers["Host"]}/api/";'.encode()
            if self.spoilt == name:
                body += b"// other"
        elif host == "api":
            status = {"health": 200, "subscriptions": 200 if self.spoilt == "open" else 401}.get(name, 404)
        elif self.spoilt == "extract":
            status = 400
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(
    ("what", "spoilt", "said"),
    [
        ("page", "", "the page answers as it should"),
        ("page", "app.js", "app.js is not the file of this checkout"),
        ("api", "", "the api answers as it should"),
        ("api", "open", "/subscriptions answers 200, not 401"),
        ("api", "extract", "extract answers the internet with 400"),
    ],
)
def test_smoke_tells_a_deployment_that_is_right_from_one_that_is_not(what, spoilt, said, tmp_path):
    handler = type("Spoilt", (Deployment,), {"spoilt": spoilt})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_port}"
        outputs = {
            "site_url": f"{here}/site/index.html",
            "api_url": f"{here}/api",
            "functions": {"api": f"{here}/api", "extract": f"{here}/extract"},
        }
        (tmp_path / "outputs.json").write_text(
            json.dumps({name: {"value": value} for name, value in outputs.items()})
        )
        ran = subprocess.run(
            [sys.executable, ROOT / "tests" / "smoke.py", what, tmp_path / "outputs.json"],
            text=True,
            capture_output=True,
            timeout=120,
        )
        server.shutdown()
    assert said in ran.stdout, ran.stderr
    assert ran.returncode == (1 if spoilt else 0)


def test_smoke_finds_the_real_api_as_it_should_be(tmp_path):
    def unknown(token):
        raise UnauthenticatedError("sign in again")

    backend = with_settings(local_backend(tmp_path / "data"), authenticator=Authenticator(unknown))
    server = make_server("127.0.0.1", 0, create_app(backend, web=tmp_path / "no-page"), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    (tmp_path / "outputs.json").write_text(
        json.dumps({"api_url": {"value": address}, "functions": {"value": {"api": address}}})
    )
    ran = subprocess.run(
        [sys.executable, ROOT / "tests" / "smoke.py", "api", tmp_path / "outputs.json"],
        text=True,
        capture_output=True,
        timeout=120,
    )
    server.shutdown()
    assert (ran.returncode, ran.stdout.strip()) == (0, "the api answers as it should"), ran.stderr


def test_smoke_asks_for_outputs_that_terraform_gives():
    given = set(re.findall(r'^output "(\w+)"', (ROOT / "terraform" / "outputs.tf").read_text(), re.MULTILINE))
    assert set(re.findall(r"outputs\[[\"'](\w+)[\"']\]", (ROOT / "tests" / "smoke.py").read_text())) <= given
