"""NDVI and cloud mask over a scene, against spyndex and a numpy mask; peak memory; import time.

The peer computes reflectance in float32, the index, then NaN where the SCL is not clear. Revisit starts from
the same DN and SCL, and also masks pixels without data. The third case is Revisit in float64, the precision
of smaller windows.
"""

import subprocess
import sys
import warnings

import numpy as np

from bench.common import arguments, figure, rounds, table
from revisit.pixels.indices import compute_masked, index
from revisit.pixels.masks import CLEAR_TABLE

FULL = 10_980
SCALE, OFFSET = 1e-4, -0.1


def scene(size: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """DN of red and near infrared, and an SCL of all classes, 20 m pixels repeated to 10 m."""
    random = np.random.default_rng(0)
    dn = {
        "B04": random.integers(1200, 5000, (size, size), dtype=np.uint16),
        "B08": random.integers(1200, 7000, (size, size), dtype=np.uint16),
    }
    scl = random.integers(0, 12, (size // 2, size // 2), dtype=np.uint8)
    return dn, scl.repeat(2, 0).repeat(2, 1)


def by_spyndex(dn: dict[str, np.ndarray], scl: np.ndarray) -> np.ndarray:
    import spyndex

    red, nir = (
        dn[band].astype(np.float32) * np.float32(SCALE) + np.float32(OFFSET) for band in ("B04", "B08")
    )
    values = spyndex.computeIndex("NDVI", {"N": nir, "R": red})
    values[~CLEAR_TABLE[scl]] = np.nan
    return values


def by_revisit(dn: dict[str, np.ndarray], scl: np.ndarray, precision: type | None = None) -> np.ndarray:
    return compute_masked(index("NDVI"), dn, dict.fromkeys(dn, (SCALE, OFFSET)), scl=scl, precision=precision)


def peak_memory(size: int) -> float:
    """Peak memory beyond the input, as a multiple of the output's size; measured in a new process."""
    code = (
        "import resource; from bench.spectral_index import by_revisit, scene\n"
        "small = scene(512); by_revisit(*small)\n"
        f"dn_and_scl = scene({size})\n"
        "import pathlib; pathlib.Path('/proc/self/clear_refs').write_text('5')\n"
        "def status(key):\n"
        "    line = next(line for line in open('/proc/self/status') if line.startswith(key))\n"
        "    return int(line.split()[1]) * 1024\n"
        "before = status('VmRSS')\n"
        "out = by_revisit(*dn_and_scl)\n"
        "print((status('VmHWM') - before) / out.nbytes)"
    )
    return float(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    )


def measure_imports() -> dict[str, float]:
    """Seconds to start a process and import a module: medians of seven."""

    def run(code: str):
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    print("process start and import")
    seconds = rounds(
        {
            name: run(code)
            for name, code in {
                "python alone": "pass",
                "numpy": "import numpy",
                "revisit.pixels.indices": "import revisit.pixels.indices",
                "spyndex": "import spyndex",
            }.items()
        },
        7,
    )
    table(seconds)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def measure_speedup(count: int) -> float:
    """How many times faster than the peer over a full scene; both must agree."""
    dn, scl = scene(FULL)
    expected, found = by_spyndex(dn, scl), by_revisit(dn, scl)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert np.nanmax(np.abs(found - expected)) < 1e-5
    del expected, found
    print(f"NDVI and mask, {FULL} x {FULL}")
    seconds = rounds(
        {
            "spyndex + numpy mask": lambda: by_spyndex(dn, scl),
            "revisit": lambda: by_revisit(dn, scl),
            "revisit, float64": lambda: by_revisit(dn, scl, np.float64),
        },
        count,
    )
    return 1 / table(seconds)["revisit"]


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    warnings.filterwarnings("ignore")
    faster = measure_speedup(3 if options.quick else 7)
    memory = peak_memory(FULL // 2 if options.quick else FULL)
    figure("index on a scene", f"{faster:.1f} x spyndex", ">= 3 x", faster >= 3)
    figure("index peak memory", f"{memory:.2f} x the output", "<= 2 x", memory <= 2)
    seconds = measure_imports()["revisit.pixels.indices"]
    figure("index engine import", f"{seconds:.3f} s, process start included", "<= 0.25 s", seconds <= 0.25)


if __name__ == "__main__":
    main()
