"""`revisit doctor --rebuild`: damaged catalog files are rebuilt, or read from the sources again."""

import pytest

from catalog_samples import merge_segments
from products import product
from revisit.adapters.local.backend import local_backend
from revisit.adapters.local.catalog import LocalCatalog
from revisit.cli import run
from revisit.ports.catalog import Query
from revisit.ports.catalog_schema import to_table
from revisit.ports.system_records import SourceState


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder whose catalog holds 28 indexed products, with one source that was listed once."""
    folder = tmp_path / "data"
    monkeypatch.setenv("REVISIT_DATA", str(folder))
    backend = local_backend(folder)
    backend.catalog().add(to_table(product(day) for day in range(1, 29)))
    merge_segments(backend.catalog())
    backend.commit(
        lambda commit: commit.put(SourceState("folder:/archive", {"mark": "1"})), completes_event=False
    )
    return folder


def rows(folder) -> tuple[int, int]:
    catalog = LocalCatalog(folder / "catalog")
    return sum(entry.rows for entry in catalog.freshness()), len(
        catalog.search(Query(tiles=("32TNR",), limit=100)).products
    )


def listing(folder) -> dict:
    return local_backend(folder).records.get(SourceState, "folder:/archive").listing


def corrupt(folder, pattern: str) -> None:
    for path in (folder / "catalog").glob(pattern):
        path.write_bytes(b"\x5a" * path.stat().st_size)


@pytest.mark.parametrize(
    "pattern",
    ["log/*.parquet", "index-*/*.part/sensed", "index-*/*.part/rows.arrow", "index-*/*.part/facts.json"],
)
def test_doctor_reports_a_corrupt_catalog_and_rebuilds_it(data, pattern, capsys):
    corrupt(data, pattern)
    assert run(["doctor", "--offline"]) == 1
    assert "`revisit doctor --rebuild`" in capsys.readouterr().out
    assert run(["doctor", "--offline", "--rebuild"]) == 0
    assert "the catalog's index was rebuilt and holds 28 products" in capsys.readouterr().out
    assert rows(data) == (28, 28)
    assert listing(data) == {"mark": "1"}
    assert run(["doctor", "--offline"]) == 0


def test_the_sources_are_read_again_when_products_are_lost(data, capsys):
    corrupt(data, "log/*")
    corrupt(data, "index-*/*.part/*")
    assert run(["doctor", "--offline", "--rebuild"]) == 1
    assert (
        "28 rows of its log are lost: `revisit refresh` now reads every source from its beginning"
        in capsys.readouterr().out
    )
    assert listing(data) == {}
    assert LocalCatalog(data / "catalog").add(to_table(product(day) for day in range(1, 29))) == 28
    assert rows(data) == (28, 28)
    assert run(["doctor", "--offline"]) == 0


def test_rebuild_does_not_create_a_missing_data_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REVISIT_DATA", str(tmp_path / "nowhere"))
    assert run(["doctor", "--rebuild"]) == 1
    assert "there is no data folder" in capsys.readouterr().out
    assert not (tmp_path / "nowhere").exists()
