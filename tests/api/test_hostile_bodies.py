"""Any body of at most 1 MB is answered, by what is as specified, and soon."""

import gc
import time
from collections.abc import Iterator

import msgspec
import pytest

import hostile_inputs
from figures import figure
from openapi_operations import Operation, json_types, operations, resolve_ref
from revisit.api import create_app
from revisit.api.http.request_context import Principal
from revisit.services.accounts.limits import PLANS
from tenant_samples import Deployment, make_deployment

HANGING_S = 20
"""What takes so long does not end: most take milliseconds of the processor, on a computer that may have much
else to do."""
PLACES = ("aoi", "intersects")
"""Members that hold a shape."""
INSTEAD = {"tile": ("aoi",), "products": ("aoi",), "intersects": ("bbox",)}
"""Members of an example that others exclude: a body with both is refused before either is looked at."""
TAKING = [one for one in operations() if one.schema]
WHOLE = ("/aoi", "/stac/search")
"""Paths that are sent all there is; the others, which look at shapes and values by the same functions, take
turns, and all get these:"""
ALWAYS = (
    "a star",
    "round the pole",
    "a scattered ring of 200",
    "a hair around the world",
    "a hair across the world",
)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return make_deployment(tmp_path_factory.mktemp("world") / "data")


@pytest.fixture(scope="module", autouse=True)
def _bodies_are_no_garbage() -> Iterator[None]:
    """Freeze a million lists and texts of the bodies, so that the garbage collector does not scan them while
    a response is timed."""
    for pool in (hostile_inputs.TEXTS, hostile_inputs.NUMBERS, hostile_inputs.LISTS, hostile_inputs.OBJECTS):
        pool()
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def bodies(operation: Operation) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """What is sent to a route: texts that are no body at all, and its example with one member that is as bad
    as it can be."""
    yield from hostile_inputs.malformed_bodies()
    members, turn = resolve_ref(operation.schema)["properties"], TAKING.index(operation)
    for name, schema in members.items():
        sent = (
            *(hostile_inputs.hostile_shapes() if name in PLACES else ()),
            *hostile_inputs.hostile_values(json_types(schema)),
        )
        for what, value in (
            one
            for at, one in enumerate(sent, turn)
            if operation.path in WHOLE or at % 3 == 0 or one[0] in ALWAYS
        ):
            for repair in (False, True) if operation.path == "/aoi" and name == "aoi" else (None,):
                body = {**operation.example, name: value} | ({} if repair is None else {"repair": repair})
                body = {
                    member: value for member, value in body.items() if member not in INSTEAD.get(name, ())
                }
                yield f"{name}: {what}{', to be repaired' if repair else ''}", msgspec.json.encode(body), {}


@pytest.mark.parametrize("operation", TAKING, ids=str)
def test_any_body_is_answered(deployment, tmp_path, monkeypatch, operation):
    monkeypatch.setitem(PLANS, "free", PLANS["local"])
    here = deployment if operation.read_only else deployment.copy(tmp_path / "data")
    client = create_app(here.backend, authenticate=lambda _: Principal("ann", operator=True)).test_client()
    address = operation.address(deployment.path_values)
    client.open(
        address, method=operation.method, json=operation.example
    )  # what is loaded at the first request is no matter here
    specified = set(operation.definition["responses"])
    slowest, count = (0.0, ""), 0
    for what, body, headers in bodies(operation):
        assert len(body) <= hostile_inputs.MAX_BYTES, what
        began, worked = time.monotonic(), time.process_time()
        answer = client.open(
            address,
            method=operation.method,
            data=body,
            headers={"Content-Type": "application/json", **headers},
        )
        slowest, count = max(slowest, (time.process_time() - worked, what)), count + 1
        assert time.monotonic() - began < HANGING_S, what
        assert str(answer.status_code) in specified and answer.status_code < 500, (
            f"{what}: {answer.status_code} {answer.text[:300]}"
        )
        assert answer.status_code < 400 or answer.content_type == "application/problem+json", what
        assert answer.status_code < 400 or len(answer.data) < 5_000, (
            f"{what}: a refusal of {len(answer.data):,} bytes"
        )
    figure(
        f"api: slowest of {count} hostile bodies to {operation}",
        f"{1000 * slowest[0]:.0f} ms of the processor ({slowest[1]})",
    )


@pytest.mark.parametrize("operation", TAKING, ids=str)
def test_a_body_that_is_too_large_is_refused_before_it_is_read(deployment, operation):
    client = create_app(
        deployment.backend, authenticate=lambda _: Principal("ann", operator=True)
    ).test_client()
    answer = client.open(
        operation.address(deployment.path_values),
        method=operation.method,
        data=b'{"' + b" " * hostile_inputs.MAX_BYTES,
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.content_type) == (413, "application/problem+json")
