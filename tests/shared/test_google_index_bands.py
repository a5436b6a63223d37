"""Band files beside a local index of Google's: those of its tree, and nothing else."""

import shutil

import pytest

from google_rows import PLACE, ROW, check_bands, index, listed, metadata, row, text
from revisit.adapters.sources.google_index import PUBLIC
from revisit.domain.product import Product
from revisit.errors import GiveUp, NotFound


@pytest.mark.parametrize("name", ["index.csv.gz", "L2/index.csv.gz"])
def test_bands_are_read_from_the_tree_beside_a_local_index(tmp_path, name):
    (tmp_path / PLACE).mkdir(parents=True)
    shutil.copy(metadata(), tmp_path / PLACE)
    source = index((tmp_path / name).parent, text(row(**ROW)))
    _, (product,) = listed(source)
    check_bands(source, product, str(tmp_path))


@pytest.mark.parametrize("href", ["/etc/passwd", "{root}/../secret.SAFE", "{root}/tiles/%2e%2e/x.SAFE", "https://elsewhere.example/L2/tiles/x.SAFE", "{root}/",
                                  "{root}/tiles/./x.SAFE", "{root}/tiles//x.SAFE", PUBLIC + "tiles/32/T/QM/x.SAFE"])
def test_nothing_outside_the_tree_is_read(tmp_path, href):
    (tmp_path / "tiles").mkdir()
    source = index(tmp_path, text(row()))
    _, (product,) = listed(source)
    changed = Product(**{name: getattr(product, name) for name in Product.__slots__} | {"href": href.format(root=tmp_path)})
    with pytest.raises(GiveUp, match="lies outside"):
        source.bands(changed)


def test_a_link_that_leads_out_of_the_tree_is_not_followed(tmp_path):
    (tmp_path / "outside").mkdir()
    shutil.copy(metadata(), tmp_path / "outside")
    (tmp_path / "mirror" / PLACE).parent.mkdir(parents=True)
    (tmp_path / "mirror" / PLACE).symlink_to(tmp_path / "outside")
    source = index(tmp_path / "mirror", text(row(**ROW)))
    _, (product,) = listed(source)
    with pytest.raises(GiveUp, match="leads out"):
        source.bands(product)


def test_a_product_that_is_missing_is_said_to_be(tmp_path):
    (tmp_path / "tiles").mkdir()
    source = index(tmp_path, text(row()))
    _, (product,) = listed(source)
    with pytest.raises(NotFound):
        source.bands(product)
