"""The house keeps its shape: imports run one way, and folders, events and requirements agree."""

import ast
import re

import pytest

from imports import ANSWERS, ROOT, imports_of, module_files, ours, packages, packages_of, strangers
from revisit.events import EVENTS
from revisit.wiring import HEARS, PORTS, RASTER, TICKS

FLOORS: list[tuple[str, set[str]]] = [
    ("words", {"errors", "ids", "clock", "bands", "product", "recipe", "tile", "tile_list", "geojson", "wkt", "footprint", "edges", "polygon", "polygon_store", "aoi", "subscription", "order", "job", "alert",
               "delivery", "series", "passes", "events", "api_key", "usage", "audit", "wire", "matching", "condition", "place"}),
    ("ports", {"ports", "backend", "assets", "holder", "sign_in", "bookkeeping", "records", "durable", "paging", "wiring", "catalog_schema", "catalog_query",
               "signing_key"}),
    ("adapters", {"local", "gcp", "sources"}),
    ("pixels and edge", {"grid", "estimate", "calendar", "raster", "indices", "masks", "statistics", "item", "product_item", "cql", "webhook", "posting", "channel_file", "addresses", "feed"}),
    ("steps", {"jobs", "refreshing", "delivering", "sweeping", "commands"}),
    ("entrances", {"runtime", "api"}),
    ("homes", {"embedded", "demo", "cli", "__main__"}),
]
"""From the ground up; a module may import from its own floor and those below."""

LOOKS_UP = {("runtime", "local"), ("runtime", "gcp")}
"""Made on first use, by name: the runtime makes the backend that the environment names."""

FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py"))


def floor_of(module: str) -> int:
    """The floor of a module, by the first name below the package."""
    name = module.split(".")[1]
    return next(number for number, (_, names) in enumerate(FLOORS) if name in names)


def test_every_module_stands_on_a_floor():
    homeless = [module for module in module_files() if module != "revisit"
                and not any(module.split(".")[1] in names for _, names in FLOORS)]
    assert not homeless


def test_imports_run_downward_only():
    upward = [f"{module} -> {imported}" for module, path in module_files().items() if module != "revisit" for imported in ours(path)
              if floor_of(imported) > floor_of(module)]
    assert not upward


@pytest.mark.parametrize(("package", "rooms"), [
    ("rasterio", {"raster"}),
    ("google", {"gcp"}),
    ("apsw", {"local"}),
    ("duckdb", {"local"}),
    ("sqlite3", set()),
    ("flask", {"api", "runtime"}),
    ("functions_framework", {"runtime", "embedded"}),
    ("httpx", {"webhook", "sources"}),
    ("typer", {"cli"}),
    ("rich", {"cli"}),
])
def test_each_client_library_is_imported_in_one_room_only(package, rooms):
    importers = {module.split(".")[1] for module, path in module_files().items() if module != "revisit" and package in strangers(path)}
    assert importers <= rooms


def test_the_words_need_no_client_no_file_and_no_clock():
    banned = {"os", "io", "socket", "sqlite3", "requests", "httpx", "rasterio", "duckdb", "apsw", "flask", "google", "logging", "time"}
    words = [(module, path) for module, path in module_files().items() if module != "revisit" and floor_of(module) == 0]
    assert not [(module, strangers(path) & banned) for module, path in words if strangers(path) & banned]


def test_the_clock_is_read_in_one_place():
    reading = re.compile(r"datetime\.(now|utcnow|today)\(|date\.today\(|time\.time\(")
    readers = [module for module, path in module_files().items() if reading.search(path.read_text())]
    assert readers == ["revisit.clock"]


def test_rasters_are_opened_in_one_module_and_always_with_a_driver():
    files = [*module_files().values(), *(ROOT / "functions").glob("*/main.py")]
    careless = [f"{path.name}:{call.lineno}" for path in files for call in ast.walk(ast.parse(path.read_text()))
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "rasterio.open"
                and not any(keyword.arg == "driver" for keyword in call.keywords)]
    assert not careless


