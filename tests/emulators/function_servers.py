"""The functions as processes of their own, each served by functions-framework as Cloud Run does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emulators import PATIENCE_S, ROOT, die_with_parent, free_port, is_listening

PROGRAM = Path(__file__).with_name("function_process.py")


@dataclass
class Function:
    """One function's server; after a kill it is started again on the same port."""

    name: str
    environment: Mapping[str, str]
    log: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None
    errors: Path | None = None
    """Gets what it writes on stderr; the log does where there is none."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; it may take a moment until it `listens`."""
        command = [
            sys.executable,
            str(PROGRAM),
            "--target",
            self.name,
            "--source",
            str(ROOT / "functions" / self.name / "main.py"),
            "--signature-type",
            "http" if self.name == "api" else "cloudevent",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        with self.log.open("ab") as output, (self.errors or self.log).open("ab") as errors:
            self.process = subprocess.Popen(
                die_with_parent(command),
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it listens."""
        until = time.monotonic() + PATIENCE_S
        while not is_listening(self.port):
            assert self.process and self.process.poll() is None, (
                f"{self.name} ended: {(self.errors or self.log).read_text()[-2000:]}"
            )
            assert time.monotonic() < until, f"{self.name} does not listen"
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9, the server and its worker."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Functions:
    """Some functions, running; ended with the `with` block."""

    def __init__(self, names: Iterable[str], environment: Mapping[str, str], folder: Path) -> None:
        """
        Args:
            environment: Besides this process's own.
            folder: Gets a log a function, and what it writes on stderr beside it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.by_name = {
            name: Function(name, environment, folder / f"{name}.log", errors=folder / f"{name}.err")
            for name in names
        }

    def __enter__(self) -> "Functions":
        for function in self.by_name.values():
            function.start()
        for function in self.by_name.values():
            function.wait()
        return self

    def __exit__(self, *_: object) -> None:
        for function in self.by_name.values():
            function.kill()

    @property
    def urls(self) -> dict[str, str]:
        return {name: function.url for name, function in self.by_name.items()}
