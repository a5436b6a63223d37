"""The architecture: folders import downward, without cycles; functions, events and pins agree."""

import ast
import re
from graphlib import TopologicalSorter

import pytest

from import_graph import (
    PORT_MODULES,
    ROOT,
    SHARED,
    external_imports,
    imports_of,
    module_files,
    packages,
    packages_of,
    revisit_imports,
)
from revisit.domain.events import EVENTS
from revisit.ports.topology import PIXEL_FUNCTIONS, PORTS, SCHEDULED_TOPICS, TRIGGER_TOPICS

MAY_IMPORT: dict[str, set[str]] = {
    "": {"domain", "ports"},
    "geo": {""},
    "net": {"", "domain"},
    "domain": {"", "geo"},
    "pixels": {"", "geo", "net", "domain"},
    "ports": {"", "geo", "domain"},
    "delivery": {"", "domain", "net"},
    "adapters": {"", "geo", "net", "domain", "ports"},
    "presenters": {"domain", "pixels", "ports"},
    "stac": {"", "geo", "domain", "pixels", "ports", "presenters"},
    "chain": {"", "domain", "ports", "delivery"},
    "services": {"", "geo", "domain", "pixels", "ports", "delivery", "presenters", "chain"},
    "api": {"", "geo", "domain", "pixels", "ports", "delivery", "presenters", "stac", "services"},
    "embedded": {"", "domain", "ports", "adapters", "api"},
    "demo": {"", "domain", "pixels", "ports", "adapters", "chain", "services", "embedded"},
    "cli": {
        "",
        "geo",
        "net",
        "domain",
        "ports",
        "adapters",
        "delivery",
        "presenters",
        "chain",
        "services",
        "embedded",
        "demo",
    },
}
"""Folder of the package -> folders that its modules may import; "" is the package's own folder."""

BY_NAME = {("revisit.runtime", "adapters"), ("revisit.__main__", "cli")}
"""The composition root makes the backend that the environment names; both import on first use."""

FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py"))


def folder_of(module: str) -> str:
    """The first folder below the package that a module lies in; "" for the package's own."""
    parts = module_files()[module].relative_to(SHARED / "revisit").parts
    return parts[0] if len(parts) > 1 else ""


def test_every_folder_has_its_row():
    assert {folder_of(module) for module in module_files()} == set(MAY_IMPORT)


def test_a_folder_imports_only_the_folders_of_its_row():
    upward = [
        f"{module} -> {imported}"
        for module, path in module_files().items()
        for imported in revisit_imports(path)
        if (target := folder_of(imported)) not in MAY_IMPORT[folder_of(module)] | {folder_of(module)}
        and (module, target) not in BY_NAME
    ]
    assert not upward


def test_no_two_modules_import_each_other():
    graph = {
        module: {
            name for name in revisit_imports(path) if name != module and not _is_package_of(name, module)
        }
        for module, path in module_files().items()
    }
    assert list(TopologicalSorter(graph).static_order())


def _is_package_of(package: str, module: str) -> bool:
    """Whether `package` is one that is imported because `module` lies in it."""
    return module.startswith(f"{package}.")


@pytest.mark.parametrize(
    ("package", "folders"),
    [
        ("rasterio", {"pixels/raster"}),
        ("google", {"adapters/gcp"}),
        ("apsw", {"adapters/local"}),
        ("duckdb", {"adapters/local"}),
        ("sqlite3", set()),
        ("flask", {"api", "runtime"}),
        ("functions_framework", {"runtime", "embedded"}),
        ("httpx", {"net", "delivery"}),
        ("httpcore", {"net"}),
        ("tenacity", {"net"}),
        ("typer", {"cli"}),
        ("rich", {"cli"}),
    ],
)
def test_each_client_library_is_imported_in_its_folders_only(package, folders):
    importers = {
        module.removeprefix("revisit.").replace(".", "/")
        for module, path in module_files().items()
        if package in external_imports(path)
    }
    assert not [module for module in importers if not module.startswith(tuple(folders))]


def test_the_domain_needs_no_client_no_file_and_no_clock():
    banned = {
        "os",
        "io",
        "socket",
        "sqlite3",
        "requests",
        "httpx",
        "rasterio",
        "duckdb",
        "apsw",
        "flask",
        "google",
        "logging",
        "time",
    }
    modules = [
        (module, path) for module, path in module_files().items() if folder_of(module) in {"domain", "geo"}
    ]
    assert not [
        (module, external_imports(path) & banned)
        for module, path in modules
        if external_imports(path) & banned
    ]


def test_the_clock_is_read_in_one_place():
    reading = re.compile(r"datetime\.(now|utcnow|today)\(|date\.today\(|time\.time\(")
    readers = [module for module, path in module_files().items() if reading.search(path.read_text())]
    assert readers == ["revisit.domain.clock"]


def test_rasters_are_opened_in_one_module_and_always_with_a_driver():
    files = [*module_files().values(), *(ROOT / "functions").glob("*/main.py")]
    careless = [
        f"{path.name}:{call.lineno}"
        for path in files
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) == "rasterio.open"
        and not any(keyword.arg == "driver" for keyword in call.keywords)
    ]
    assert not careless


