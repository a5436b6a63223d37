"""The whole specification under schemathesis: every response is one that it documents."""

import copy
from collections import Counter
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from figures import figure
from openapi_operations import operations
from revisit.api import create_app
from revisit.api.http import openapi
from revisit.api.http.request_context import Principal
from revisit.api.routes import status
from revisit.services.accounts.limits import PLANS
from tenant_samples import Deployment, make_deployment

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
EXAMPLES = 6
"""Of each operation, drawn by chance; those on the bounds of each schema come besides."""
CONFIG = {
    "seed": 20241125,
    "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
    "generation": {
        "deterministic": True,
        "max-examples": EXAMPLES,
        "no-shrink": True,
        "with-security-parameters": False,
    },
    "phases": {"coverage": {"unexpected-methods": ["put"]}, "stateful": {"enabled": False}},
}


def leading(deployment: Deployment) -> dict[str, Any]:
    """The specification, changed so that half of the requested ids exist; deletable ones do not."""
    led = copy.deepcopy(openapi.specification())
    for path, methods in led["paths"].items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", ()):
                name = path.partition("/{" + parameter.get("name", "") + "}")[0].rpartition("/")[2]
                if (
                    parameter.get("in") == "path"
                    and method != "delete"
                    and (there := deployment.path_values.get(name))
                ):
                    parameter["schema"] = {"anyOf": [{"const": there}, parameter["schema"]]}
    return led


@pytest.fixture
def schema(tmp_path, monkeypatch):
    """The schema of an application in this process, with an operator as user and without plan limits."""
    monkeypatch.setitem(PLANS, "free", PLANS["local"])
    deployment = make_deployment(tmp_path / "data")
    made = schemathesis.openapi.from_dict(leading(deployment), config=SchemathesisConfig.from_dict(CONFIG))
    made.app = create_app(deployment.backend, authenticate=lambda _: Principal("ann", operator=True))
    return made


def judged(schema) -> tuple[Counter[str], Counter[int], list[str]]:
    """How often each operation was asked, how often each status was answered, and which answers are not as
    specified."""
    asked, answered, wrong = Counter(), Counter(), []
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            wrong.append(repr(event))
        elif isinstance(event, events.ScenarioFinished):
            asked[event.label] += len(event.recorder.cases)
            answered.update(
                interaction.response.status_code
                for interaction in event.recorder.interactions.values()
                if interaction.response is not None
            )
            wrong += [
                f"{event.label} {check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
                for checks in event.recorder.checks.values()
                for check in checks
                if check.failure_info
            ]
    return asked, answered, wrong


def test_every_response_is_as_specified(schema):
    asked, answered, wrong = judged(schema)
    server_errors = sum(count for status, count in answered.items() if status >= 500)
    figure(
        "api: schemathesis",
        f"{asked.total():,} cases of {len(asked)} operations, {server_errors} 5xx, "
        f"{len(wrong)} answers other than specified",
    )
    assert not wrong, "\n\n".join(wrong[:20])
    assert set(map(str, operations())) <= set(asked)
    assert {200, 201, 202, 404, 405, 415, 422} <= set(answered)


@pytest.mark.parametrize("broken", [{"subscriptions": "many"}, None])
def test_an_answer_other_than_specified_is_seen(schema, monkeypatch, broken):
    """So that silence above says something: one member of another type, and one fault of ours."""
    real = status.asdict

    def spoiled(value):
        if broken is None:
            raise RuntimeError("a fault")
        return {**real(value), **broken}

    monkeypatch.setattr(status, "asdict", spoiled)
    _, _, wrong = judged(schema.include(path="/limits"))
    assert wrong and ("response_schema_conformance" if broken else "not_a_server_error") in "".join(wrong)
