"""`revisit order` on real pixels: counts, shares and statistics equal those of an independent script."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data import shared_data

REVISIT = [sys.executable, "-c", "from revisit.cli import main; main()"]
SITES = ("gfmap_31UES", "gfmap_31UFS", "majortom_33NZA", "earthsearch_29RKH", "eodag_31TDH")


def revisit(*arguments: str, data: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    environment = {**os.environ, "REVISIT_DATA": str(data), "NO_COLOR": "1"}
    done = subprocess.run(
        [*REVISIT, *arguments], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.parametrize("site", SITES)
def test_an_order_over_real_pixels_gives_the_numbers_of_an_independent_script(site, tmp_path):
    archive = shared_data("archive")
    expected = json.loads((archive / "expected.json").read_text())["sites"][site]
    names = [name for name in ("NDVI", "NDWI", "EVI") if any(name in date for date in expected["dates"])]
    recipe = ["--index", ",".join(names)] if names else ["--bands", "B01"]
    done = revisit(
        "order",
        "--aoi",
        str(archive / expected["aoi"]),
        "--source",
        f"folder:{archive}",
        *recipe,
        "--wait",
        "--json",
        data=tmp_path,
    )
    answer = json.loads(done.stdout)
    assert answer["state"] == "finished" and "Traceback" not in done.stderr
    jobs = {job["datetime"][:10]: job for job in answer["jobs"]}
    assert sorted(jobs) == sorted(date["date"] for date in expected["dates"])
    assert [job["datetime"] for job in answer["jobs"]] == sorted(job["datetime"] for job in answer["jobs"])
    for date in expected["dates"]:
        job = jobs[date["date"]]
        assert (job["state"], job["reason"]) == (
            ("done", None) if date["clear_pixels"] else ("skipped", "no pixel of the AOI is clear")
        )
        for count in ("aoi_pixels", "valid_pixels", "clear_pixels", "mask"):
            assert job[count] == date[count], (date["item"], count)
        assert job["clear_fraction"] == pytest.approx(date["clear_fraction"], abs=1e-6)
        if job["state"] == "skipped":
            assert not job["indices"] and not job["bands"] and not job["assets"]
            continue
        for name in names:
            compare(job["indices"].get(name), date.get(name), f"{date['item']} {name}")
        if "reflectance_B01" in date:
            compare(job["bands"]["B01"], date["reflectance_B01"], f"{date['item']} B01")
        assert Path(job["item"]).is_file() and json.loads(Path(job["item"]).read_text())["type"] == "Feature"


def compare(found: dict | None, expected: dict | None, what: str) -> None:
    """Counts are equal, values agree to 1e-6."""
    assert (found is None) == (expected is None), what
    if found is None or expected is None:
        return
    assert found["count"] == expected["count"], what
    for name in ("mean", "std", "min", "max", "median"):
        assert found[name] == (pytest.approx(expected[name], abs=1e-6) if name in expected else None), (
            what,
            name,
        )
