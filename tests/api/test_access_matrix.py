"""Every route of the specification for every kind of caller: other users' records are not found.

What each is answered follows from `x-who` and `x-in-person` of the operation (`revisit.api.http.openapi`),
what is sent from its examples.
"""

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from figures import figure
from openapi_operations import Operation, operations
from tenant_samples import SUBSCRIPTION_NAME, Deployment, make_deployment

WHO = ("anonymous", "other", "wrong scope", "right scope", "owner", "operator")
"""Wrong scope: a key of the owner's for writing where the route reads, and the reverse; operator: another
user who looks after the whole."""

ANSWERS = {
    "open": (0, 0, 0, 0, 0, 0),
    "mine": (401, 404, 403, 0, 0, 404),
    "theirs": (401, 0, 403, 0, 0, 0),
    "whole": (401, 403, 403, 403, 403, 0),
}
"""What each of WHO is answered; 0 stands for success. What is of one owner is not there for others, operators
among them."""

ALL = operations()
READING = [one for one in ALL if one.read_only]
CHANGING = [one for one in ALL if not one.read_only]


def expected(operation: Operation, who: str) -> int:
    if who == "right scope" and operation.definition.get("x-in-person"):
        return 403
    return ANSWERS[operation.who][WHO.index(who)] or operation.success


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """One that nobody changes."""
    return make_deployment(tmp_path_factory.mktemp("deployment") / "data")


def ask(
    deployment: Deployment,
    client: FlaskClient,
    operation: Operation,
    who: str,
    things: dict[str, str] | None = None,
) -> TestResponse:
    right, wrong = ("read", "write") if operation.read_only else ("write", "read")
    token = {
        "anonymous": "",
        "other": "bob",
        "owner": "ann",
        "operator": "boss",
        "right scope": deployment.keys[right],
        "wrong scope": deployment.keys[wrong],
    }[who]
    return client.open(
        operation.address(things or deployment.path_values),
        method=operation.method,
        json=operation.example,
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )


def check(operation: Operation, who: str, answer: TestResponse) -> None:
    assert answer.status_code == expected(operation, who), f"{operation} for {who}: {answer.text}"
    if answer.status_code >= 400:
        assert answer.content_type == "application/problem+json"
    if who in ("anonymous", "other") and operation.who != "open":
        assert SUBSCRIPTION_NAME not in answer.text


@pytest.mark.parametrize("operation", READING, ids=str)
def test_a_route_that_reads_answers_everybody_as_it_should(deployment, operation):
    client = deployment.client
    for who in WHO:
        check(operation, who, ask(deployment, client, operation, who))


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("operation", CHANGING, ids=str)
def test_a_route_that_changes_something_answers_everybody_as_it_should(deployment, tmp_path, operation, who):
    # Where it is refused nothing is changed, as the next one to come shows.
    here = deployment if expected(operation, who) >= 400 else deployment.copy(tmp_path / "data")
    check(operation, who, ask(here, here.client, operation, who))


@pytest.mark.parametrize("operation", [one for one in ALL if one.who == "mine"], ids=str)
def test_what_is_anothers_is_answered_as_what_never_was(deployment, operation):
    """Nobody learns from an answer which ids there are."""
    name = operation.path.split("/{")[0].rpartition("/")[2]
    there = deployment.path_values[name]
    never = there.partition("_")[0] + "_none" if "_" in there else "none"
    client = deployment.client
    result, hidden = (
        ask(deployment, client, operation, "other"),
        ask(deployment, client, operation, "other", {**deployment.path_values, name: never}),
    )
    assert result.status_code == hidden.status_code == 404
    assert result.json["detail"].replace(there, never) == hidden.json["detail"]


def test_nobody_we_know_learns_nothing_but_that_they_are_unknown(deployment):
    """Whatever they ask for, whether it is there or not, and whatever they send."""
    client, result = deployment.client, set()
    for operation in ALL:
        if operation.who != "open":
            for things in (deployment.path_values, {}):
                for body in (
                    {"json": operation.example},
                    {"data": b"[" * 2_000_000, "content_type": "application/json"},
                ):
                    answer = client.open(operation.address(things), method=operation.method, **body)
                    assert answer.status_code == 401 and not {
                        "ETag",
                        "Location",
                        "Allow",
                        "Last-Modified",
                    } & set(answer.headers.keys()), operation
                    result.add(
                        tuple(
                            value
                            for name, value in answer.json.items()
                            if name not in ("instance", "request_id")
                        )
                    )
    assert len(result) == 1


def test_what_each_sees_in_lists_is_their_own(deployment):
    client = deployment.client
    for operation in ALL:
        if operation.path in ("/subscriptions", "/orders", "/keys") and operation.method == "GET":
            name = operation.path.removeprefix("/")
            assert (
                ask(deployment, client, operation, "other").json[name]
                == ask(deployment, client, operation, "operator").json[name]
                == []
            )
            assert len(ask(deployment, client, operation, "owner").json[name]) >= 1


def test_the_matrix_is_as_large_as_the_specification():
    figure("api: routes x roles", f"{len(ALL)} x {len(WHO)} = {len(ALL) * len(WHO)} cases, 0 leaks")
    assert {one.who for one in ALL} == set(ANSWERS)
