"""`revisit order --estimate`, `revisit orders` and `revisit passes`."""

import json
from datetime import UTC, datetime, timedelta

import icalendar
import pytest

from products import FIELD, add_to_catalog, end_job, product
from revisit.adapters.local.backend import local_backend
from revisit.cli import run
from revisit.domain.clock import system_clock
from revisit.domain.job import Cover, JobCost
from revisit.domain.order import Order
from revisit.pixels.indices import names
from revisit.services.orders.create import list_orders
from revisit.services.subscriptions.results import list_jobs


@pytest.fixture
def backend(tmp_path, monkeypatch):
    monkeypatch.setenv("REVISIT_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "field.geojson").write_text(json.dumps(FIELD))
    backend = local_backend(tmp_path / "data")
    add_to_catalog(
        backend, product(1), product(2, cloud=80.0), product(3, "L1C"), product(4, tile="32TNS", south=45.3)
    )
    return backend


def run_command(capsys, *arguments: str, code: int = 0) -> tuple[str, str]:
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return out, err


def test_an_estimate_starts_nothing(backend, capsys):
    out, err = run_command(
        capsys, "order", "--aoi", "field.geojson", "--estimate", "--level", "l2a", "--max-cloud", "50"
    )
    rows = dict(line.split("\t") for line in out.splitlines())
    # 0.02 by 0.02 degrees at 45.3 N: about 1,570 by 2,220 m, and more since its sides are not parallel to the
    # grid.
    assert rows["passes"] == "1" and rows["pixels"] == "35,234" and "US dollars" not in rows
    assert "blocks of 1024 pixels are read whole" in err and not backend.records.find(Order)
    value = json.loads(run_command(capsys, "order", "--tile", "32TNR", "--estimate", "--json")[0])
    assert (value["jobs"], value["pixels"], value["refused"]) == (2, 2 * 10_980**2, None)
    assert value["notes"] == ["1 pass is left out, known as L1C only; level L1C or any takes L1C"]


@pytest.mark.parametrize(
    ("options", "products"),
    [
        (("--aoi", "field.geojson"), [1, 2]),
        (("--aoi", "field.geojson", "--level", "Any"), [1, 2, 3]),
        (("--aoi", "field.geojson", "--level", "L2A"), [1, 2]),
        (("--aoi", "field.geojson", "--max-cloud", "50", "--level", "any"), [1, 3]),
        (("--tile", "32TNR", "--resolution", "20"), [1, 2]),
        (("--product", product(2).id), [2]),
        (("--product", f" {product(2).id}.SAFE/"), [2]),
        (("--aoi", "field.geojson", "--product", product(1).id, "--product", product(3, "L1C").id), [1, 3]),
    ],
)
def test_an_order_selects_the_products_that_match_its_options(backend, capsys, options, products):
    limits = ("--min-clear", "30", "--min-clear-of", "seen", "--min-coverage", "40")
    id = run_command(capsys, "order", *options, *limits)[0].strip()
    jobs = list_jobs(backend, id)
    assert [job.product.sensing_time.day for job in jobs] == products
    assert {(job.min_clear, job.min_clear_of, job.min_coverage) for job in jobs} == {(30, "seen", 40)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give --aoi FILE, --tile such as 32TQM, or --product ID"),
        (("--tile", "32TNR", "--aoi", "field.geojson"), "give either an AOI or a tile, not both"),
        (
            ("--product", product(1).id, "--product", product(4, tile="32TNS").id),
            "are of 2 tiles (32TNR, 32TNS)",
        ),
        (("--product", "S2A_x"), "cannot be read from its name"),
        (
            (
                "--aoi",
                "field.geojson",
                "--product",
                product(4, tile="32TNS", south=45.3).id,
                "--from",
                "2024-06-01",
            ),
            "start would choose nothing",
        ),
        (("--tile", "32TNR", "--bands", "B02,B03,B04,B08,B11,B12"), "in 6 bands more than one job can hold"),
        (("--tile", "32TNR", "--index", ",".join(f"x{n}=B08/B04" for n in range(21))), "at most 20 formulas"),
        (("--tile", "32TNR", "--index", "ndvi,x=(B08-B04"), "'(' was never closed, at character 3"),
        (
            ("--tile", "32TNR", "--index", ",".join(names()[:21])),
            "32TNR, too many for 21 indices in one job",
        ),
    ],
)
def test_an_invalid_order_is_rejected_in_one_line(backend, capsys, options, message):
    out, err = run_command(capsys, "order", *options, code=2)
    assert out == "" and err.count("\n") == 1 and message in err and not backend.records.find(Order)


