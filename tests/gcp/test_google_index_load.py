"""An index loaded by BigQuery gives the products and rejections of the line parser, each load once."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from backends import with_adapters
from data import shared_data
from emulators import new_project
from emulators.bigquery import create_catalog, recorded_jobs, set_faults, set_running_answers
from emulators.storage import create_bucket
from google_index_samples import (
    COLUMNS,
    SAFE,
    SAFE_PATH,
    all_unseen,
    check_bands,
    index_csv,
    index_row,
    metadata_path,
)
from product_tables import to_products
from revisit.adapters.gcp import google_index_load, google_index_source
from revisit.adapters.gcp.backend import gcp_backend
from revisit.adapters.gcp.settings import Settings
from revisit.adapters.local.backend import local_backend
from revisit.adapters.sources.google_index import GoogleIndex
from revisit.chain.refresh import refresh_source
from revisit.domain.product import Product
from revisit.errors import InvalidInputError, PermanentError
from revisit.ports.system_records import SourceState
from samples import NOON, StoppedClock, subscription

L1C, L2A = "index.csv.gz", "L2/index.csv.gz"
BUCKET = "gcp-public-data-sentinel-2"


class Bucket:
    """The public bucket, as the storage server holds it."""

    def __init__(self, host: str) -> None:
        self._bucket = storage.Client("p", AnonymousCredentials()).bucket(create_bucket(host, BUCKET))

    def put(self, name: str, content: bytes, packed: bool = True) -> int:
        blob = self._bucket.blob(name)
        blob.upload_from_string(gzip.compress(content) if packed and content[:2] != b"\x1f\x8b" else content)
        return int(blob.generation)


@pytest.fixture(scope="module")
def bucket(google):
    return Bucket(google["STORAGE_EMULATOR_HOST"].host)


@pytest.fixture(scope="module")
def settings(google):
    settings = Settings(new_project())
    create_catalog(settings)
    return settings


@pytest.fixture(scope="module")
def backend(settings):
    return gcp_backend(settings, StoppedClock(datetime(2024, 9, 1, tzinfo=UTC)))


@pytest.fixture
def jobs(google, settings):
    """The load jobs that start during the test."""
    host = google["BIGQUERY_EMULATOR_HOST"].host
    before = len(recorded_jobs(host, settings.project))
    return lambda: [
        one["body"]["configuration"]["load"]
        for one in recorded_jobs(host, settings.project)[before:]
        if "load" in one["body"].get("configuration", {})
    ]


def spec(name: str) -> str:
    return f"google-index:gs://{BUCKET}/{name}"


def refresh(backend, name, state=None):
    """A listing taken in, and how many were new."""
    source, catalog = backend.source(spec(name)), backend.catalog()
    listing = source.list_products(
        state or {}, lambda ids: catalog.missing_mask(source.spec, ids), backend.now()
    )
    return listing, sum(catalog.add(batch) for batch in listing.batches)


def by_lines(tmp_path: Path, content: bytes, name: str):
    """The listing and the products that the lines of the file give."""
    (tmp_path / "index.csv.gz").write_bytes(content if content[:2] == b"\x1f\x8b" else gzip.compress(content))
    listing = GoogleIndex(str(tmp_path / "index.csv.gz")).list_products({}, all_unseen, NOON)
    products = [product for table in listing.batches for product in to_products(table)]
    return listing, {(one.id, one.published): replace(one, source=spec(name)) for one in products}


def known(backend, name):
    products, _ = backend.catalog().read_additions(0, limit=5000)
    return {(one.id, one.published): one for one in products if one.source == spec(name)}


# ---- the same


def test_every_column_of_every_real_row_is_as_by_the_lines_of_the_file(backend, bucket, jobs, tmp_path):
    content = shared_data("google_index", "L2_index_derived.csv.gz").read_bytes()
    generation = bucket.put(L2A, content)
    listing, new = refresh(backend, L2A)
    lines, products = by_lines(tmp_path, content, L2A)
    assert (
        (listing.rows, new, listing.rejection_count, listing.unfinished)
        == (lines.rows, len(products), 0, False)
        == (1000, 1000, 0, False)
    )
    assert listing.state == {"mark": str(generation), "rows": 1000}
    assert known(backend, L2A) == products
    [load] = jobs()
    assert load["sourceUris"] == [f"gs://{BUCKET}/L2/index.csv.gz"]
    assert (load["sourceFormat"], load["skipLeadingRows"], load["writeDisposition"]) == (
        "CSV",
        "1",
        "WRITE_TRUNCATE",
    )
    assert (load["maxBadRecords"], load["allowQuotedNewlines"]) == (1000, True)
    assert [(field["name"], field["type"]) for field in load["schema"]["fields"]] == [
        (name, "STRING") for name in COLUMNS
    ]
    again, new = refresh(backend, L2A, listing.state)
    assert (again.unchanged, new, again.state, len(jobs())) == (True, 0, listing.state, 1)


def strange_rows() -> bytes:
    """The real rows of L1C, and whatever else a file may hold."""
    lines = shared_data("google_index", "L1C_index_derived.csv").read_bytes().splitlines()
    verbatim = json.loads(shared_data("google_index", "reference.json").read_text())["quoted_rows"][
        "verbatim_csv_line_L1C"
    ].encode()
    names = lines[0].decode().split(",")
    wrong = [
        {"PRODUCT_ID": "LANDSAT_8"},
        {"PRODUCT_ID": ""},
        {"MGRS_TILE": "32IQM"},
        {"MGRS_TILE": "33TTG"},
        {"MGRS_TILE": ""},
        {"SENSING_TIME": "yesterday"},
        {"SENSING_TIME": "NA"},
        {"SENSING_TIME": "2024-02-30T10:00:00Z"},
        {"SENSING_TIME": "2024-06-01T10:15:59"},
        {"GENERATION_TIME": "2024-06-01 1500"},
        {"CLOUD_COVER": "lots"},
        {"CLOUD_COVER": "101"},
        {"CLOUD_COVER": "nan"},
        {"CLOUD_COVER": " 5"},
        {"NORTH_LAT": "91"},
        {"WEST_LON": ""},
        {"EAST_LON": "inf"},
        {"EAST_LON": "0x10"},
        {"NORTH_LAT": "44.0"},
        {"TOTAL_SIZE": "-1"},
        {"TOTAL_SIZE": "many"},
        {"BASE_URL": "gs://other-bucket/tiles/32/T/QM/X.SAFE"},
        {"BASE_URL": ""},
        {"BASE_URL": f"gs://{BUCKET}/tiles/32/T/QM/../../../etc"},
        {"CLOUD_COVER": "x", "BASE_URL": "y"},
    ]
    # Around the globe, on a tile of one digit, and of a tile that there is not.
    around = [
        ("01KAB", "-180.0", "180.0"),
        ("1KAB", "179.3", "-179.8"),
        ("60KYG", "-179.9", "179.3"),
        ("32TQM", "-179.0", "178.0"),
        ("32TAA", "-179.0", "178.0"),
    ]
    right = [
        {"CLOUD_COVER": "", "TOTAL_SIZE": "", "GEOMETRIC_QUALITY_FLAG": ""},
        {"CLOUD_COVER": "NA", "GENERATION_TIME": ""},
        {"TOTAL_SIZE": "976842639.9"},
        {"CLOUD_COVER": "1e1", "DATATAKE_IDENTIFIER": ""},
        {"SENSING_TIME": "2024-06-01 10:15:59+02:00"},
        {"NORTH_LAT": "+45.25"},
        {"SENSING_TIME": "2019-01-05T10:15:59.5Z"},
        {"GEOMETRIC_QUALITY_FLAG": 'PASSED, "or\nnot"'},
    ]
    rows = [index_row(number, **cells) for number, cells in enumerate(right + wrong)]
    rows += [
        index_row(
            number, tile="01KAB" if tile == "1KAB" else tile, MGRS_TILE=tile, WEST_LON=west, EAST_LON=east
        )
        for number, (tile, west, east) in enumerate(around, 100)
    ]
    rows += [
        index_row(200, PRODUCT_ID=index_row(200)["PRODUCT_ID"] + ".SAFE"),
        index_row(300),
        index_row(300),
        index_row(300, GENERATION_TIME="2024-06-09T15:00:00Z"),
    ]
    # A tile that an old package holds twice, the first of them in two rows.
    old = "S2A_OPER_PRD_MSIL1C_PDMC_20151223T100202_R046_V20151223T023913_20151223T023913"
    rows += [
        index_row(400, PRODUCT_ID=old, GRANULE_ID=f"S2A_OPER_MSI_L1C_TL_{centre}_T32TQM")
        for centre in ("EPA_", "EPA_", "SGS_")
    ]
    odd = ["half a row,", "," * 20, ",".join(["x"] * 14)]
    return b"\n".join(
        [
            *lines,
            verbatim,
            verbatim.replace(b"51RWP", b"51RXP").replace(b"51/R/WP", b"51/R/XP"),
            index_csv(*rows, columns=names).partition(b"\n")[2].rstrip(b"\n"),
            *(line.encode() for line in odd),
            b"",
        ]
    )


def test_strange_rows_are_taken_or_refused_as_by_the_lines_of_the_file(backend, bucket, tmp_path):
    content = strange_rows()
    bucket.put(L1C, content)
    listing, new = refresh(backend, L1C)
    lines, products = by_lines(tmp_path, content, L1C)
    found = known(backend, L1C)
    for key, product in products.items():
        assert found.get(key) == product
    assert found.keys() == products.keys()
    assert new == len(products) == 8 + 2 + 8 + 5 + 3 + 2
    assert (
        (listing.rows, listing.rejection_count)
        == (lines.rows, lines.rejection_count)
        == (8 + 2 + 8 + 5 + 4 + 3, 28)
    )
    # Lines of another number of columns are BigQuery's to tell of; all else in the same words.
    same = {one for one in lines.rejection_examples if "columns instead" not in one[1]}
    assert len(same) == 26
    assert same == {one for one in listing.rejection_examples if not one[0].startswith("gs://")}
    assert len([one for one in listing.rejection_examples if one[0].startswith("gs://")]) == 2
    # Written again, it adds nothing; what was refused is refused again.
    later = bucket.put(L1C, content)
    again, new = refresh(backend, L1C, listing.state)
    assert (again.rows, new, again.rejection_count, again.state["mark"]) == (
        listing.rows,
        0,
        listing.rejection_count,
        str(later),
    )


# ---- taken up again


def sensed(day: str) -> dict[str, str]:
    """A row of one tile."""
    name = f"S2A_MSIL2A_{day}T101031_N0510_R022_T32TQM_{day}T150000"
    return index_row(
        PRODUCT_ID=name,
        SENSING_TIME=f"{day[:4]}-{day[4:6]}-{day[6:]}T10:15:59.123000Z",
        BASE_URL=f"gs://{BUCKET}/L2/tiles/32/T/QM/{name}.SAFE",
    )


def test_a_load_that_takes_longer_than_a_function_is_taken_up_and_its_last_days_announced(
    google, settings, backend, bucket, jobs, tmp_path, monkeypatch
):
    home = with_adapters(
        replace(local_backend(tmp_path / "data", now=backend.now), source=backend.source),
        catalog=backend.catalog,
    )
    home.commit(lambda commit: commit.put(subscription(tiles=("32TQM",))), completes_event=False)
    name, host = "slow/index.csv.gz", google["BIGQUERY_EMULATOR_HOST"].host
    monkeypatch.setattr(google_index_load, "LOAD_WAIT_S", 0.0)
    monkeypatch.setattr(google_index_load, "MAX_CHUNK_MONTHS", 1)

    def listed():
        return home.records.get(SourceState, spec(name)) or SourceState(spec(name))

    first = bucket.put(name, index_csv(*map(sensed, ("20230115", "20240310", "20240828"))))
    set_running_answers(host, settings.project, 10)
    found = refresh_source(home, spec(name))
    assert (found.unfinished, found.new, listed().listing["load"]["generation"]) == (
        True,
        0,
        str(first),
    )
    assert (listed().first, listed().refreshed, listed().rows) == (None, None, 0)
    # It goes on meanwhile, and is finished before what was written after it is looked at.
    set_running_answers(host, settings.project, 0)
    later = bucket.put(
        name, index_csv(*map(sensed, ("20230115", "20240310", "20240828", "20230220", "20240829")))
    )
    batches = home.source(spec(name)).list_products(listed().listing, None, home.now()).batches
    assert home.catalog().add(next(batches)) == 1
    batches.close()  # as where the function is killed
    monkeypatch.setattr(google_index_load, "TIME_BUDGET_S", -1.0)
    found = refresh_source(home, spec(name))
    assert (found.unfinished, found.new, listed().first, listed().listing["load"]["rows"]) == (
        True,
        0,
        None,
        3,
    )
    monkeypatch.setattr(google_index_load, "TIME_BUDGET_S", 200.0)
    found = refresh_source(home, spec(name))
    assert (found.unfinished, found.new, found.rows, len(jobs())) == (False, 2, 3, 1)
    assert (listed().first, listed().rows, listed().listing) == (
        home.now(),
        3,
        {"mark": str(first), "rows": 3},
    )
    assert [product.id[11:19] for product in home.records.find(Product)] == ["20240828"]
    # What is new in a feed that is known is announced, however old.
    found = refresh_source(home, spec(name))
    assert (found.new, len(jobs()), listed().listing) == (2, 2, {"mark": str(later), "rows": 5})
    assert {product.id[11:19] for product in home.records.find(Product)} == {
        "20240828",
        "20230220",
        "20240829",
    }


# ---- bad input


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        (
            [name for name in COLUMNS if name not in ("BASE_URL", "MGRS_TILE")],
            "lacks the columns MGRS_TILE, BASE_URL",
        ),
        ([*COLUMNS, "SOURCE_URL"], "unknown ones: SOURCE_URL"),
    ],
)
def test_another_header_is_refused_by_name_before_anything_is_loaded(backend, bucket, jobs, columns, named):
    bucket.put("other/index.csv.gz", index_csv(index_row(), columns=columns))
    with pytest.raises(PermanentError, match=named):
        refresh(backend, "other/index.csv.gz")
    with pytest.raises(PermanentError, match=named):
        backend.source(spec("other/index.csv.gz")).check()
    assert jobs() == []


def test_an_index_without_rows_is_an_error_until_it_has_some(backend, bucket):
    bucket.put("empty/index.csv.gz", index_csv())
    with pytest.raises(PermanentError, match=r"lists no product, where it had 1000 rows before"):
        refresh(backend, "empty/index.csv.gz", {"mark": "1", "rows": 1000})
    bucket.put("empty/index.csv.gz", b"")
    with pytest.raises(PermanentError, match="header"):
        refresh(backend, "empty/index.csv.gz")
    with pytest.raises(
        PermanentError, match="there is no index gs://gcp-public-data-sentinel-2/nowhere.csv.gz"
    ):
        refresh(backend, "nowhere.csv.gz")


def test_an_index_cut_off_is_refused_whole_and_loaded_again(backend, bucket, jobs):
    whole = gzip.compress(index_csv(*map(index_row, range(3000, 3300))))
    bucket.put("cut/index.csv.gz", whole[: len(whole) // 2])
    for turn in (1, 2):
        with pytest.raises(
            PermanentError,
            match="BigQuery cannot load the index gs://gcp-public-data-sentinel-2/cut/index.csv.gz",
        ):
            refresh(backend, "cut/index.csv.gz")
        assert len(jobs()) == turn
        backend.now.advance(60)
    assert known(backend, "cut/index.csv.gz") == {}


def test_a_bucket_in_another_location_is_reported(google, settings, backend, bucket):
    bucket.put("far/index.csv.gz", index_csv(index_row()))
    said = "Cannot read and write in different locations: source: US, destination: europe-west1"
    set_faults(
        google["BIGQUERY_EMULATOR_HOST"].host,
        settings.project,
        {"text": "far/index.csv.gz", "times": 1, "status": 400, "reason": "invalid", "message": said},
    )
    with pytest.raises(
        PermanentError, match=f"cannot load the index gs://{BUCKET}/far/index.csv.gz into demo-.*: {said}"
    ):
        refresh(backend, "far/index.csv.gz")


@pytest.mark.parametrize(
    "uri",
    [
        "gs://",
        "gs://bucket",
        "gs://bucket/",
        "gs://bucket/*.csv.gz",
        "gs://b/a b",
        "gs://bucket//index.csv.gz",
        "gs://Bucket/i",
    ],
)
def test_what_is_no_object_is_refused(backend, uri):
    with pytest.raises(InvalidInputError, match="gs://"):
        backend.source(f"google-index:{uri}")


def test_bands_are_read_by_address_from_the_bucket_of_the_index(google, backend, bucket, monkeypatch):
    host = google["STORAGE_EMULATOR_HOST"].host
    product = Product(
        SAFE,
        spec(L2A),
        "L2A",
        "S2B",
        "31UFS",
        NOON,
        "20220125T105229",
        0,
        0,
        1,
        1,
        href=f"{host}/{BUCKET}/{SAFE_PATH}",
    )
    with pytest.raises(PermanentError, match=f"is outside https://storage.googleapis.com/{BUCKET}/"):
        backend.source(spec(L2A)).bands(product)
    monkeypatch.setattr(google_index_source, "STORAGE_URL", f"{host}/")
    bucket.put(f"{SAFE_PATH}/MTD_MSIL2A.xml", metadata_path().read_bytes(), packed=False)
    check_bands(backend.source(spec(L2A)), product, f"{host}/{BUCKET}")