def test_folders_are_the_functions_that_events_reach():
    assert set(FUNCTIONS) - {"api"} == set(HEARS) | set(TICKS)
    assert set(RASTER) <= set(FUNCTIONS)
    assert set(PORTS) == set(FUNCTIONS)
    assert {port for ports in PORTS.values() for port in ports} == set(ANSWERS)


def test_every_topic_has_a_hearer_and_every_hearer_a_topic():
    assert set(HEARS.values()) | set(TICKS.values()) == set(EVENTS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_one_file_with_one_entry_point_named_like_its_folder(function):
    folder = ROOT / "functions" / function
    assert {path.name for path in folder.iterdir() if path.name != "__pycache__"} == {"main.py", "requirements.txt"}
    tree = ast.parse((folder / "main.py").read_text())
    entries = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list}
    assert set(entries) == {function}
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"api"}))
def test_a_function_hears_the_events_that_are_wired_to_it(function):
    tree = ast.parse((ROOT / "functions" / function / "main.py").read_text())
    decorator = next(node.decorator_list[0] for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list)
    heard = {next(topic for topic, event in EVENTS.items() if event.__name__ == ast.unparse(argument)) for argument in decorator.args}
    assert heard == {table[function] for table in (HEARS, TICKS) if function in table}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_imports_no_other_function_and_no_home(function):
    imported = imports_of(ROOT / "functions" / function / "main.py")
    assert not {name for name in imported if name == "main" or name.partition(".")[0] == "functions"}
    assert not [name for name in imported if re.match(r"revisit\.(embedded|cli|demo|local|gcp)\b", name)]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_pins_exactly_what_it_imports(function):
    folder = ROOT / "functions" / function
    needed = packages_of(folder / "main.py")
    text = (folder / "requirements.txt").read_text()
    pinned = set(re.findall(r"^([a-z0-9][\w.-]*)==", text, re.MULTILINE))
    asked = {name for name, reasons in _reasons(text).items() if "revisit" in reasons}
    assert needed <= pinned, "run make lock"
    assert asked == needed, "run make lock"
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=[a-z0-9])", text.strip()) if "==" in block)
    assert "http://" not in text and "https://" not in text


def _reasons(text: str) -> dict[str, str]:
    """What each pin is there for, from the comments below it."""
    blocks = re.split(r"\n(?=[a-z0-9][\w.-]*==)", "\n" + text)
    return {match[1]: block for block in blocks if (match := re.match(r"\n?([a-z0-9][\w.-]*)==", block))}


@pytest.mark.parametrize("function", ["refresh", "notify", "deliver", "api"])
def test_a_function_without_pixels_needs_no_gdal(function):
    assert "rasterio" not in (ROOT / "functions" / function / "requirements.txt").read_text()


@pytest.mark.parametrize(("function", "never"), [
    ("notify", ("google-cloud-bigquery", "google-cloud-storage", "pyarrow")),
    ("deliver", ("antimeridian", "google-cloud-bigquery", "google-cloud-storage", "numpy", "pyarrow", "pyproj", "shapely")),
    ("extract", ("google-cloud-bigquery", "pyarrow")),
    ("index", ("google-cloud-bigquery", "httpx", "pyarrow")),
    *((function, ("apsw", "duckdb", "rich", "typer", "waitress")) for function in FUNCTIONS),
])
def test_a_function_pins_no_client_of_a_port_it_does_not_use(function, never):
    pinned = re.findall(r"^([a-z0-9][\w.-]*)==", (ROOT / "functions" / function / "requirements.txt").read_text(), re.MULTILINE)
    assert not set(never) & set(pinned)


def test_the_suite_pins_exactly_what_it_imports():
    imported = packages([*module_files().values(), *(ROOT / "functions").glob("*/main.py")])
    asked = {re.split(r"[<>=\[]", line)[0] for line in (ROOT / "locks" / "runtime.in").read_text().splitlines() if line[0] != "#"}
    assert imported == asked


def test_no_pin_names_a_registry():
    for path in [*(ROOT / "locks").iterdir(), *(ROOT / "functions").glob("*/requirements.txt")]:
        assert not re.search(r"https?://|index[-]url", path.read_text()), path
