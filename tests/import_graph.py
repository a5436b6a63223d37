"""Graph of the imports between the modules, read from the source."""

import ast
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from revisit.ports.topology import PORTS

ROOT = Path(__file__).parent.parent
SHARED = ROOT / "shared"


@cache
def module_files() -> dict[str, Path]:
    """Every module of the package and its file."""
    found = {}
    for path in (SHARED / "revisit").rglob("*.py"):
        parts = path.relative_to(SHARED).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Dotted names that a file imports anywhere in it, but for type checking only."""
    return frozenset(_names(ast.parse(path.read_text()).body))


def _names(statements: list[ast.stmt]) -> set[str]:
    names: set[str] = set()
    for statement in statements:
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test):
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@cache
def revisit_imports(path: Path) -> set[str]:
    """Modules of the package that a file imports."""
    known = module_files()
    return {name for name in imports_of(path) if name in known and name != "revisit"}


def external_imports(path: Path) -> set[str]:
    """Top-level names of all else that a file imports."""
    return {name.partition(".")[0] for name in imports_of(path)} - {"revisit"}


def reachable_files(path: Path, excluded: tuple[str, ...] = ()) -> set[Path]:
    """A file and all files of the package it reaches by imports, without passing through the modules
    named."""
    known, todo, seen = module_files(), [path], set()
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += (
                [known[name] for name in revisit_imports(file) if not name.startswith(excluded)]
                if excluded
                else [known[name] for name in revisit_imports(file)]
            )
            # A module's packages are run before it.
            todo += [
                known[name]
                for name in known
                if name != "revisit"
                and file.parent in (known[name].parent,)
                and known[name].name == "__init__.py"
            ]
    return seen


DISTRIBUTIONS = {
    "functions_framework": "functions-framework",
    "google.api_core": "google-api-core",
    "google.auth": "google-auth",
    "google.cloud.bigquery": "google-cloud-bigquery",
    "google.cloud.firestore": "google-cloud-firestore",
    "google.cloud.firestore_v1": "google-cloud-firestore",
    "google.cloud.pubsub_v1": "google-cloud-pubsub",
    "google.cloud.storage": "google-cloud-storage",
    "google.oauth2": "google-auth",
    "google.protobuf": "protobuf",
    "google_crc32c": "google-crc32c",
    "pystac_client": "pystac-client",
}
"""Packages that are not called like what is imported of them."""

NAMESPACES = ("google", "google.cloud")
"""Of several packages, and of none."""

PORT_MODULES: dict[str, tuple[str, ...]] = {
    "catalog": (
        "revisit.adapters.gcp.catalog",
        "revisit.adapters.gcp.bigquery",
        "revisit.adapters.gcp.filter_sql",
        "revisit.adapters.gcp.month_partitions",
        "revisit.ports.catalog_schema",
    ),
    "records": (
        "revisit.adapters.gcp.record_document",
        "revisit.adapters.gcp.record_transaction",
        "revisit.adapters.gcp.records",
        "revisit.adapters.gcp.outbox",
        "revisit.adapters.gcp.publisher",
    ),
    "bus": (
        "revisit.adapters.gcp.queue_metrics",
        "revisit.adapters.gcp.outbox",
        "revisit.adapters.gcp.publisher",
        "revisit.adapters.gcp.event_bus",
    ),
    "assets": ("revisit.adapters.gcp.assets", "revisit.adapters.gcp.signed_urls"),
    "listing": (
        "revisit.adapters.sources",
        "revisit.adapters.sources.geoparquet_items",
        "revisit.adapters.sources.google_index_file",
        "revisit.adapters.sources.google_index_lines",
        "revisit.adapters.sources.google_index_rows",
        "revisit.ports.catalog_schema",
        "revisit.adapters.gcp.google_index_load",
        "revisit.adapters.gcp.google_index_object",
    ),
    "bands": ("revisit.adapters.sources",),
    "sign_in": ("revisit.adapters.gcp.id_tokens",),
}
"""Port -> the modules, or the beginnings of their names, that only its users import. Records are committed
with events, which are published right away; no deployed function has a folder, and so items in GeoParquet."""


def unused_modules(function: str) -> tuple[str, ...]:
    """Modules that a deployed function never comes to, since it uses none of their ports; those of the local
    backend among them."""
    used = {module for port in PORTS[function] for module in PORT_MODULES[port]}
    return (
        "revisit.adapters.local",
        *sorted({module for modules in PORT_MODULES.values() for module in modules} - used),
    )


def packages_of(main_file: Path) -> set[str]:
    """Packages that a deployed function reaches by imports."""
    return packages(reachable_files(main_file, excluded=unused_modules(main_file.parent.name)))


def packages(files: Iterable[Path]) -> set[str]:
    """Packages that files import, by the names they are installed by."""
    names = {name for path in files for name in imports_of(path) if name not in NAMESPACES}
    return {
        _package(name)
        for name in names
        if name.partition(".")[0] not in sys.stdlib_module_names | {"revisit"}
    }


def _package(name: str) -> str:
    parts = name.split(".")
    known = [
        DISTRIBUTIONS[head]
        for end in range(len(parts), 0, -1)
        if (head := ".".join(parts[:end])) in DISTRIBUTIONS
    ]
    assert known or parts[0] not in NAMESPACES, f"of which package is {name}? Say so in DISTRIBUTIONS"
    return known[0] if known else parts[0]
