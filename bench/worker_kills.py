"""Events lost or doubled by workers that are killed: 10,000 events, sent 13,000 times, 1,000 kills.

The same harness as `tests/faults`, on the real disk. The control runs on records that commit each write by
itself, and must fail.
"""

import sys
import tempfile
from pathlib import Path

from bench.common import DATA, arguments, figure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from faults.checker import Verdict, run_with_kills


def main() -> None:
    quick = arguments("Kill workers, count what is lost").quick
    events, kills, seconds = (2_000, 100, 10.0) if quick else (10_000, 1_000, 84.0)
    with tempfile.TemporaryDirectory(dir=DATA) as folder:
        real = run_with_kills(Path(folder) / "real", events=events, send_duration_s=seconds)
        torn = run_with_kills(
            Path(folder) / "torn", "a commit per write", events=events // 4, send_duration_s=seconds / 4
        )
    for name, verdict in (("one commit", real), ("a commit per write", torn)):
        _print(name, verdict)
    figure(
        "events lost under kill -9",
        f"{real.lost} of {events}, {real.kills} kills",
        "0",
        not real.lost and not real.faults,
    )
    figure(
        "alerts doubled under kill -9",
        f"{real.doubled} of {events}, sent {real.sent} times",
        "0",
        not real.doubled,
    )
    figure(
        "kills",
        f"{real.kills} in {real.seconds:.0f} s",
        f">= {kills} in <= 120 s",
        real.kills >= kills and real.seconds <= 120,
    )
    figure(
        "control with a commit per write",
        f"{torn.lost} lost, {torn.doubled} doubled",
        "> 0",
        torn.lost + torn.doubled > 0,
    )


def _print(name: str, verdict: Verdict) -> None:
    print(
        f"  {name:18s} events {verdict.events:6d}  sent {verdict.sent:6d}  kills {verdict.kills:5d}"
        f"  {verdict.seconds:6.1f} s"
        f"  lost {verdict.lost:3d}  doubled {verdict.doubled:3d}  faults {len(verdict.faults)}"
    )


if __name__ == "__main__":
    main()
