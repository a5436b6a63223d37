"""Serves one function; with REVISIT_TEST_CRASHES it is killed (-9) once at each of its named points.

The variable names a folder in which the points that were crashed at are noted, so that each is met once by
all processes together. REVISIT_TEST_STALE_SECONDS shortens the minute after which the sweep publishes what a
crash left in the outbox: a chain that is killed at every step waits for it several times.
"""

import importlib
import os
import signal
import sys
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

CRASH_POINTS: dict[str, tuple[str, str, str]] = {
    "begun, nothing read": ("revisit.runtime", "_already_done", "after"),
    "everything read, nothing written": (
        "revisit.adapters.gcp.record_transaction",
        "FirestoreTransaction.put",
        "before",
    ),
    "written, not committed": (
        "revisit.adapters.gcp.record_transaction",
        "FirestoreTransaction.close",
        "before",
    ),
    "committed, nothing published": ("revisit.adapters.gcp.outbox", "Outbox.flush", "before"),
    "published, still in the outbox": ("revisit.adapters.gcp.outbox", "Outbox._remove", "before"),
    "out of the outbox, no answer given": ("revisit.adapters.gcp.outbox", "Outbox.flush", "after"),
    "uploaded, without its name": ("revisit.adapters.gcp.assets", "BucketAssets._publish", "before"),
    "stored, not on record": ("revisit.adapters.gcp.assets", "BucketAssets.store", "after"),
    "products listed, not in the catalog": ("revisit.adapters.gcp.catalog", "BigQueryCatalog.add", "before"),
    "in the catalog, not announced": ("revisit.adapters.gcp.catalog", "BigQueryCatalog.add", "after"),
    "handled, no answer given": ("revisit.runtime", "_log_outcome", "before"),
}
"""Where a function may die: module, what it calls there, and on which side of it."""
CATALOG_WRITER = "refresh"
"""The one function that puts products into the catalog; the others need not load its client."""


def crash_once(name: str, folder: Path) -> None:
    """Die here, as by kill -9, unless somebody has before."""
    try:
        (folder / name).open("x").close()
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def install_faults(function: str, crashes: str, stale_seconds: str) -> None:
    """Put the crashes and the age of stale rows in place before the first event: in the worker, since the
    server it is forked from loads no client and has no threads."""
    from revisit import runtime

    named = runtime.backend_from_environment

    def armed() -> Any:
        if stale_seconds:
            from revisit.adapters.gcp import outbox

            outbox.STALE_AFTER = timedelta(seconds=float(stale_seconds))
        if crashes:
            _wrap_crash_points(function, Path(crashes))
        return named()

    runtime.backend_from_environment = armed


def _wrap_crash_points(function: str, folder: Path) -> None:
    for point, (module, path, side) in CRASH_POINTS.items():
        if path.startswith("BigQueryCatalog") and function != CATALOG_WRITER:
            continue
        owner: Any = importlib.import_module(module)
        *classes, name = path.split(".")
        for step in classes:
            owner = getattr(owner, step)
        setattr(owner, name, _wrap_with_crash(getattr(owner, name), f"{function}: {point}", side, folder))


def _wrap_with_crash(call: Any, point: str, side: str, folder: Path) -> Any:
    @wraps(call)
    def crashing(*given: Any, **named: Any) -> Any:
        if side == "before":
            crash_once(point, folder)
        result = call(*given, **named)
        if side == "after":
            crash_once(point, folder)
        return result

    return crashing


if __name__ == "__main__":
    crashes = os.environ.get("REVISIT_TEST_CRASHES", "")
    stale_seconds = os.environ.get("REVISIT_TEST_STALE_SECONDS", "")
    if crashes or stale_seconds:
        install_faults(sys.argv[sys.argv.index("--target") + 1], crashes, stale_seconds)
    from functions_framework._cli import _cli

    _cli()