def test_an_order_is_listed_shown_and_cancelled(backend, capsys):
    out, err = run_command(capsys, "order", "--aoi", "field.geojson", "--level", "any", "--per-tile")
    id = out.strip()
    job = list_jobs(backend, id)[0]
    end_job(backend, job, cover=Cover(10, 8, 6), spent=JobCost(35_234, 1_000_000, 2.5))
    end_job(backend, list_jobs(backend, id)[1], "skipped", reason="no pixel of the AOI is clear")
    header, row = run_command(capsys, "orders", "list")[0].splitlines()
    assert dict(zip(header.split("\t"), row.split("\t"), strict=True)).items() >= {
        ("ORDER", id),
        ("STATE", "running"),
        ("JOBS", "3"),
        ("DONE", "1"),
        ("SKIPPED", "1"),
        ("FAILED", "0"),
        ("OPEN", "1"),
    }
    shown = json.loads(run_command(capsys, "orders", "show", id, "--json")[0])
    assert shown["progress"] == {
        "total": 3,
        "open": 1,
        "done": 1,
        "skipped": 1,
        "failed": 0,
        "share": 0.666666667,
    }
    assert shown["actual"] == {"pixels": 35_234, "bytes_read": 1_000_000, "bytes_written": 0, "seconds": 2.5}
    assert shown["estimate"]["pixels"] == 3 * 35_234
    out, err = run_command(capsys, "orders", "cancel", id)
    assert "state\tcancelled" in out
    assert err.count("skipped: the order was cancelled") == err.count("skipped: no pixel") == 1
    assert [order.state for order in list_orders(backend)] == ["cancelled"]
    assert (
        "there is no order 'order_none'" in run_command(capsys, "orders", "cancel", "order_none", code=2)[1]
    )


def test_a_finished_order_cannot_be_cancelled(backend, capsys):
    id = run_command(capsys, "order", "--product", product(1).id)[0].strip()
    end_job(backend, list_jobs(backend, id)[0], cover=Cover(10, 8, 6))
    out, err = run_command(capsys, "orders", "cancel", id)
    assert "state\tfinished" in out and "was already finished" in err


def test_passes_are_printed_as_a_table_and_as_a_calendar(backend, capsys):
    last = system_clock().replace(microsecond=0) - timedelta(days=4)
    add_to_catalog(
        backend,
        *(
            product(
                1,
                id=f"S2B_{days}",
                platform="S2B",
                relative_orbit=65,
                datatake=str(days),
                sensing_time=last - timedelta(days=days),
            )
            for days in (0, 10, 20)
        ),
    )
    out, _ = run_command(capsys, "passes", "--aoi", "field.geojson", "--days", "10")
    expected = last + timedelta(days=10)
    assert out.splitlines()[1].split("\t") == [f"{expected:%Y-%m-%d %H:%M}", "S2B", "65", "32TNR", "3"]
    (entry,) = icalendar.Calendar.from_ical(
        run_command(capsys, "passes", "--tile", "32TNR", "--days", "10", "--ics")[0]
    ).walk("VEVENT")
    assert entry.decoded("dtstart") == expected.astimezone(UTC) and isinstance(expected, datetime)
    assert (
        "use either --json or --ics"
        in run_command(capsys, "passes", "--tile", "32TNR", "--ics", "--json", code=2)[1]
    )
