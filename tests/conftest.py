"""Fixtures and hooks of all tests: emulators, order and grouping, hypothesis profiles, skipped tests."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

import profiles
from data import REMEDIES, REQUIRED
from emulators import Emulator, missing_for_emulators
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
PROGRAMS: dict[str, Callable[[], str | None]] = {
    "google": missing_for_emulators,
    "rules_emulator": missing_for_emulators,
    "browser": lambda: None if shutil.which("chromium") else "chromium",
    "reattach": lambda: None if shutil.which("terraform") else "terraform",
}
"""By fixture, the program that is missing for it, if one is."""
OWNER = pytest.StashKey[EmulatorOwner]()

# Arrow's memory pool would start a thread whose locks stay held in a forked process.
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--max-skips", type=int, help="fail if more tests than that are skipped")


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
    """Order the modules; within one, tests keep their order.

    Where a program is missing, one skipped test stands for all tests of a module that need it.
    """
    items.sort(key=lambda item: _rank(_name(item)))
    kept = items if REQUIRED else _collapse(items)
    if len(kept) < len(items):
        items[:] = kept


class ModuleScheduling(LoadScopeScheduling):
    """Gives each group of tests to one worker, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        name = nodeid.partition("::")[0].removeprefix("tests/")
        if name.startswith(SPLIT):
            return nodeid
        return "terraform" if name.startswith(TOGETHER) else name


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ModuleScheduling:
    """Schedule by module whatever `--dist` says."""
    return ModuleScheduling(config, log)


def _collapse(items: list[pytest.Item]) -> list[pytest.Item]:
    lacking: dict[tuple[str, str], list[pytest.Item]] = {}
    missing = {fixture: reason for fixture, find in PROGRAMS.items() if (reason := find())}
    kept = []
    for item in items:
        reason = next((reason for fixture, reason in missing.items() if _uses(item, fixture)), None)
        if reason is None:
            kept.append(item)
        else:
            group = lacking.setdefault((_name(item), reason), [])
            if not group:
                kept.append(item)
            group.append(item)
    for (_, reason), group in lacking.items():
        group[0].add_marker(pytest.mark.skip(reason=f"{reason} is missing: {len(group)} tests of the module"))
    return kept


def _uses(item: pytest.Item, fixture: str) -> bool:
    parameters = (
        item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    )
    if fixture == "google" and parameters.get("backend_factory") == "gcp":
        return True
    return fixture in getattr(item, "fixturenames", ())


def _name(item: pytest.Item) -> str:
    return str(item.path.relative_to(HERE))


def _rank(name: str) -> int:
    return next((place for place, start in enumerate(SLOW_FIRST) if name.startswith(start)), len(SLOW_FIRST))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the skipped tests by reason, with how to get what they lack."""
    reasons = _skip_reasons(terminalreporter)
    skips: Counter[str] = Counter()
    tests: Counter[str] = Counter()
    for reason in reasons:
        requirement, _, detail = reason.partition(" is missing")
        several = re.fullmatch(r": (\d+) tests of the module", detail)
        skips[requirement] += 1
        tests[requirement] += int(several[1]) if several else 1
    if reasons:
        terminalreporter.section(f"{len(reasons)} skips, which stand for {tests.total()} tests")
        terminalreporter.line(f"{'skips':>5} {'tests':>6}  {'missing':<36}  how to get it")
        for requirement, count in tests.most_common():
            terminalreporter.line(
                f"{skips[requirement]:>5} {count:>6}  {requirement:<36}  {REMEDIES.get(requirement, '')}"
            )


def _skip_reasons(terminalreporter: pytest.TerminalReporter) -> list[str]:
    reports = terminalreporter.stats.get("skipped", ())
    return [
        report.longrepr[2].removeprefix("Skipped: ")
        for report in reports
        if isinstance(report.longrepr, tuple)
    ]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if more tests are skipped than it may."""
    limit = session.config.getoption("--max-skips")
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if limit is not None and reporter and len(_skip_reasons(reporter)) > limit:
        reporter.write_line(f"\nmore than {limit} tests were skipped")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def google() -> Iterator[dict[str, Emulator]]:
    """Google's emulators by their environment variables, which this process's clients find; all workers
    share them."""
    with shared_emulators() as running:
        yield running
