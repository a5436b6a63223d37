"""Products that are taken out of a folder, moved or returned."""

import json
import os
import shutil
from dataclasses import replace

import pytest

from adapters.sources.folder_samples import folder, item, read
from revisit.adapters.local.backend import local_backend
from revisit.chain.refresh import refresh_source
from revisit.errors import PermanentError
from revisit.ports.catalog import Query
from revisit.ports.system_records import SourceState


@pytest.fixture
def refresh(tmp_path):
    """Refreshes a folder, and returns what the catalog then has, with the place of each."""
    backend = local_backend(tmp_path / "data")
    spec = f"folder:{tmp_path}/archive"

    def run(removed: int) -> dict[str, str]:
        assert refresh_source(backend, spec).removed == removed
        found = backend.catalog().search(Query(source=spec)).products
        return {one.id: os.path.relpath(one.href, tmp_path / "archive") for one in found}

    return run


def test_what_is_taken_out_of_a_folder_is_forgotten_and_what_moved_or_returns_is_found(tmp_path, refresh):
    archive = tmp_path / "archive"
    ids = [f"S2B_31UES_202406{day:02d}_0_L2A" for day in (1, 2, 3, 4)]
    for id, place in zip(ids, ("flat", "flat", "own/3", "own/4"), strict=True):
        item(archive / place, id)
    everything = {
        id: f"{place}/{id}.json" for id, place in zip(ids, ("flat", "flat", "own/3", "own/4"), strict=True)
    }
    assert refresh(0) == everything
    aside = shutil.move(archive / "own" / "3", tmp_path / "3")
    (archive / "flat" / f"{ids[0]}.json").rename(archive / "flat" / "renamed.json")
    (archive / "own" / "4").rename(archive / "moved")
    expected = everything | {ids[0]: "flat/renamed.json", ids[3]: f"moved/{ids[3]}.json"}
    del expected[ids[2]]
    (archive / "own").rmdir()
    # The moved ones are removed, and found again at their new place.
    assert refresh(3) == expected and refresh(0) == expected
    shutil.move(aside, archive / "again")
    assert refresh(0) == expected | {ids[2]: f"again/{ids[2]}.json"}
    saved = {"type": "FeatureCollection", "features": []}
    for name in (f"flat/{ids[1]}.json", "flat/renamed.json"):
        saved["features"].append(json.loads((archive / name).read_text()))
        (archive / name).unlink()
    (archive / "flat" / "saved.json").write_text(json.dumps(saved))
    assert refresh(2)[ids[0]] == "flat/saved.json"
    del saved["features"][0]
    (archive / "flat" / "saved.json").write_text(json.dumps(saved))
    assert ids[1] not in refresh(1)


def test_a_copy_takes_the_place_of_a_product_that_is_taken_out(tmp_path, refresh):
    archive, id = tmp_path / "archive", "S2B_31UES_20240601_0_L2A"
    item(archive / "a", id)
    item(archive / "other", "S2B_31UES_20240602_0_L2A")
    refresh(0)
    item(archive / "b", id)
    assert refresh(0)[id] == f"a/{id}.json"
    shutil.rmtree(archive / "a")
    assert refresh(1)[id] == f"b/{id}.json"


def test_a_disk_that_is_not_mounted_leaves_the_catalog_as_it_is(tmp_path, refresh):
    archive = tmp_path / "archive"
    item(archive / "disk" / "1", "S2B_31UES_20240601_0_L2A")
    item(archive / "here", "S2B_31UES_20240602_0_L2A")
    before = refresh(0)
    shutil.move(archive / "disk" / "1", tmp_path / "1")
    for _ in (1, 2):
        assert refresh(0) == before
        _, listing = read(folder(archive), {"read": {"disk/1": ["x", 1]}, "notes_removals": True})
        assert listing.rejection_examples == [
            ("disk", "the folder is empty, but had 1 products; check that its disk is mounted, or delete it")
        ]
    shutil.move(tmp_path / "1", archive / "disk" / "1")
    assert refresh(0) == before
    shutil.rmtree(archive / "disk")
    assert list(refresh(1)) == ["S2B_31UES_20240602_0_L2A"]
    shutil.rmtree(archive / "here")
    with pytest.raises(PermanentError, match="disk is mounted"):
        refresh(0)


def test_products_that_an_earlier_version_left_behind_are_forgotten(tmp_path, refresh):
    backend = local_backend(tmp_path / "data")
    spec = f"folder:{tmp_path}/archive"
    left = item(tmp_path / "archive" / "a", "S2B_31UES_20240601_0_L2A")
    item(tmp_path / "archive" / "b", "S2B_31UES_20240602_0_L2A")
    refresh(0)
    state = backend.records.get(SourceState, spec)
    earlier = replace(state, listing={key: state.listing[key] for key in ("rows", "witnesses")})
    earlier.listing["read"] = {"b": state.listing["read"]["b"]}
    backend.commit(lambda commit: commit.put(earlier), completes_event=False)
    shutil.rmtree(left.parent)
    assert list(refresh(1)) == ["S2B_31UES_20240602_0_L2A"]
