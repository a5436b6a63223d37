"""The specification is valid, and the application does what it says."""

import re
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from openapi_operations import Operation, json_types, openapi_path, operations, resolve_ref
from revisit.adapters.local.backend import local_backend
from revisit.api import all_routes, create_app
from revisit.api.http import openapi, problems, security_headers
from revisit.api.http.request_context import RequestContext
from revisit.errors import InvalidInputError

BOUNDS = ("maxItems", "minItems", "maxLength", "minLength", "minimum", "maximum", "pattern")
"""Which a body is refused by as it is decoded; others are looked at later, and may be said by the
specification alone."""
ALL = operations()
TAKING = [one for one in ALL if one.schema]


def test_the_specification_is_sound_by_the_judgement_of_its_validator():
    validate(openapi.specification())


def test_every_route_is_specified_and_what_is_specified_is_a_route():
    assert sorted(
        f"{method} {openapi_path(path)}"
        for method, path in ((route.method, route.path) for route in all_routes())
    ) == sorted(map(str, ALL))


def test_every_operation_has_a_name_of_its_own_a_summary_and_a_known_tag():
    names = [one.definition["operationId"] for one in ALL]
    tags = {tag["name"] for tag in openapi.specification()["tags"]}
    assert len(set(names)) == len(names)
    assert not [
        one
        for one in ALL
        if not one.definition["summary"]
        or one.definition["tags"][0] not in tags
        or one.who not in ("open", "theirs", "mine", "whole")
    ]


def test_what_is_everybodys_is_just_what_the_guards_let_in():
    free = {
        path
        for path in (openapi_path(rule) for rule in security_headers.PUBLIC_RULES)
        if path not in ("/", "/{name}")
    }
    assert {one.path for one in ALL if one.who == "open" and not one.path.startswith("/feeds/")} == free


def test_the_routes_that_only_ask_are_said_to():
    marked = {f"{route.method} {openapi_path(route.path)}" for route in all_routes() if route.read_only}
    assert {str(one) for one in ALL if one.definition.get("x-asks")} == marked


def test_what_takes_an_idempotency_key_says_so():
    """Every POST that makes something, but for keys, whose answer must not be kept."""
    heeding = {
        str(one) for one in ALL if any(each["name"] == "Idempotency-Key" for each in one.parameters("header"))
    }
    assert {str(one) for one in ALL if one.method == "POST" and not one.read_only} - heeding == {"POST /keys"}


# ------------------------------------------------------------------------------------------------------------
# bodies


@pytest.fixture(scope="module")
def struct_of(tmp_path_factory):
    """Tells what a route decodes its body into, by asking it."""
    client = create_app(local_backend(tmp_path_factory.mktemp("data"))).test_client()

    def found(operation: Operation) -> type[Any]:
        seen: list[type[Any]] = []

        def body(self: RequestContext, kind: type[Any]) -> Any:
            seen.append(kind)
            raise InvalidInputError("what the body is decoded into is known")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RequestContext, "decode_body", body)
            client.open(operation.address({}), method=operation.method, json=operation.example)
        assert len(seen) == 1, f"{operation} reads its body {len(seen)} times"
        return seen[0]

    return found


@pytest.mark.parametrize("operation", TAKING, ids=str)
def test_a_body_is_decoded_into_what_the_specification_says(operation, struct_of):
    struct = struct_of(operation)
    own = msgspec.json.schema_components([struct])[1]
    said = own[struct.__name__]
    document = resolve_ref(operation.schema)
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    assert set(document["properties"]) == set(fields)
    assert set(document.get("required", ())) == {name for name, field in fields.items() if field.required}
    assert document["additionalProperties"] is False
    for name, schema in document["properties"].items():
        held = said["properties"][name]
        assert json_types(schema) == json_types(held, own), f"{operation} {name}"
        assert {bound: schema.get(bound) for bound in BOUNDS if bound in held} == {
            bound: held[bound] for bound in BOUNDS if bound in held
        }
        if "default" in schema:
            default = fields[name].default
            assert schema["default"] == (list(default) if isinstance(default, tuple) else default), name


def test_the_specification_and_its_page_are_served_as_they_are_and_not_again_while_known(tmp_path):
    client = create_app(local_backend(tmp_path), token="sesame").test_client()
    for path, type in (
        ("/openapi.json", "application/json"),
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/docs.js", "text/javascript; charset=utf-8"),
        ("/docs/docs.css", "text/css; charset=utf-8"),
    ):
        answer = client.get(path)
        assert (answer.status_code, answer.content_type) == (200, type)
        assert client.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert client.get("/openapi.json").json == openapi.specification()
    assert {
        client.get(f"/docs/{name}").status_code for name in ("base.json", "..%2fopenapi.py", "docs.py")
    } == {404}


def test_the_page_of_the_specification_holds_nothing_inline_and_makes_no_markup_of_text():
    page, script = ((openapi.DOCS_DIR / name).read_text() for name in ("docs.html", "docs.js"))
    assert not re.search(r"<script(?![^>]*src=)|<style|\bstyle=|\bon\w+=|://", page)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc|\.style\.|https?://",
        script,
    )


@pytest.mark.parametrize("operation", TAKING, ids=str)
def test_the_example_of_a_body_is_what_its_schema_takes(operation):
    judged_by(operation.schema).validate(operation.example)


# ------------------------------------------------------------------------------------------------------------
# problems


def test_every_problem_type_is_documented():
    document = resolve_ref({"$ref": "#/components/schemas/ProblemType"})["oneOf"]
    raised = {
        (f"{problems.TYPE_URL_PREFIX}{type}", title, str(status))
        for _, status, type, title in problems.ERROR_RESPONSES
    }
    assert {
        (one["const"], one["title"], one["description"][:3])
        for one in document
        if one["const"] != problems.BLANK_TYPE
    } == raised
    assert [one["const"] for one in document].count(problems.BLANK_TYPE) == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"aoi": {}, "bands": ["B04", 4], "name": "x"}', "/bands/1"),
        ('{"aoi": {}, "name": 7}', "/name"),
        ("{}", "/aoi"),
        ("[]", ""),
        ('{"aoi": {}, "name": "x", "a/b~c": 1}', "/a~1b~0c"),
        ('{"aoi": {"x": 1e999}, "name": "x"}', "/aoi"),
    ],
)
def test_a_member_of_a_body_that_is_wrong_is_pointed_at(tmp_path, body, pointer):
    refused = (
        create_app(local_backend(tmp_path))
        .test_client()
        .post("/subscriptions", data=body, content_type="application/json")
    )
    [fault] = refused.json["errors"]
    assert (refused.status_code, fault["pointer"]) == (422, pointer)
    assert fault["why"] in refused.json["detail"]
    judged_by({"$ref": "#/components/schemas/Problem"}).validate(refused.json)


def judged_by(schema: dict[str, Any]) -> Draft202012Validator:
    resource = Resource.from_contents(openapi.specification(), default_specification=DRAFT202012)
    absolute = {"$ref": f"urn:spec{schema['$ref']}"} if "$ref" in schema else schema
    return Draft202012Validator(absolute, registry=Registry().with_resource("urn:spec", resource))
