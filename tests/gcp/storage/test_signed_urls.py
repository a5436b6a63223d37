"""Signed URLs for one object: signed by IAM, verified by the server as Google documents it."""

import json
import logging
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from backends import with_adapters
from emulators.iam import TOKEN, Iam, MetadataServer
from emulators.storage import call_json, create_bucket, storage
from products import FIELD, NOW, add_to_catalog, end_job, product
from revisit.adapters.gcp.assets import BucketAssets
from revisit.adapters.gcp.settings import Settings
from revisit.adapters.gcp.signed_urls import MAX_LIFETIME_S, UrlSigner, create_url_signer
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from revisit.api.http.request_context import Principal
from revisit.api.routes.results import LINK_LIFETIME_S
from revisit.domain.job import Cover
from revisit.errors import InvalidInputError, PermanentError, TransientError
from revisit.services.subscriptions.results import list_jobs

EMAIL = "api@a-project.iam.gserviceaccount.com"
PATH = "jobs/j/NDVI-a+b=c@d.tif"
CONTENT = bytes(range(256)) * 4
SITE = "https://a-project-revisit-site.storage.googleapis.com"
CORS = Path(__file__).parents[3] / "terraform" / "cors.json"


@pytest.fixture(scope="module")
def iam():
    played = Iam(EMAIL)
    yield played
    played.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory, iam):
    """A storage server that knows the account's public key."""
    folder = tmp_path_factory.mktemp("storage")
    iam.write_public_key(folder / "keys")
    started = storage(folder / "requests", folder / "keys").start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(started.variable, started.host)
        yield started
    started.stop()


@pytest.fixture
def bucket_name(settings, server):
    """Its objects are given to the signed only, and to the deployment's own page."""
    cors = [rule | {"origin": [SITE]} for rule in json.loads(CORS.read_text())]
    return create_bucket(
        server.host,
        f"{settings.bucket}-closed",
        cors=cors,
        iamConfiguration={"publicAccessPrevention": "enforced"},
    )


def signer(iam, email=EMAIL, token=TOKEN) -> UrlSigner:
    from google.oauth2.credentials import Credentials

    return UrlSigner(email, Credentials(token), iam.request)


@pytest.fixture
def assets(settings, bucket_name, iam, tmp_path):
    made = BucketAssets(replace(settings, bucket=bucket_name), timeout_s=5, signer=signer(iam))
    for path in (PATH, "jobs/j/other.tif"):
        (tmp_path / "x").write_bytes(CONTENT)
        made.store(tmp_path / "x", path, "image/tiff")
    return made


