"""How every benchmark measures: cases interleaved in rounds, medians, ratios within a round.

Each file here prints a table and, for CI, one `FIGURE` line per goal. `--quick` runs a smaller size.
"""

import argparse
import gc
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

DATA = Path(os.environ.get("BENCH_DATA", Path(__file__).parent.parent / "bench-data"))
"""Folder of generated inputs, kept between runs and not committed."""


def arguments(purpose: str, **extra: dict) -> argparse.Namespace:
    """The command line shared by all benchmarks."""
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("--quick", action="store_true", help="a smaller size, seconds to a minute")
    for name, options in extra.items():
        parser.add_argument(f"--{name}", **options)
    DATA.mkdir(parents=True, exist_ok=True)
    return parser.parse_args()


def rounds(
    cases: dict[str, Callable[[], object]],
    count: int = 5,
    warm: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each case in each round; a round runs every case once, in rotating order.

    Args:
        cases: What to measure, by name; the first is the peer or floor that ratios refer to.
        count: Measured rounds.
        warm: Whether one more round runs before, unmeasured.
        clock: Returns seconds; `time.process_time` measures CPU time.
    """
    names = list(cases)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-1 if warm else 0, count):
        start = max(turn, 0) % len(names)
        for name in names[start:] + names[:start]:
            gc.collect()
            begun = clock()
            cases[name]()
            if turn >= 0:
                seconds[name].append(clock() - begun)
    return seconds


def table(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Print each case's median, and the median of its ratio to the first case within a round; return
    those."""
    base = next(iter(seconds))
    ratios = {}
    for name, values in seconds.items():
        ratios[name] = statistics.median(own / peer for own, peer in zip(values, seconds[base], strict=True))
        print(f"  {name:44s} {statistics.median(values) * 1e3:12.3f} ms   {ratios[name]:8.3f} x")
    return ratios


def figure(name: str, value: str, goal: str, met: bool) -> None:
    """Print one goal's line for CI."""
    print(f"FIGURE {name}: {value} (goal {goal}) {'met' if met else 'MISSED'}", flush=True)
