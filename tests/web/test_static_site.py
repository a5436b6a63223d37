"""The files of the page: no inline code, nothing from other hosts, text only as text."""

import gzip
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from data import skip_or_fail
from figures import figure
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from vendor import LIST, VENDOR, checksums

WEB = Path(__file__).parents[2] / "web"
SCRIPTS = sorted(path for path in WEB.rglob("*.js") if VENDOR not in path.parents)
LATER = ("geotiff", "shpjs", "uplot")
"""Libraries that are loaded on demand."""
FIRST_LOAD_KB = 450


class Tags(HTMLParser):
    """The start tags of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def tags():
    parser = Tags()
    parser.feed((WEB / "index.html").read_text())
    return parser.found


def test_the_page_has_no_inline_script_or_style_and_loads_none_from_other_hosts(tags):
    assert not [tag for tag, attributes in tags if tag == "style" or "style" in attributes]
    assert not [attributes for _, attributes in tags if any(name.startswith("on") for name in attributes)]
    loaded = [
        attributes.get("src") or attributes["href"] for tag, attributes in tags if tag in ("script", "link")
    ]
    assert loaded and all((WEB / name).is_file() for name in loaded)
    assert "://" not in re.sub(r'xmlns="[^"]*"', "", (WEB / "index.html").read_text())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(WEB)))
def test_a_script_neither_parses_text_as_markup_nor_evaluates_it(script):
    text = script.read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function"
        r"|setAttribute\(\"style|srcdoc|(?<!\bol)\.style\.",
        text,
    )
    imports = re.findall(r'(?:from |import\()"([^"]+)"', text)
    assert all(name.startswith(("./", "../")) and (script.parent / name).is_file() for name in imports)
    assert re.findall(r"https?://[^\"' ]+", text) in ([], ["http://www.w3.org/2000/svg"])
    assert all((WEB / name).is_file() for name in re.findall(r'"(vendor/[^"]+)"', text))


def test_every_element_id_in_a_script_is_on_the_page(tags):
    ids = {attributes["id"] for _, attributes in tags if "id" in attributes}
    wanted = {name for script in SCRIPTS for name in re.findall(r'byId\("([^"]+)"\)', script.read_text())}
    assert wanted and wanted <= ids


def test_the_page_is_served_with_media_types_and_nothing_outside_web(tmp_path):
    client = create_app(local_backend(tmp_path)).test_client()
    assert client.get("/").content_type == "text/html; charset=utf-8"
    assert client.get("/app.js").content_type == "text/javascript; charset=utf-8"
    assert client.get("/style.css").content_type == "text/css; charset=utf-8"
    tag = client.get("/app.js").headers["ETag"]
    assert client.get("/app.js", headers={"If-None-Match": tag}).status_code == 304
    for path in ("/../pyproject.toml", "/%2e%2e/pyproject.toml", "/app.py", "/.env", "/web", "/x.js"):
        assert client.get(path).status_code == 404, path


def test_the_first_load_is_small():
    files = [
        path
        for path in WEB.rglob("*")
        if path.is_file() and path.suffix != ".txt" and not path.parent.name.startswith(LATER)
    ]
    size = sum(len(gzip.compress(path.read_bytes(), 9)) for path in files) / 1000
    figure("page, first load", f"{size:.0f} kB gz of {FIRST_LOAD_KB}, every view of it included")
    assert size <= FIRST_LOAD_KB


def test_vendored_libraries_are_unchanged_package_files_with_their_licences():
    assert (VENDOR / LIST).read_text() == checksums(VENDOR)
    wanted = json.loads((WEB.parent / "locks" / "vendor.json").read_text())
    assert {f"{one['package']}-{one['version']}" for one in wanted} == {
        path.name for path in VENDOR.iterdir() if path.is_dir()
    }
    for one in wanted:
        folder = VENDOR / f"{one['package']}-{one['version']}"
        assert {path.name for path in folder.iterdir()} == {
            "LICENSE.txt",
            *(Path(file).name for file in one["files"]),
        }
        assert re.search(r"copyright|permission", (folder / "LICENSE.txt").read_text(), re.IGNORECASE), (
            folder.name
        )


@pytest.mark.parametrize(
    ("api", "page", "path", "requested"),
    [
        ("", "http://127.0.0.1:8787/", "status", "http://127.0.0.1:8787/status"),
        (
            "",
            "http://127.0.0.1:8787/proxy/8787/#token=t",
            "/results/j",
            "http://127.0.0.1:8787/proxy/8787/results/j",
        ),
        (
            "https://api.example/",
            "https://lakes.storage.example/index.html",
            "orders?limit=20",
            "https://api.example/orders?limit=20",
        ),
        (
            "https://api.example/",
            "https://lakes.storage.example/index.html",
            "/results/j/ndvi.tif",
            "https://api.example/results/j/ndvi.tif",
        ),
    ],
)
def test_the_page_calls_its_own_server_or_the_api_of_its_config(api, page, path, requested, tmp_path):
    node = shutil.which("node")
    if node is None:
        skip_or_fail("node")
    (tmp_path / "api.mjs").write_text(
        (WEB / "lib" / "api.js")
        .read_text()
        .replace("../config.js", "./config.mjs")
        .replace("./format.js", "./format.mjs")
    )
    (tmp_path / "format.mjs").write_text((WEB / "lib" / "format.js").read_text())
    (tmp_path / "config.mjs").write_text(
        (WEB / "config.js").read_text().replace('api = ""', f"api = {json.dumps(api)}")
    )
    program = (
        f"globalThis.location = new URL({json.dumps(page)});"
        "globalThis.sessionStorage = { getItem: () => null, setItem: () => null };"
        "globalThis.history = { replaceState: () => null };"
        "const requested = [];"
        "globalThis.fetch = async (url) => { requested.push(url); return { ok: true, json: () => ({}) }; };"
        f"const {{ get }} = await import({json.dumps(str(tmp_path / 'api.mjs'))});"
        f"await get({json.dumps(path)}); console.log(requested.join());"
    )
    done = subprocess.run(
        [str(node), "--input-type=module", "--eval", program], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout.strip()) == (0, requested), done.stderr
