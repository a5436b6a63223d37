"""How every benchmark measures: cases interleaved round by round, medians, ratios taken within a round.

Each file here prints a table and, for CI, one `FIGURE` line per goal. `--quick` runs a size that fits the
test time.
"""

import argparse
import gc
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

DATA = Path(os.environ.get("BENCH_DATA", Path(__file__).parent.parent / "bench-data"))
"""Generated inputs are kept here between runs; nothing in it is committed."""


def arguments(purpose: str, **extra: dict) -> argparse.Namespace:
    """The command line shared by all benchmarks."""
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("--quick", action="store_true", help="a size that fits the test time")
    for name, options in extra.items():
        parser.add_argument(f"--{name}", **options)
    DATA.mkdir(parents=True, exist_ok=True)
    return parser.parse_args()


def rounds(
    cases: dict[str, Callable[[], object]], count: int = 5, warm: bool = True
) -> dict[str, list[float]]:
    """Seconds of each case in each round; within a round every case runs once, in a turning order.

    Args:
        cases: What to measure by name; the first one is the peer or floor that ratios are taken to.
        count: Rounds counted.
        warm: Whether one uncounted round goes before.
    """
    names = list(cases)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-1 if warm else 0, count):
        start = max(turn, 0) % len(names)
        for name in names[start:] + names[:start]:
            gc.collect()
            begun = time.perf_counter()
            cases[name]()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - begun)
    return seconds


def table(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Print medians and the median of the in-round ratios to the first case; returns those ratios."""
    base = next(iter(seconds))
    ratios = {}
    for name, values in seconds.items():
        ratios[name] = statistics.median(own / peer for own, peer in zip(values, seconds[base], strict=True))
        print(f"  {name:44s} {statistics.median(values) * 1e3:12.3f} ms   {ratios[name]:8.3f} x")
    return ratios


def figure(name: str, value: str, goal: str, met: bool) -> None:
    """Print one goal's line for CI."""
    print(f"FIGURE {name}: {value} (goal {goal}) {'met' if met else 'MISSED'}", flush=True)
