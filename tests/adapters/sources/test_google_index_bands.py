"""Band files beside a local index of Google: those of its tree, and no others."""

import shutil

import pytest

from google_index_samples import (
    ROW,
    SAFE_PATH,
    check_bands,
    index_csv,
    index_row,
    list_products,
    metadata_path,
    write_index,
)
from revisit.adapters.sources.google_index import PUBLIC_BUCKET_URL
from revisit.domain.product import Product
from revisit.errors import NotFoundError, PermanentError


@pytest.mark.parametrize("name", ["index.csv.gz", "L2/index.csv.gz"])
def test_bands_are_read_from_the_tree_beside_a_local_index(tmp_path, name):
    (tmp_path / SAFE_PATH).mkdir(parents=True)
    shutil.copy(metadata_path(), tmp_path / SAFE_PATH)
    source = write_index((tmp_path / name).parent, index_csv(index_row(**ROW)))
    _, (product,) = list_products(source)
    check_bands(source, product, str(tmp_path))


@pytest.mark.parametrize(
    "href",
    [
        "/etc/passwd",
        "{root}/../secret.SAFE",
        "{root}/tiles/%2e%2e/x.SAFE",
        "https://elsewhere.example/L2/tiles/x.SAFE",
        "{root}/",
        "{root}/tiles/./x.SAFE",
        "{root}/tiles//x.SAFE",
        PUBLIC_BUCKET_URL + "tiles/32/T/QM/x.SAFE",
    ],
)
def test_nothing_outside_the_tree_is_read(tmp_path, href):
    (tmp_path / "tiles").mkdir()
    source = write_index(tmp_path, index_csv(index_row()))
    _, (product,) = list_products(source)
    changed = Product(
        **{name: getattr(product, name) for name in Product.__slots__} | {"href": href.format(root=tmp_path)}
    )
    with pytest.raises(PermanentError, match="is outside"):
        source.bands(changed)


def test_a_link_that_leads_out_of_the_tree_is_not_followed(tmp_path):
    (tmp_path / "outside").mkdir()
    shutil.copy(metadata_path(), tmp_path / "outside")
    (tmp_path / "mirror" / SAFE_PATH).parent.mkdir(parents=True)
    (tmp_path / "mirror" / SAFE_PATH).symlink_to(tmp_path / "outside")
    source = write_index(tmp_path / "mirror", index_csv(index_row(**ROW)))
    _, (product,) = list_products(source)
    with pytest.raises(PermanentError, match="leads out"):
        source.bands(product)


def test_a_missing_product_is_reported_as_missing(tmp_path):
    (tmp_path / "tiles").mkdir()
    source = write_index(tmp_path, index_csv(index_row()))
    _, (product,) = list_products(source)
    with pytest.raises(NotFoundError):
        source.bands(product)
