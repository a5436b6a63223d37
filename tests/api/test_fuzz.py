"""Whatever is sent, the answer is an answer: never a server error, never a traceback."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends import with_settings
from products import FIELD, NOW
from profiles import examples
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from revisit.errors import UnauthenticatedError
from revisit.ports.authenticator import Authenticator

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = [
    "name",
    "indices",
    "bands",
    "resolution_m",
    "resampling",
    "level",
    "max_cloud",
    "min_clear",
    "min_clear_of",
    "min_coverage",
    "webhooks",
    "files",
    "backfill",
    "start",
    "end",
    "source",
    "repair",
    "aoi",
]
LIKELY = st.sampled_from(
    [
        "NDVI",
        "B04",
        "nir",
        "L1C",
        "2024-06-01",
        "2024-06-01T00:00:00+99:99",
        "9999-12-31",
        "0001-01-01",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "nearest",
        "",
        "\x00",
        "https://hooks.example.com/",
        "folder:/etc",
        FIELD,
        {"type": "GeometryCollection", "geometries": []},
        1e308,
        -1,
        50,
        True,
    ]
)
QUIET = settings(
    max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return create_app(local_backend(tmp_path_factory.mktemp("data"), (), lambda: NOW)).test_client()


def fine(answer) -> bool:
    """An answer of ours; errors are problems."""
    return (
        answer.status_code < 500
        and "Traceback" not in answer.text
        and (answer.status_code < 400 or answer.content_type == "application/problem+json")
    )


@QUIET
@given(
    st.sampled_from(["/orders", "/subscriptions"]),
    st.dictionaries(st.sampled_from(FIELDS), LIKELY | st.lists(LIKELY, max_size=3) | ANYTHING),
)
def test_any_body_is_answered(client, path, body):
    body = {"aoi": FIELD, **({"name": "x"} if path == "/subscriptions" else {}), **body}
    assert fine(client.post(path, data=json.dumps(body), content_type="application/json"))


@QUIET
@given(
    st.sampled_from(
        [
            "/orders/{}",
            "/subscriptions/{}",
            "/subscriptions/{}/alerts",
            "/results/{}",
            "/results/x/assets/{}",
            "/feeds/{}.atom",
            "/dead-letters/{}",
            "/{}",
        ]
    ),
    st.text(min_size=1, max_size=40),
)
def test_any_id_is_answered(client, path, id):
    from urllib.parse import quote

    assert fine(client.get(path.format(quote(id, safe=""))))


@QUIET
@given(st.sampled_from(["after", "limit", "index", "format"]), st.text(max_size=20))
def test_any_query_is_answered(client, name, value):
    made = client.post("/subscriptions", json={"aoi": FIELD, "name": "asked", "indices": ["NDVI"]}).json[
        "subscription"
    ]
    for path in (
        f"/subscriptions/{made}/alerts",
        f"/subscriptions/{made}/series",
        f"/subscriptions/{made}/results",
        "/orders",
    ):
        assert fine(client.get(path, query_string={name: value}))


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """Where users sign in, and nobody's token is good."""

    def verify(token):
        raise UnauthenticatedError("sign in again")

    return create_app(
        with_settings(
            local_backend(tmp_path_factory.mktemp("data"), (), lambda: NOW),
            authenticator=Authenticator(verify),
        )
    ).test_client()


@QUIET
@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
    | st.from_regex(r"rvt_[\x20-\xff]{0,20}_[\x20-\xff]{0,20}", fullmatch=True)
)
def test_any_token_and_any_key_that_is_none_is_refused(deployed, given):
    answer = deployed.get("/subscriptions", headers={"Authorization": f"Bearer {given}"})
    assert answer.status_code == 401 and fine(answer)


@QUIET
@given(
    st.dictionaries(
        st.sampled_from(["name", "scopes", "days"]),
        ANYTHING | LIKELY | st.lists(st.sampled_from(["read", "write", "root", 1])),
    )
)
def test_any_wish_for_a_key_is_answered(client, wish):
    assert fine(client.post("/keys", data=json.dumps({"name": "x", **wish}), content_type="application/json"))


@QUIET
@given(
    st.sampled_from(
        ["Idempotency-Key", "If-None-Match", "Range", "Origin", "Authorization", "Accept", "Content-Type"]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60),
)
def test_any_header_is_answered(client, name, value):
    for answer in (
        client.get("/status", headers={name: value}),
        client.post("/refresh", headers={name: value}),
    ):
        assert answer.status_code == 304 or fine(answer)