def test_folders_are_the_functions_that_events_reach():
    assert set(FUNCTIONS) - {"api"} == set(TRIGGER_TOPICS) | set(SCHEDULED_TOPICS)
    assert set(PIXEL_FUNCTIONS) <= set(FUNCTIONS)
    assert set(PORTS) == set(FUNCTIONS)
    assert {port for ports in PORTS.values() for port in ports} == set(PORT_MODULES)


def test_every_topic_has_a_subscriber_and_every_subscriber_a_topic():
    assert set(TRIGGER_TOPICS.values()) | set(SCHEDULED_TOPICS.values()) == set(EVENTS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_one_file_with_one_entry_point_named_like_its_folder(function):
    folder = ROOT / "functions" / function
    assert {path.name for path in folder.iterdir() if path.name != "__pycache__"} == {
        "main.py",
        "requirements.txt",
    }
    tree = ast.parse((folder / "main.py").read_text())
    entries = {
        node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list
    }
    assert set(entries) == {function}
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"api"}))
def test_a_function_hears_the_events_that_are_wired_to_it(function):
    tree = ast.parse((ROOT / "functions" / function / "main.py").read_text())
    decorator = next(
        node.decorator_list[0]
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    )
    heard = {
        next(topic for topic, event in EVENTS.items() if event.__name__ == ast.unparse(argument))
        for argument in decorator.args
    }
    assert heard == {table[function] for table in (TRIGGER_TOPICS, SCHEDULED_TOPICS) if function in table}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_imports_no_other_function_and_no_home(function):
    imported = imports_of(ROOT / "functions" / function / "main.py")
    assert not {name for name in imported if name == "main" or name.partition(".")[0] == "functions"}
    assert not [name for name in imported if re.match(r"revisit\.(embedded|cli|demo|adapters)\b", name)]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_pins_exactly_what_it_imports(function):
    folder = ROOT / "functions" / function
    needed = packages_of(folder / "main.py")
    text = (folder / "requirements.txt").read_text()
    pinned = set(re.findall(r"^([a-z0-9][\w.-]*)==", text, re.MULTILINE))
    asked = {name for name, reasons in _reasons(text).items() if "revisit" in reasons}
    assert needed <= pinned, "run make lock"
    assert asked == needed, "run make lock"
    assert all(
        "--hash=sha256:" in block for block in re.split(r"\n(?=[a-z0-9])", text.strip()) if "==" in block
    )
    assert "http://" not in text and "https://" not in text


def _reasons(text: str) -> dict[str, str]:
    """What each pin is there for, from the comments below it."""
    blocks = re.split(r"\n(?=[a-z0-9][\w.-]*==)", "\n" + text)
    return {match[1]: block for block in blocks if (match := re.match(r"\n?([a-z0-9][\w.-]*)==", block))}


@pytest.mark.parametrize("function", ["refresh", "notify", "deliver", "api"])
def test_a_function_without_pixels_needs_no_gdal(function):
    assert "rasterio" not in (ROOT / "functions" / function / "requirements.txt").read_text()


@pytest.mark.parametrize(
    ("function", "never"),
    [
        ("notify", ("google-cloud-bigquery", "google-cloud-storage", "pyarrow")),
        (
            "deliver",
            (
                "antimeridian",
                "google-cloud-bigquery",
                "google-cloud-storage",
                "numpy",
                "pyarrow",
                "pyproj",
                "shapely",
            ),
        ),
        ("extract", ("google-cloud-bigquery", "pyarrow")),
        ("index", ("google-cloud-bigquery", "httpx", "pyarrow")),
        *((function, ("apsw", "duckdb", "rich", "typer", "waitress")) for function in FUNCTIONS),
    ],
)
def test_a_function_pins_no_client_of_a_port_it_does_not_use(function, never):
    pinned = re.findall(
        r"^([a-z0-9][\w.-]*)==",
        (ROOT / "functions" / function / "requirements.txt").read_text(),
        re.MULTILINE,
    )
    assert not set(never) & set(pinned)


def test_the_suite_pins_exactly_what_it_imports():
    imported = packages([*module_files().values(), *(ROOT / "functions").glob("*/main.py")])
    asked = {
        re.split(r"[<>=\[]", line)[0]
        for line in (ROOT / "locks" / "runtime.in").read_text().splitlines()
        if line[0] != "#"
    }
    assert imported == asked


def test_no_pin_names_a_registry():
    for path in [*(ROOT / "locks").iterdir(), *(ROOT / "functions").glob("*/requirements.txt")]:
        assert not re.search(r"https?://|index[-]url", path.read_text()), path


def test_only_the_runtime_catches_every_exception():
    """errors.py: elsewhere a caught error is translated, recorded, or skips one of many."""
    broad = {"Exception", "BaseException"}
    places = set()
    for path in [*SHARED.rglob("*.py"), *(ROOT / "functions").glob("*/main.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.ExceptHandler(type=None):
                    caught = broad
                case ast.ExceptHandler(type=kinds):
                    caught = {ast.unparse(kind) for kind in getattr(kinds, "elts", [kinds])}
                case ast.Call(func=function, args=kinds) if ast.unparse(function).endswith("suppress"):
                    caught = {ast.unparse(kind) for kind in kinds}
                case _:
                    continue
            if caught & broad:
                places.add(path.relative_to(ROOT).as_posix())
    assert places == {"shared/revisit/runtime.py"}
