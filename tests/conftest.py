"""Fixtures and hooks of the whole test suite: emulators, order and grouping, hypothesis profiles, the table
of skipped tests."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import profiles
from data import REMEDIES
from emulators import Emulator
from emulators.shared import ADDRESS_VARIABLE, EmulatorOwner, shared_emulators

HERE = Path(__file__).parent
SLOW_FIRST = (
    "gcp/test_chain.py",
    "deploy/",
    "terraform/",
    "browser/",
    "faults/",
    "gcp/",
    "embedded/",
    "ports/",
    "api/",
)
"""The longest modules start first, so that no worker is left with one at the end."""
SPLIT = ("faults/test_disk.py", "faults/test_crashes.py")
"""Modules whose tests go to any worker: they are long, and share no server or folder.

Any other module stays with one worker, since its fixtures (a server, a browser, a project in the emulators)
would be made once per worker otherwise.
"""
TOGETHER = ("terraform/test_ch", "terraform/test_plan")
"""Modules that share a plan stay with one worker."""
OWNER = pytest.StashKey[EmulatorOwner]()

# Arrow's memory pool would start a thread whose locks stay held in a forked process.
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--without",
        default="",
        help="comma-separated tools whose tests are left out: emulators, browser",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose hypothesis's profile; in the process that starts the workers, own the emulators."""
    profiles.load()
    if not hasattr(config, "workerinput"):
        config.stash[OWNER] = owner = EmulatorOwner()
        os.environ[ADDRESS_VARIABLE] = owner.address


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the emulators."""
    if owner := config.stash.get(OWNER, None):
        owner.stop()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the modules and keep each with one worker; within a module, tests keep their order."""
    without = set(filter(None, config.getoption("--without").split(",")))
    items[:] = [item for item in items if not without & _tools(item)]
    items.sort(key=lambda item: _rank(_name(item)))
    for item in items:
        if not _name(item).startswith(SPLIT):
            item.add_marker(pytest.mark.xdist_group(_group(_name(item))))


def _name(item: pytest.Item) -> str:
    return str(item.path.relative_to(HERE))


def _rank(name: str) -> int:
    return next((place for place, start in enumerate(SLOW_FIRST) if name.startswith(start)), len(SLOW_FIRST))


def _group(name: str) -> str:
    return "terraform" if name.startswith(TOGETHER) else name.removesuffix(".py")


def _tools(item: pytest.Item) -> set[str]:
    """What `--without` may leave out, as far as a test uses it."""
    fixtures = getattr(item, "fixturenames", ())
    parameter = getattr(item, "callspec", None) and item.callspec.params.get("backend_factory")  # type: ignore[attr-defined]
    emulated = "google" in fixtures or parameter == "gcp" or _name(item).startswith(("gcp/", "deploy/"))
    return {name for name, used in (("emulators", emulated), ("browser", "browser" in fixtures)) if used}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the skipped tests by reason, with how to get what they lack."""
    reasons = [
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", ())
        if isinstance(report.longrepr, tuple)
    ]
    counts = Counter(reason.partition(" is missing")[0] for reason in reasons)
    if counts:
        terminalreporter.section(f"{len(reasons)} tests were skipped")
        terminalreporter.line(f"{'tests':>6}  {'missing':<42}  how to get it")
        for requirement, count in counts.most_common():
            terminalreporter.line(f"{count:>6}  {requirement:<42}  {REMEDIES.get(requirement, '')}")


@pytest.fixture(scope="session")
def google() -> Iterator[dict[str, Emulator]]:
    """Google's emulators by their environment variables, which this process's clients find; all workers
    share them."""
    with shared_emulators() as running:
        yield running
