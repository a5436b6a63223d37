"""The operations of the specification, as tests walk through them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from revisit.api.http import openapi


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    definition: dict[str, Any]
    """What the specification says of it."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def who(self) -> str:
        return self.definition["x-who"]

    @property
    def read_only(self) -> bool:
        """Whether it changes nothing, so that a key that reads is enough."""
        return self.method == "GET" or self.definition.get("x-asks", False)

    @property
    def success(self) -> int:
        """The status of an answer to somebody who may."""
        return int(min(status for status in self.definition["responses"] if status[0] == "2"))

    @property
    def schema(self) -> dict[str, Any] | None:
        """Of the JSON body, where it takes one."""
        return self._body.get("schema")

    @property
    def example(self) -> Any:
        """Of the JSON body, where it takes one."""
        return self._body.get("example")

    @property
    def _body(self) -> dict[str, Any]:
        return self.definition.get("requestBody", {}).get("content", {}).get("application/json", {})

    def parameters(self, location: str) -> Iterator[dict[str, Any]]:
        """Of the path, the query or the headers."""
        return (
            each for each in map(resolve_ref, self.definition.get("parameters", ())) if each["in"] == location
        )

    def address(self, path_values: dict[str, str]) -> str:
        """The path and the query it cannot do without.

        Args:
            path_values: Values of path parameters by the preceding segment; others take the examples of the
                specification.
        """
        examples = {each["name"]: each.get("example", "none") for each in self.parameters("path")}
        path = re.sub(
            r"/([^/{]+)/\{(\w+)\}",
            lambda found: f"/{found[1]}/{path_values.get(found[1], examples[found[2]])}",
            self.path,
        )
        assert "{" not in path, f"{self}: a part of the path comes after no name"
        query = "&".join(
            f"{each['name']}={each['example']}" for each in self.parameters("query") if each.get("required")
        )
        return f"{path}?{query}" if query else path


def operations() -> list[Operation]:
    """Every one, by its path."""
    return [
        Operation(method.upper(), path, operation)
        for path, methods in sorted(openapi.specification()["paths"].items())
        for method, operation in methods.items()
    ]


def resolve_ref(item: dict[str, Any]) -> dict[str, Any]:
    """What a $ref stands for."""
    if "$ref" not in item:
        return item
    found: Any = openapi.specification()
    for name in item["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def openapi_path(rule: str) -> str:
    """A path of Flask's as the specification writes it."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def json_types(schema: dict[str, Any], definitions: dict[str, Any] | None = None) -> set[str]:
    """JSON types that a schema takes.

    Args:
        definitions: Targets of its $refs, if they are not in the specification.
    """
    schema = {
        **schema,
        **(
            resolve_ref(schema)
            if definitions is None
            else definitions[schema["$ref"].rpartition("/")[2]]
            if "$ref" in schema
            else {}
        ),
    }
    if parts := schema.get("anyOf") or schema.get("oneOf"):
        return set().union(*(json_types(part, definitions) for part in parts))
    if "enum" in schema and "type" not in schema:
        return {{str: "string", int: "integer", type(None): "null"}[type(value)] for value in schema["enum"]}
    named = schema.get("type", [])
    return {named} if isinstance(named, str) else set(named)
