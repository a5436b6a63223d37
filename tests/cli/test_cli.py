"""The command line: results on stdout, messages on stderr, exit codes, and invalid input."""

import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from products import FIELD, add_to_catalog, product
from revisit import __version__
from revisit.adapters.local.backend import local_backend
from revisit.chain.job_lifecycle import finish
from revisit.cli import run
from revisit.domain.events import JobStarted
from revisit.domain.job import Cover, Job, Statistics
from revisit.domain.order import Order
from revisit.ports.cloudevents import Envelope
from revisit.ports.pagination import find_all
from revisit.ports.system_records import DeadLetter
from revisit.services.subscriptions.results import list_jobs


def square(west: float, south: float, size: float) -> dict:
    return {
        "type": "Polygon",
        "coordinates": [
            [
                [west, south],
                [west + size, south],
                [west + size, south + size],
                [west, south + size],
                [west, south],
            ]
        ],
    }


BOW_TIE = {"type": "Polygon", "coordinates": [[[9, 45], [9.1, 45.1], [9.1, 45], [9, 45.1], [9, 45]]]}


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("REVISIT_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


@pytest.fixture
def backend(data):
    return local_backend(data)


@pytest.fixture
def field(tmp_path):
    file = tmp_path / "field.geojson"
    file.write_text(json.dumps(FIELD))
    return str(file)


def rejected(capsys, *arguments: str, code: int = 2) -> str:
    """The one line on stderr of a command that is rejected; stdout is empty."""
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("revisit: ") and "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("area", "message"),
    [
        ("", "not valid JSON"),
        ("{}", "no GeoJSON type"),
        ('{"type": "FeatureCollection", "features": []}', "the AOI is empty"),
        ('{"type": "Polygon", "coordinates": [[[NaN, 1], [2, 1], [2, 2], [NaN, 1]]]}', "not valid JSON"),
        ('{"type": "Polygon", "coordinates": [[[1e999, 1], [2, 1], [2, 2], [1e999, 1]]]}', "JSON"),
        (json.dumps(BOW_TIE), "crosses itself at lon 9.05, lat 45.05"),
        (json.dumps(square(0, 0, 40)), "km2 at most"),
        (json.dumps(square(500_000, 5_000_000, 100)), "lon/lat degrees (EPSG:4326)"),
        (json.dumps(square(200, 10, 0.1)), "longitude 200"),
        (json.dumps({**FIELD, "crs": {"type": "name", "properties": {"name": "EPSG:32632"}}}), "degrees"),
        (json.dumps({"type": "Point", "coordinates": [9, 45]}), "Point has no area"),
        (" " * 1_000_001, "1,000,000 at most"),
    ],
)
def test_an_invalid_area_is_rejected(data, tmp_path, capsys, area, message):
    file = tmp_path / "bad.geojson"
    file.write_text(area)
    assert message in rejected(capsys, "order", "--aoi", str(file))
    assert not data.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "--tile", "99ZZZ"], "'99ZZZ' is not a tile"),
        (["search", "--tile", "32TZZ"], "32TZZ"),
        (["search"], "needs a place"),
        (["search", "--tile", "32TNR", "--level", "L3"], "level 'L3' does not exist"),
        (["search", "--tile", "32TNR", "--max-cloud", "101"], "from 0 to 100, not 101"),
        (["search", "--tile", "32TNR", "--max-cloud", "much"], "--max-cloud"),
        (["search", "--tile", "32TNR", "--from", "2024-13-01"], "'2024-13-01' is not a date"),
        (
            ["search", "--tile", "32TNR", "--from", "2024-06-02", "--to", "2024-06-01"],
            "swap the two dates",
        ),
        (["search", "--tile", "32TNR", "--json", "--csv"], "use either --json or --csv"),
        (["order", "--aoi", "FIELD", "--index", "NDVY"], "did you mean NDVI"),
        (["order", "--aoi", "FIELD", "--bands", "B13"], "there is no band 'B13'"),
        (["order", "--aoi", "FIELD", "--bands", "SCL"], "not a reflectance band"),
        (["order", "--aoi", "FIELD", "--source", "pigeon:post"], "'pigeon:post' is not a source"),
        (["order", "--aoi", "FIELD", "--source", "folder:/no/such/folder"], "/no/such/folder"),
        (["order", "--aoi", "FIELD", "--from", "2024-06-02", "--to", "2024-06-01"], "before it begins"),
        (["order", "--aoi", "nowhere.geojson"], "cannot be read"),
        (["order"], "--aoi"),
        (["subscribe", "--aoi", "FIELD", "--name", ""], "1 to 200 characters"),
        (["subscribe", "--aoi", "FIELD", "--name", "x", "--webhook", "https://192.168.0.1/"], "192.168.0.1"),
        (
            ["subscribe", "--aoi", "FIELD", "--name", "x", "--webhook", "http://hooks.example.com/"],
            "not https",
        ),
        (["subscribe", "--aoi", "FIELD", "--name", "x", "--backfill", "2124-01-01"], "has not come yet"),
        (["subscriptions", "show", "sub_1"], "no subscription 'sub_1'"),
        (["alerts", "nobody"], "no subscription 'nobody'"),
        (["results", "order_1"], "no order 'order_1'"),
        (["series", "job_1"], "no job 'job_1'"),
        (["dead-letters", "show", "x"], "no dead letter 'x'"),
        (["dead-letters", "replay"], "--all"),
        (["refresh"], "no source is configured"),
        (["serve", "--source", "pigeon:post"], "'pigeon:post' is not a source"),
        (["serve", "--port", "70000"], "--port"),
        (["fly"], "No such command 'fly'"),
        (["status", "--loud"], "--loud"),
    ],
)
def test_invalid_input_is_rejected_in_one_line(data, field, capsys, arguments, message):
    assert message in rejected(
        capsys, *[field if argument == "FIELD" else argument for argument in arguments]
    )


