"""The deployed API in a process of its own over Firestore: sign-in by token, and API keys."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from emulators import new_project
from emulators.function_servers import Function
from emulators.project import create_topics
from id_token_signer import firebase_claims, unsigned_token
from products import FIELD

SITE = "https://watch.example.org"
WATCH = {"aoi": FIELD, "name": "field", "indices": ["NDVI"]}


@pytest.fixture(scope="module")
def api(google, tmp_path_factory):
    project = new_project()
    create_topics(project)
    environment = {
        "REVISIT_PROJECT": project,
        "REVISIT_SITES": SITE,
        "REVISIT_OPERATORS": "boss@example.org",
        "FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:9099",
    }
    function = Function("api", environment, tmp_path_factory.mktemp("api") / "log")
    function.start()
    try:
        function.wait()
        yield function, project
    finally:
        function.kill()


def ask(
    api, method: str, path: str, bearer: str = "", body: Any = None, **headers: str
) -> tuple[int, Any, Any]:
    """Status, headers, and the body as JSON."""
    function, _ = api
    known = {
        "Content-Type": "application/json",
        **({"Authorization": f"Bearer {bearer}"} if bearer else {}),
        **headers,
    }
    request = urllib.request.Request(
        f"{function.url}{path}", json.dumps(body).encode() if body is not None else None, known, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.loads(error.read())


def test_users_sign_in_each_to_their_own_and_carry_on_with_keys(api):
    _, project = api
    ann, bob, boss = (unsigned_token(firebase_claims(project, uid)) for uid in ("ann", "bob", "boss"))
    assert ask(api, "GET", "/health")[2]["status"] == "ok"
    assert (
        ask(api, "GET", "/subscriptions")[0]
        == ask(api, "GET", "/subscriptions", unsigned_token(firebase_claims("demo-other", "ann")))[0]
        == 401
    )
    status, headers, made = ask(api, "POST", "/subscriptions", ann, WATCH, Origin=SITE)
    assert (status, headers["Access-Control-Allow-Origin"]) == (201, SITE), made
    here = f"/subscriptions/{made['subscription']}"
    assert [ask(api, "GET", here, who)[0] for who in (ann, bob, boss)] == [200, 404, 404]
    key = ask(api, "POST", "/keys", ann, {"name": "laptop"})[2]["secret"]
    assert ask(api, "GET", here, key)[0] == 200 and ask(api, "DELETE", here, key)[0] == 403
    assert ask(api, "GET", "/limits", ann)[2]["used"]["subscriptions"] == 1
    assert [line["what"] for line in ask(api, "GET", "/audit", boss)[2]["audit"]] == [
        "POST /subscriptions",
        "POST /keys",
        "DELETE /subscriptions/<id>",
    ]
    assert ask(api, "GET", "/audit", ann)[0] == 403
    assert ask(api, "DELETE", "/me", ann)[2]["deleted"] == {"apikey": 1, "subscription": 1, "usage": 1}
    assert ask(api, "GET", here, key)[0] == 401 and ask(api, "GET", here, ann)[0] == 404


def test_nothing_that_opens_anything_is_in_the_log(api):
    function, project = api
    ann = unsigned_token(firebase_claims(project, "carl"))
    key = ask(api, "POST", "/keys", ann, {"name": "x"})[2]["secret"]
    assert ask(api, "GET", "/subscriptions", key)[0] == 200 and ask(api, "GET", "/status", key)[0] == 403
    said = function.log.read_text()
    assert key.split("_", 2)[2] not in said and ann not in said


def test_a_real_project_beside_an_emulator_of_sign_in_answers_nobody(tmp_path, google):
    function = Function(
        "api",
        {"REVISIT_PROJECT": "revisit-lakes", "FIREBASE_AUTH_EMULATOR_HOST": "127.0.0.1:9099"},
        tmp_path / "log",
    )
    function.start()
    try:
        function.wait()
        request = urllib.request.Request(f"{function.url}/health")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=60)
        assert refused.value.code == 500 and "FIREBASE_AUTH_EMULATOR_HOST is set" in function.log.read_text()
    finally:
        function.kill()
