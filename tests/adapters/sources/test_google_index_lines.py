"""Filter of the lines of Google's index: drops known products only."""

import numpy as np
import pytest

from google_index_samples import index_csv, index_row, list_products, write_index
from revisit.adapters.sources import google_index_lines


def mixed() -> list[dict[str, str]]:
    """Rows of every kind that stands in the files, some of them twice."""
    old = {
        "PRODUCT_ID": "S2A_OPER_PRD_MSIL1C_PDMC_20151223T100202_R046_V20151223T023913_20151223T023913",
        "BASE_URL": "gs://gcp-public-data-sentinel-2/tiles/51/R/WP/S2A_MSIL1C_20151223T023913_N0201_R046_T51RWP_20151223T100202.SAFE",
        "DATATAKE_IDENTIFIER": "GS2A_20151223T023902_002629_N02.01",
    }
    rows = [index_row(number) for number in range(400)]
    rows[5] |= {"GRANULE_ID": "S2A_OPER_MSI_L1C_TL_EPA__20160605T123456_A000001_T31TCJ_N02.04"}
    rows[9] |= {"GRANULE_ID": ""}
    rows[17] |= {"PRODUCT_ID": rows[17]["PRODUCT_ID"] + ".SAFE"}
    return [
        *rows[:100],
        *(index_row(tile=tile, **old) for tile in ("51RWP", "51RXP")),
        index_row(3),
        *rows[100:],
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content,
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.replace(b",PASSED,", b',"",'),
        lambda content: content.rstrip(b"\n"),
        lambda content: content.replace(b"PASSED", b'"PASSED, ""or\nnot"""', 250),
        lambda content: content.replace(b"PASSED", "geprüft".encode()),
        lambda content: content.replace(b"\n", b"\n\n"),
    ],
    ids=["plain", "crlf", "empty-quoted", "no-last-end", "quoted", "not-ascii", "blank-lines"],
)
@pytest.mark.parametrize("size", [331, 700, 20_000, 1 << 23])
def test_known_rows_are_dropped_and_new_rows_are_kept(tmp_path, monkeypatch, size, change):
    # What is taken apart comes in blocks as large as ever.
    monkeypatch.setattr(
        "revisit.adapters.sources.google_index_file.CHUNK_BYTES", google_index_lines.CHUNK_BYTES
    )
    monkeypatch.setattr(google_index_lines, "CHUNK_BYTES", size)
    monkeypatch.setattr(google_index_lines, "UNFILTERED_CHUNKS", 0)
    content = change(index_csv(*mixed()))
    plain = write_index(tmp_path, content)
    whole, every = list_products(plain)
    assert (whole.rows, whole.rejection_count, len({product.id for product in every})) == (403, 0, 402)
    new = {product.id for number, product in enumerate(every) if number % 50 == 7 or "PRD" in product.id}
    listing, found = list_products(
        plain, unseen=lambda ids: np.array([id in new for id in ids.to_pylist()], bool)
    )
    assert (listing.rows, listing.rejection_count) == (403, 0)
    assert {product.id for product in found} == new
    nothing, none = list_products(plain, unseen=lambda ids: np.zeros(len(ids), bool))
    assert (nothing.rows, none, len(set(nothing.state["witnesses"])) > 0) == (403, [], True)