def test_a_data_folder_that_cannot_be_created_is_rejected(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert "cannot be created" in rejected(capsys, "status", "--data", str(tmp_path / "file" / "data"))


def test_a_data_folder_of_a_newer_revisit_is_rejected(data, capsys):
    local_backend(data)
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import apsw, sys; apsw.Connection(sys.argv[1]).execute('PRAGMA user_version = 99')",
            str(data / "revisit.db"),
        ],
        check=True,
    )
    assert "from a newer Revisit" in rejected(capsys, "status")


def test_a_port_in_use_is_rejected(data, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} on 127.0.0.1 cannot be used" in rejected(capsys, "serve", "--port", str(port))


def test_an_invalid_area_is_repaired_on_request(data, tmp_path, capsys):
    (tmp_path / "bow.geojson").write_text(json.dumps(BOW_TIE))
    assert run(["order", "--aoi", str(tmp_path / "bow.geojson"), "--repair", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["aoi"]["type"] == "MultiPolygon"


def test_an_order_without_matching_products_says_so_and_succeeds(data, field, capsys):
    assert run(["order", "--aoi", field, "--wait", "--json"]) == 0
    out, err = capsys.readouterr()
    assert (
        json.loads(out)["jobs"] == []
        and json.loads(out)["state"] == "finished"
        and "no products match" in err
    )


def test_an_order_that_finds_nothing_says_what_its_source_rejected(data, field, tmp_path, capsys):
    (tmp_path / "archive <1>" / "S2A_MSIL2A_20240601T101600_N0510_R065_T32TNR_20240601T150000.SAFE").mkdir(
        parents=True
    )
    assert run(["order", "--aoi", field, "--source", f"folder:{tmp_path}/archive <1>"]) == 0
    assert "rejected 1 product, the first: S2A_MSIL2A_20240601T101600" in capsys.readouterr().err


def test_search_prints_a_table_json_or_csv(backend, field, capsys):
    add_to_catalog(backend, product(1), product(2, cloud=None))
    assert run(["search", "--aoi", field]) == 0
    assert capsys.readouterr().out.splitlines()[0].split("\t") == [
        "SENSED",
        "TILE",
        "LEVEL",
        "CLOUD %",
        "PRODUCT",
        "SOURCES",
    ]
    assert run(["search", "--tile", "T32TNR", "--json"]) == 0
    assert [row["cloud_cover"] for row in json.loads(capsys.readouterr().out)["products"]] == [10.0, None]
    assert run(["search", "--tile", "32TNR", "--csv"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("product,acquisition,tile,level")


def test_a_subscription_is_created_paused_resumed_shown_and_deleted(backend, field, capsys):
    add_to_catalog(backend, product(1))
    assert (
        run(
            [
                "subscribe",
                "--aoi",
                field,
                "--name",
                "field",
                "--index",
                "ndvi,EVI",
                "--backfill",
                "2024-06-01",
                "--json",
            ]
        )
        == 0
    )
    made = json.loads(capsys.readouterr().out)
    assert made["recipe"]["indices"] == ["NDVI", "EVI"] and len(list_jobs(backend, made["subscription"])) == 1
    for verb, state in (("pause", "paused"), ("resume", "active"), ("show", "active"), ("delete", "deleted")):
        assert run(["subscriptions", verb, "field", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["state"] == state
    assert run(["subscriptions", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"subscriptions": []}


def test_an_order_with_a_failed_job_exits_with_code_1(backend, field, capsys):
    add_to_catalog(backend, product(1))
    assert run(["order", "--aoi", field, "--json"]) == 0
    created = json.loads(capsys.readouterr().out)
    job = list_jobs(backend, created["order"])[0]
    ended = job.with_changes(
        state="done",
        finished=backend.now(),
        cover=Cover(3, 3, 3),
        indices={"NDVI": Statistics(3, 0.1234567891234, 0, 0, 0, 0)},
    )
    backend.commit(lambda commit: finish(commit, ended), completes_event=False)
    assert run(["order", "--aoi", field, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["order"] == created["order"] and again["jobs"][0]["indices"]["NDVI"]["mean"] == 0.123456789
    assert set(again["jobs"][0]) >= {
        "acquisition",
        "datetime",
        "state",
        "reason",
        "coverage",
        "clear_fraction",
        "indices",
        "item",
    }
    assert run(["series", created["order"], "--index", "NDVI", "--csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    add_to_catalog(backend, product(2))
    assert run(["order", "--aoi", field, "--wait", "--json"]) == 1
    failed = json.loads(capsys.readouterr().out)["jobs"]
    assert {job["state"] for job in failed} == {"failed"} and all(job["reason"] for job in failed)
    assert (
        not [job for job in find_all(backend.records, Job) if job.state == "started"]
        and len(backend.records.find(Order)) == 2
    )


def test_status_and_doctor_print_json(backend, capsys):
    assert run(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == __version__
    assert run(["doctor", "--json"]) == 0
    assert all(
        finding["ok"] and finding["sentence"] for finding in json.loads(capsys.readouterr().out)["findings"]
    )


def test_doctor_finds_an_order_whose_jobs_are_missing(backend, data, capsys):
    from datetime import timedelta

    from revisit.domain.recipe import Recipe

    incomplete = Order(
        "order_1",
        FIELD,
        Recipe(indices=("NDVI",)),
        backend.now() - timedelta(days=1),
        jobs=("job_1", "job_2"),
        open=2,
    )
    backend.commit(lambda commit: commit.put(incomplete), completes_event=False)
    assert run(["doctor"]) == 1
    assert (
        "PROBLEM  order order_1 lacks 2 of its 2 jobs: place the same order again" in capsys.readouterr().out
    )


def test_doctor_does_not_create_a_data_folder(data, capsys):
    assert run(["doctor"]) == 1
    assert f"there is no data folder {data}" in capsys.readouterr().out and not data.exists()


def test_replaying_all_dead_letters_continues_past_one_that_cannot_be_replayed(backend, capsys):
    good = Envelope(JobStarted("job_1"), backend.now()).encode().decode()
    for id, body in (("a", "{}"), ("b", good)):
        letter = DeadLetter(id, "extract", "job.started", "no memory", backend.now(), 8, body)
        backend.commit(lambda commit, letter=letter: commit.put(letter), completes_event=False)
    assert run(["dead-letters", "replay", "--all", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["replayed"] == ["b"] and "1 kept: dead letter 'a' cannot be replayed" in err
    assert run(["dead-letters", "list", "--json"]) == 0
    assert [letter["id"] for letter in json.loads(capsys.readouterr().out)["dead_letters"]] == ["a"]


def test_control_characters_of_a_name_do_not_reach_the_terminal(backend, field, capsys):
    assert run(["subscribe", "--aoi", field, "--name", "a\x1b]0;owned\x07b\u202e"]) == 0
    capsys.readouterr()
    assert run(["subscriptions", "list"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\x07" not in out and "\u202e" not in out and "owned" in out


def test_the_data_folder_may_be_given_before_or_after_the_command(tmp_path, monkeypatch, capsys):
    # Emulators that other tests started would require a project.
    for name in ("REVISIT_DATA", *(name for name in os.environ if name.endswith("_EMULATOR_HOST"))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    for arguments, folder in (
        (["status", "--json", "--data", str(tmp_path / "a")], "a"),
        (["status", "--json"], "xdg/revisit"),
    ):
        assert run(arguments) == 0
        assert json.loads(capsys.readouterr().out)["data"] == str(tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    for value, arguments in (("", ["--data", "./c"]), ("c", [])):
        monkeypatch.setenv("REVISIT_DATA", value)
        assert run(["status", "--json", *arguments]) == 0
        assert json.loads(capsys.readouterr().out)["data"] == str(tmp_path / "c")
    monkeypatch.setenv("REVISIT_DATA", "")
    assert run(["--data", str(tmp_path / "b"), "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == str(tmp_path / "b")


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from revisit.cli import main; main()", *arguments],
        capture_output=True,
        encoding=environment.get("PYTHONIOENCODING", "utf-8"),
        env={**os.environ, **environment},
        timeout=60,
    )


def test_version_and_help_import_no_heavy_library():
    heavy = ("numpy", "shapely", "duckdb", "pyarrow", "rasterio", "flask", "apsw", "rich", "msgspec")
    program = (
        "import sys; from revisit.cli import run; run(['--help']); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.rstrip().endswith("[]"), done.stdout[-200:]
    assert command("--version").stdout == f"revisit {__version__}\n"


def test_shell_completion_is_available():
    # Without the variable, typer looks for a shell among the processes above this one.
    shown = command("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_REVISIT_COMPLETE" in shown.stdout, shown.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_names_that_the_encoding_of_the_output_lacks_are_written_as_escapes(encoding, backend, field, capsys):
    name = "Łąka 北 \U0001f33e é"
    assert run(["subscribe", "--aoi", field, "--name", name]) == 0
    capsys.readouterr()
    listed = command("subscriptions", "list", "--json", PYTHONIOENCODING=encoding)
    assert listed.returncode == 0
    assert [one["name"] for one in json.loads(listed.stdout)["subscriptions"]] == [name]
    shown = command("subscriptions", "show", name, PYTHONIOENCODING=encoding)
    assert shown.returncode == 0 and r"\u0141\u0105ka \u5317" in shown.stdout
    missing = command("subscriptions", "show", "北", PYTHONIOENCODING=encoding)
    assert missing.returncode == 2 and r"'\u5317'" in missing.stderr


def test_a_closed_pipe_causes_no_traceback(tmp_path):
    program = shlex.join(
        [
            sys.executable,
            "-c",
            "from revisit.cli import main; main()",
            "status",
            "--json",
            "--data",
            str(tmp_path),
        ]
    )
    shell = f"{program} | true"
    assert (
        "Traceback"
        not in subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=60).stderr
    )


def test_a_source_with_a_relative_path_is_stored_with_its_absolute_path(data, tmp_path, monkeypatch):
    from revisit.cli import serve

    class FakeServer:
        url = "http://127.0.0.1:9"

        def __init__(self, folder, sources=(), **_):
            self.sources = local_backend(folder, sources).sources

        def __enter__(self):
            assert self.sources == (f"folder:{tmp_path}/archive",)
            return self

        def __exit__(self, *_):
            return None

        def wait(self, stop):
            return stop.is_set()

    stopped = threading.Event()
    stopped.set()
    monkeypatch.setattr(serve, "_stop_on_signals", lambda: stopped)
    monkeypatch.setattr("revisit.embedded.server.EmbeddedServer", FakeServer)
    assert run(["serve", "--source", "folder:archive"]) == 0


def test_make_run_passes_a_data_folder_whose_path_holds_a_space():
    done = subprocess.run(
        ["make", "--dry-run", "run", "DATA=/tmp/a folder", "PORT=1"],
        cwd=Path(__file__).parents[2],
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shlex.split(done.stdout.splitlines()[-1]) == [
        "exec",
        ".venv/bin/revisit",
        "demo",
        "--data",
        "/tmp/a folder",
        "--port",
        "1",
    ]