def get(url: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers by small letters."""
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, method=method, headers=headers), timeout=10
        ) as answer:
            return (
                answer.status,
                answer.read(),
                {name.lower(): value for name, value in answer.headers.items()},
            )
    except urllib.error.HTTPError as error:
        return error.code, error.read(), {name.lower(): value for name, value in error.headers.items()}


# -------------------------------------------------------------------------------------------------
# signing


def test_a_signed_address_is_read_and_named_and_needs_no_account(assets):
    status, body, headers = get(assets.signed_url(PATH, LINK_LIFETIME_S, "field-NDVI.tif"))
    assert (status, body, headers["content-type"]) == (200, CONTENT, "image/tiff")
    assert headers["content-disposition"] == 'inline; filename="field-NDVI.tif"'
    assert get(assets.signed_url(PATH, LINK_LIFETIME_S), Range="bytes=-8")[:2] == (206, CONTENT[-8:])


def test_an_address_lets_its_bearer_read_one_object_in_one_way_only(assets):
    url = assets.signed_url(PATH, LINK_LIFETIME_S)
    plain, _, query = url.partition("?")
    assert get(plain)[0] == 403, "the bucket is not open"
    assert get(f"{plain.replace(plain.rpartition('/')[2], 'other.tif')}?{query}")[0] == 403
    assert get(url, "HEAD")[0] == 403, "it was signed for GET"
    assert get(url.replace(f"Expires={LINK_LIFETIME_S}", f"Expires={MAX_LIFETIME_S}"))[0] == 403, (
        "its time is signed too"
    )
    for position in (-1, -200):
        other = "0" if url[position] != "0" else "1"
        assert get(url[:position] + other + (url[position + 1 :] if position + 1 else ""))[0] == 403
    assert get(url)[0] == 200


def test_an_address_ends(assets):
    url = assets.signed_url(PATH, 1)
    assert get(url)[0] == 200
    time.sleep(2.1)
    status, body, _ = get(url)
    assert status == 403 and b"ExpiredToken" in body


@pytest.mark.parametrize("seconds", [0, -1, MAX_LIFETIME_S + 1, 7 * 86_400])
def test_an_address_is_not_signed_for_longer_than_a_day(assets, iam, seconds):
    before = iam.request_count
    with pytest.raises(InvalidInputError, match="1 to 86400 seconds"):
        assets.signed_url(PATH, seconds)
    assert iam.request_count == before and get(assets.signed_url(PATH, MAX_LIFETIME_S))[0] == 200


@pytest.mark.parametrize("name", ['a".tif', "a\r\nSet-Cookie: x=1", "../a", "größe.tif"])
def test_a_name_that_would_be_a_header_of_its_own_is_refused(assets, name):
    with pytest.raises(InvalidInputError, match="not a file name"):
        assets.signed_url(PATH, 60, name)


def test_the_error_of_an_account_that_may_not_sign_names_the_role_it_lacks(settings, iam):
    for refused in (
        signer(iam, email="other@a-project.iam.gserviceaccount.com"),
        signer(iam, token="of somebody else"),
    ):
        with pytest.raises(PermanentError, match=r"IAM refuses.*roles/iam\.serviceAccountTokenCreator"):
            BucketAssets(settings, signer=refused).signed_url(PATH, 60)


def test_iam_that_does_not_answer_is_retried_and_then_a_transient_error(assets, settings):
    busy = Iam(EMAIL)
    busy.answers = [503]
    assert (
        "X-Goog-Signature=" in BucketAssets(settings, signer=signer(busy)).signed_url(PATH, 60)
        and busy.request_count == 2
    )
    busy.stop()
    with pytest.raises(TransientError, match="IAM does not"):
        BucketAssets(settings, signer=signer(busy)).signed_url(PATH, 60)


def test_where_an_emulator_stands_in_and_nobody_signs_there_is_no_address(settings):
    assert BucketAssets(settings).signed_url(PATH, 60) is None


def test_on_a_machine_of_google_s_the_running_account_signs_where_no_other_is_named(monkeypatch, tmp_path):
    metadata = MetadataServer(EMAIL)
    for name, value in (
        ("GCE_METADATA_HOST", metadata.host),
        ("GCE_METADATA_IP", metadata.host),
        ("GCE_METADATA_ROOT", metadata.host),
        ("HOME", str(tmp_path)),
        ("CLOUDSDK_CONFIG", str(tmp_path)),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    try:
        assert create_url_signer(Settings("a-project")).email == EMAIL
        assert (
            create_url_signer(Settings("a-project", signer="other@x.iam.gserviceaccount.com")).email
            == "other@x.iam.gserviceaccount.com"
        )
    finally:
        metadata.stop()


def test_a_user_s_own_account_does_not_sign_and_the_error_says_what_does(monkeypatch, tmp_path):
    file = tmp_path / "adc.json"
    file.write_text(
        json.dumps({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"})
    )
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with pytest.raises(PermanentError, match="set REVISIT_SIGNER to its e-mail"):
        create_url_signer(Settings("a-project"))


# -------------------------------------------------------------------------------------------------
# API


@pytest.fixture
def backend(tmp_path, assets):
    """Records on a disk, assets in the bucket."""
    return with_adapters(local_backend(tmp_path / "data", (), lambda: NOW), assets=lambda: assets)


@pytest.fixture
def job(backend, tmp_path):
    """Done, with one file in the bucket."""
    add_to_catalog(backend, product(1))
    placed = create_app(backend).test_client().post("/orders", json={"aoi": FIELD})
    file = backend.assets.workspace() / "ndvi"
    file.write_bytes(CONTENT)
    asset = backend.assets.store(file, "jobs/x/NDVI.tif", "image/tiff")
    return end_job(
        backend, list_jobs(backend, placed.json["order"])[0], cover=Cover(10, 8, 6, cloud=2), assets=(asset,)
    )


def test_who_may_read_a_result_is_sent_on_to_the_bucket_and_nobody_else(backend, job, iam):
    client, path = create_app(backend).test_client(), f"/results/{job.id}/assets/NDVI"
    answer = client.get(path)
    assert (
        answer.status_code == 307
        and answer.headers["Cache-Control"] == "no-store"
        and answer.headers["Referrer-Policy"] == "no-referrer"
    )
    status, body, headers = get(answer.headers["Location"])
    assert (status, body) == (200, CONTENT) and headers[
        "content-disposition"
    ] == f'inline; filename="{job.id}-NDVI.tif"'
    assert f"X-Goog-Expires={LINK_LIFETIME_S}&" in answer.headers["Location"]
    before = iam.request_count
    other = create_app(backend, authenticate=lambda _: Principal("mallory")).test_client()
    assert other.get(path).status_code == 404 and other.get(f"{path}/link").status_code == 404
    assert client.get(f"/results/{job.id}/assets/EVI").status_code == 404
    assert iam.request_count == before, "nothing is signed before it is known who asks"


def test_a_page_of_another_origin_asks_for_the_address_itself(backend, job):
    response = create_app(backend).test_client().get(f"/results/{job.id}/assets/NDVI/link")
    assert response.json["seconds"] == LINK_LIFETIME_S and response.headers["Cache-Control"] == "no-store"
    assert get(response.json["href"])[:2] == (200, CONTENT)


def test_the_head_of_a_result_is_answered_without_a_signed_url(backend, job, iam):
    before = iam.request_count
    answer = create_app(backend).test_client().head(f"/results/{job.id}/assets/NDVI")
    assert (answer.status_code, answer.headers["Content-Length"], answer.headers["Content-Type"]) == (
        200,
        "1024",
        "image/tiff",
    )
    assert answer.headers["ETag"] == f'"{job.assets[0].sha256}"' and iam.request_count == before


def test_where_nobody_signs_the_api_hands_the_file_out_itself(backend, job, settings, assets):
    unsigned = with_adapters(backend, assets=lambda: BucketAssets(assets._settings))
    client, path = create_app(unsigned).test_client(), f"/results/{job.id}/assets/NDVI"
    answer = client.get(path, headers={"Range": "bytes=4-7"})
    assert (answer.status_code, answer.data, answer.headers["Content-Range"]) == (
        206,
        bytes([4, 5, 6, 7]),
        "bytes 4-7/1024",
    )
    assert client.get(f"{path}/link").json == {"href": f"http://localhost{path}", "seconds": None}


def test_no_signature_is_written_into_a_log(backend, job, server, iam, caplog):
    caplog.set_level(logging.DEBUG)
    client = create_app(backend).test_client()
    url = client.get(f"/results/{job.id}/assets/NDVI").headers["Location"]
    assert get(url)[0] == 200
    iam.answers = [503] * 10
    assert client.get(f"/results/{job.id}/assets/NDVI").status_code == 503
    iam.answers = []
    signature = url.rpartition("X-Goog-Signature=")[2]
    assert len(signature) == 512
    logged = caplog.text + server.requests.read_text()
    assert (
        logged
        and signature not in logged
        and "X-Goog-Signature" not in logged
        and signature[:40] not in logged
    )


# -------------------------------------------------------------------------------------------------
# CORS


def allowed(
    url: str, origin: str, method: str, headers: dict[str, str]
) -> tuple[bytes, dict[str, str]] | None:
    """What a page gets of a request to another origin, by the CORS check of the Fetch standard: None where
    the browser stops it."""
    names = {name.lower() for name in headers}
    _, _, said = get(
        url,
        "OPTIONS",
        Origin=origin,
        **{
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": ",".join(sorted(names)),
        },
    )
    listed = {name.strip().lower() for name in said.get("access-control-allow-headers", "").split(",")}
    methods = {name.strip() for name in said.get("access-control-allow-methods", "").split(",")}
    if (
        said.get("access-control-allow-origin") not in (origin, "*")
        or not names <= listed
        or method not in methods
    ):
        return None
    _, body, answered = get(url, method, Origin=origin, **headers)
    if answered.get("access-control-allow-origin") not in (origin, "*"):
        return None
    shown = {name.strip().lower() for name in answered.get("access-control-expose-headers", "").split(",")}
    safe = {
        "cache-control",
        "content-language",
        "content-length",
        "content-type",
        "expires",
        "last-modified",
        "pragma",
    }
    return body, {name: value for name, value in answered.items() if name in shown | safe}


def test_the_deployment_s_page_reads_ranges_and_what_they_are_of(assets):
    body, headers = allowed(assets.signed_url(PATH, 60), SITE, "GET", {"Range": "bytes=16-31"})
    assert body == CONTENT[16:32]
    assert headers["content-range"] == "bytes 16-31/1024" and headers["content-length"] == "16"
    assert headers["accept-ranges"] == "bytes" and headers["etag"] and headers["content-type"] == "image/tiff"


@pytest.mark.parametrize(
    "origin", ["https://mallory.example", "null", f"{SITE}.mallory.example", SITE.replace("https", "http")]
)
def test_a_page_of_any_other_origin_reads_nothing(assets, origin):
    """A page that was sent on to the bucket by an API of another origin has the origin `null`."""
    assert allowed(assets.signed_url(PATH, 60), origin, "GET", {"Range": "bytes=0-15"}) is None


def test_pages_neither_write_nor_send_what_was_not_foreseen(assets):
    assert allowed(assets.signed_url(PATH, 60), SITE, "PUT", {}) is None
    assert allowed(assets.signed_url(PATH, 60), SITE, "GET", {"X-Other": "1"}) is None


def test_the_bucket_tells_its_own_cors(server, bucket_name):
    result = call_json(f"{server.host}/storage/v1/b/{bucket_name}")["cors"]
    assert result[0]["origin"] == [SITE] and set(result[0]["method"]) == {"GET", "HEAD"} and len(result) == 1
    assert {"Range", "Content-Range", "Content-Length", "ETag", "Accept-Ranges"} <= set(
        result[0]["responseHeader"]
    )
