"""Google's emulators, each a separate process on a free port of 127.0.0.1.

Tests stay apart by their projects (`new_project`); `emulators.shared` runs one set for all of them.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from data import skip_or_fail

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240
"""How long an emulator may take to start on a busy machine."""


def new_project() -> str:
    """The id of a new project."""
    return f"demo-{uuid.uuid4().hex[:16]}"


def free_port() -> int:
    """A port of 127.0.0.1 without a listener."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def is_listening(port: int) -> bool:
    """Whether a port of 127.0.0.1 accepts connections."""
    with socket.socket() as caller:
        caller.settimeout(0.5)
        return caller.connect_ex(("127.0.0.1", port)) == 0


def die_with_parent(command: Sequence[str | Path]) -> list[str]:
    """A command whose process is killed when the thread that starts it ends, however that happens.

    Not with a `preexec_fn`: that forks among the threads of other libraries, whose locks may stay held.
    """
    return ["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)]


@dataclass
class Emulator:
    """A local replacement for one of Google's services."""

    command: Callable[[int], Sequence[str | Path]]
    """The command that serves on a port."""
    variable: str
    """The environment variable under which clients find it."""
    host_format: str = "127.0.0.1:{port}"
    """The value of the variable."""
    first_request: Callable[[int], None] | None = None
    """Makes a request that warms it up: a cold one may take longer than a client waits for its answer."""
    log: Path | None = None
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    is_warm: bool = False

    @property
    def host(self) -> str:
        return self.host_format.format(port=self.port)

    def start(self) -> "Emulator":
        """Start it and wait until it listens; on the same port as before where it was stopped."""
        self.launch()
        return self.wait()

    def launch(self, environment: Mapping[str, str] | None = None) -> None:
        """Start its process, with some variables besides those of this one."""
        with (self.log or Path(os.devnull)).open("ab") as output:
            self.process = subprocess.Popen(
                die_with_parent(self.command(self.port)),
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.is_warm = False

    def wait(self) -> "Emulator":
        """Wait until it listens."""
        until = time.monotonic() + PATIENCE_S
        while not is_listening(self.port):
            assert self.process and self.process.poll() is None, (
                f"{self.variable}: the emulator ended with {self.process and self.process.returncode}"
            )
            assert time.monotonic() < until, (
                f"{self.variable}: the emulator does not listen after {PATIENCE_S} s"
            )
            time.sleep(0.1)
        if self.first_request and not self.is_warm:
            self.first_request(self.port)
        self.is_warm = True
        return self

    def stop(self) -> None:
        """Kill it by its process id."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def missing_for_emulators() -> str | None:
    """The program that the emulators of Firestore and Pub/Sub lack, as `data.REMEDIES` names it, if any."""
    root = _cloud_sdk()
    if root is None:
        return "gcloud"
    if not _firestore_jar(root).exists():
        return "the Firestore emulator"
    if not _pubsub_jars(root):
        return "the Pub/Sub emulator"
    return None if shutil.which("java") else "java"


def _cloud_sdk() -> Path | None:
    """The root of the gcloud CLI, whose components include the emulators."""
    named = os.environ.get("CLOUDSDK")
    found = shutil.which("gcloud")
    candidates = [Path(named)] if named else [Path(found).resolve().parents[1]] if found else []
    return next((root for root in candidates if (root / "platform").is_dir()), None)


def _firestore_jar(root: Path) -> Path:
    return root / "platform" / "cloud-firestore-emulator" / "cloud-firestore-emulator.jar"


def _pubsub_jars(root: Path) -> list[Path]:
    return sorted((root / "platform" / "pubsub-emulator" / "lib").glob("cloud-pubsub-emulator-*-all.jar"))


def _java_and_sdk() -> tuple[str, Path]:
    if missing := missing_for_emulators():
        skip_or_fail(missing)
    return str(shutil.which("java")), _cloud_sdk() or Path()


def firestore(rules: Path | None = None) -> Emulator:
    """Firestore; it enforces `rules`, if given, for all clients but servers."""
    java, root = _java_and_sdk()
    jar = _firestore_jar(root)
    return Emulator(
        lambda port: [
            java,
            "-Xmx512m",
            "-Duser.language=en",
            "-cp",
            jar,
            "com.google.cloud.datastore.emulator.firestore.CloudFirestore",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            *(["--rules", rules] if rules else []),
        ],
        "FIRESTORE_EMULATOR_HOST",
    )


def pubsub() -> Emulator:
    """Pub/Sub."""
    java, root = _java_and_sdk()
    jar = _pubsub_jars(root)[-1]
    return Emulator(
        lambda port: [java, "-Xmx512m", "-jar", jar, "--host=127.0.0.1", f"--port={port}"],
        "PUBSUB_EMULATOR_HOST",
        first_request=_publish_once,
    )


def _publish_once(port: int) -> None:
    topic = f"http://127.0.0.1:{port}/v1/projects/{new_project()}/topics/warm-up"
    for url, method, body in (
        (topic, "PUT", {}),
        (f"{topic}:publish", "POST", {"messages": [{"data": "IQ=="}]}),
    ):
        content = json.dumps(body).encode()
        request = urllib.request.Request(url, content, {"Content-Type": "application/json"}, method=method)
        with suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=PATIENCE_S):
            pass
