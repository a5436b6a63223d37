"""Who imports whom in this house, read from the source."""

import ast
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHARED = ROOT / "shared"


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


def ours(path: Path) -> set[str]:
    """Modules of the package that a file imports."""
    known = module_files()
    return {name for name in imports_of(path) if name in known and name != "revisit"}


def strangers(path: Path) -> set[str]:
    """Top-level names of all else that a file imports."""
    return {name.partition(".")[0] for name in imports_of(path)} - {"revisit"}


def reached(path: Path, but: tuple[str, ...] = ()) -> set[Path]:
    """A file and all files of the package it reaches by imports, without passing through the modules named."""
    known, todo, seen = module_files(), [path], set()
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += [known[name] for name in ours(file) if not name.startswith(but)] if but else [known[name] for name in ours(file)]
            # A module's packages are run before it.
            todo += [known[name] for name in known if name != "revisit" and file.parent in (known[name].parent,) and known[name].name == "__init__.py"]
    return seen


PACKAGES = {"functions_framework": "functions-framework", "pystac_client": "pystac-client"}
"""Top-level names that differ from their package's."""


def packages_of(main_file: Path) -> set[str]:
    """Packages that a function reaches by imports; what its backend and sources bring is pinned with them."""
    files = reached(main_file, but=("revisit.local", "revisit.gcp"))
    return third_party({name for path in files for name in strangers(path)})


def third_party(names: set[str]) -> set[str]:
    """The packages among top-level names."""
    return {PACKAGES.get(name, name) for name in names} - set(sys.stdlib_module_names)
