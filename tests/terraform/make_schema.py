"""Writes schemas/google.json: what the google provider takes, for the resources that terraform/ uses.

    npm pack @cdktf/provider-google@16.12.1 && tar xzf cdktf-provider-google-16.12.1.tgz    # made from
    hashicorp/google 6.50.0
    python3 tests/terraform/make_schema.py package

The package holds no schema, but the source map at the end of each lib/NAME/index.js holds the TypeScript it
was compiled from, and that was
generated from the schema: one comment an attribute says whether it is required, optional, computed; one table
a block says what can be set.
"""

import base64
import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TERRAFORM = HERE.parents[1] / "terraform"

SECTION = re.compile(r"^export (?:function|class) (\w+)", re.MULTILINE)
SETTABLE = re.compile(
    r'^ +(\w+): \{\s+value: (.+),\s+isBlock: (\w+),\s+type: "(\w+)",\s+storageClassType: "(\w+)"',
    re.MULTILINE,
)
DECLARED = re.compile(
    r"^  // (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n(.*\n.*\n.*\n)", re.MULTILINE
)
READ_ONLY_LIST = re.compile(r'new (\w+)List\(this, "\w+", (true|false)\)')

SCALARS = {"string": "string", "number": "number", "boolean": "bool"}
READ_BY = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
    "StringMap": ["map", "string"],
    "BooleanMap": ["map", "bool"],
}

NOT_IN_THE_PACKAGE: dict[str, str | int] = {
    "data_sources.google_secret_manager_secret_version.secret_data": "s",
    "resources.google_identity_platform_config.client.api_key": "s",
    "resources.google_secret_manager_secret_version.secret_data": "s",
    "resources.google_secret_manager_secret_version.secret_data_wo": "sw",
    "resources.google_storage_bucket.lifecycle_rule": 100,
    "resources.google_storage_bucket_object.content": "s",
}
"""What the TypeScript does not tell, read off the provider's source at v6.50.0: a value that is sensitive, or
that is
written and never read, how many blocks there may be."""


class Generated:
    """The TypeScript of one resource, cut into its functions and classes."""

    def __init__(self, index_js: Path) -> None:
        source_map = index_js.read_text().rpartition("base64,")[2].strip()
        text = json.loads(base64.b64decode(source_map))["sourcesContent"][0]
        starts = [*SECTION.finditer(text)]
        ends = [*(start.start() for start in starts[1:]), len(text)]
        self.sections = {
            start[1]: text[start.start() : end].partition("\nexport interface")[0]
            for start, end in zip(starts, ends, strict=True)
        }

    def block(self, table: str, described_by: str) -> dict[str, Any]:
        """A block, from the table of what can be set in it and the class that describes all of it."""
        declared = {match[1]: match for match in DECLARED.finditer(self.sections.get(described_by, ""))}
        settable = {match[1]: match for match in SETTABLE.finditer(table)}
        attributes, blocks = {}, {}
        for name in sorted(declared.keys() | settable.keys()):
            result, flags = settable.get(name), _flags(declared.get(name))
            if result is None:
                attributes[name] = [self._type_read(declared[name][5]), flags]
            elif result[3] == "true":
                blocks[name] = self._nested(result, flags, declared[name][5] if name in declared else "")
            else:
                attributes[name] = [_type_set(result[4], result[5]), flags]
        return {"attributes": attributes} | ({"blocks": blocks} if blocks else {})

    def _nested(self, result: re.Match[str], flags: str, code: str) -> dict[str, Any]:
        reader = re.search(r"(\w+)ToHclTerraform\b", result[2])[1]
        name = reader[0].upper() + reader[1:]
        inner = self.block(self.sections[f"{reader}ToHclTerraform"], f"{name}OutputReference")
        if result[4] == "struct":
            return {"nesting": "single"} | inner
        return {
            "nesting": result[4],
            "min": int("r" in flags),
            "max": int(f"new {name}OutputReference(this" in code),
        } | inner

    def _type_read(self, code: str) -> Any:
        if found := re.search(r"this\.get(\w+)Attribute\(", code):
            kind = READ_BY[found[1]]
            return ["set", kind[1]] if "Fn.tolist" in code else kind
        if found := re.search(r"new cdktf\.(\w+)Map\(", code):
            return ["map", SCALARS[found[1].lower()]]
        found = READ_ONLY_LIST.search(code)
        members = DECLARED.finditer(self.sections[f"{found[1]}OutputReference"])
        return [
            "set" if found[2] == "true" else "list",
            ["object", {member[1]: self._type_read(member[5]) for member in members}],
        ]


def _flags(declared: re.Match[str] | None) -> str:
    """r required, o optional, c computed."""
    if declared is None:
        return "o"
    computed, optional, required = (flag == "true" for flag in declared.group(2, 3, 4))
    return "r" if required else "o" * optional + "c" * computed


def _type_set(kind: str, storage: str) -> Any:
    return (
        SCALARS[storage]
        if kind == "simple"
        else [kind, SCALARS[re.match("string|number|boolean", storage)[0]]]
    )


def used_types(kind: str) -> set[str]:
    """Names, less google_, of the resources or data sources that terraform/ uses."""
    return {
        name
        for file in TERRAFORM.glob("*.tf")
        for name in re.findall(rf'^{kind} "google_(\w+)"', file.read_text(), re.MULTILINE)
    }


def schema_of(package: Path, name: str, class_name: str) -> dict[str, Any]:
    """The schema of one folder of the package."""
    generated = Generated(package / "lib" / name.replace("_", "-") / "index.js")
    table = generated.sections[class_name].partition("synthesizeHclAttributes")[2]
    return generated.block(table, class_name)


def main(package: Path) -> None:
    """Write the schema."""

    def pascal(name: str) -> str:
        return "".join(part.capitalize() if not part[0].isdigit() else part for part in name.split("_"))

    provider = schema_of(package, "provider", "GoogleProvider")
    del provider["attributes"]["alias"]  # terraform's own
    schema = {
        "provider": provider,
        "resources": {
            f"google_{name}": schema_of(package, name, pascal(name))
            for name in sorted(used_types("resource"))
        },
        "data_sources": {
            f"google_{name}": schema_of(package, f"data_google_{name}", f"DataGoogle{pascal(name)}")
            for name in sorted(used_types("data"))
        },
    }
    for path, fact in NOT_IN_THE_PACKAGE.items():
        section, kind, *within, name = path.split(".")
        block = schema[section][kind]
        for inner in within:
            block = block["blocks"][inner]
        if isinstance(fact, int):
            block["blocks"][name]["max"] = fact
        else:
            block["attributes"][name][1] += fact
    lines = json.dumps(schema, separators=(",", ":"))
    (HERE / "schemas" / "google.json").write_text(
        re.sub(r',(?="(?:resources|data_sources|google_\w+)":\{)', ",\n", lines) + "\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
