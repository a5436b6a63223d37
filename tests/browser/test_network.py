"""The page with a failing or slow network, without sign-in, and from a bucket that sends no policy."""

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from page_actions import wait_until
from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from revisit.embedded.http_server import HttpServer

WEB = Path(__file__).parents[2] / "web"
HOSTILE = '<img src=x onerror=alert(1)>"><script>alert(2)</script>'


def test_nothing_is_lost_offline_and_the_page_continues_once_online(visit):
    session = visit()
    page = session.open("place?at=51.3,4.2")
    page.locator(".card .facts").wait_for()
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    page.locator("#notice", has_text="No network").wait_for()
    page.get_by_role("link", name="Search here").click()
    page.locator(".trouble", has_text="no network").wait_for()
    page.context.set_offline(False)
    page.locator(".conditions").wait_for()
    wait_until(page, "() => document.querySelector('.found, .empty li') !== null")
    assert (
        "your area" in page.locator(".hint-line").inner_text() and page.locator("#notice").inner_text() == ""
    )


def test_an_unreachable_server_is_reported_and_can_be_retried(visit):
    page = visit().open("place")
    page.route("**/aoi", lambda route: route.abort())
    page.get_by_label("Tile, coordinates or country").fill("51.3, 4.2")
    page.keyboard.press("Enter")
    page.locator(".card .trouble", has_text="does not answer").wait_for()
    page.unroute("**/aoi")
    page.locator(".card").get_by_role("button", name="Try again").click()
    page.locator(".card .facts").wait_for()


def test_the_page_says_that_it_waits_for_a_slow_server(visit):
    page = visit().open("place")
    page.wait_for_load_state("networkidle")
    network = page.context.new_cdp_session(page)
    network.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 4000, "downloadThroughput": -1, "uploadThroughput": -1},
    )
    page.get_by_label("Tile, coordinates or country").fill("51.3, 4.2")
    page.keyboard.press("Enter")
    assert "checking" in page.locator(".card").inner_text()
    before = page.locator("#where").bounding_box()
    page.locator("#notice", has_text="Still waiting").wait_for()
    assert page.locator("#where").bounding_box() == before
    page.locator(".card .facts").wait_for()
    wait_until(page, "() => document.getElementById('notice').textContent === ''")


def test_views_without_a_map_open_where_the_map_library_fails_to_load(visit):
    session = visit()
    page = session.page
    page.route("**/ol.js", lambda route: route.abort())
    for view in ("place", "search"):
        page.goto(f"{session.url}/#{view}")
        page.reload()
        page.locator(".trouble").wait_for()
        page.get_by_role("navigation").get_by_role("link", name="Status").click()
        page.locator("#view h1", has_text="Status").wait_for()


def test_user_input_is_only_shown_as_text(visit):
    session = visit()
    page = session.open("place")
    field = {
        "type": "Feature",
        "properties": {"name": HOSTILE},
        "geometry": {"type": "Polygon", "coordinates": [[[4, 51], [4.1, 51], [4.1, 51.1], [4, 51]]]},
    }
    page.locator("input[type=file]").set_input_files(
        {"name": f"{HOSTILE}.geojson", "mimeType": "application/json", "buffer": json.dumps(field).encode()}
    )
    page.locator(".card h2", has_text="<img src=x").wait_for()
    page.get_by_label("Tile, coordinates or country").fill(f"at {HOSTILE}")
    page.keyboard.press("Enter")
    page.locator(".said .trouble", has_text="<img src=x").wait_for()

    def hostile_answer(route) -> None:
        answer = route.fetch()
        found = answer.json()
        for item in found["features"][:1]:
            item["id"] = HOSTILE
            item["properties"] |= {"platform": HOSTILE, "grid:code": HOSTILE, "title": HOSTILE}
            item["assets"] = {
                HOSTILE: {"href": "javascript:alert(3)", "title": HOSTILE},
                "B04": {"href": "https://files.example/B04.jp2", "title": HOSTILE, "type": "image/jp2"},
            }
        route.fulfill(response=answer, json=found)

    page.route("**/stac/search", hostile_answer)
    page.route(
        "**/stac/collections/**",
        lambda route: route.fulfill(
            status=502, content_type="application/problem+json", json={"detail": HOSTILE}
        ),
    )
    page.goto(f"{session.url}/#search")
    page.get_by_role("link", name="Choose a place").or_(
        page.get_by_role("link", name="Change the place")
    ).wait_for()
    page.evaluate("localStorage.removeItem('revisit.aoi')")
    page.reload()
    page.locator(".found > li > button").first.click()
    page.locator(".found .inside .id", has_text="<img src=x").wait_for()
    page.locator(".found .trouble", has_text="<img src=x").wait_for()
    page.route(
        "**/status",
        lambda route: route.fulfill(
            status=500, content_type="application/problem+json", json={"detail": HOSTILE}
        ),
    )
    page.goto(f"{session.url}/#status")
    page.locator("#view .trouble", has_text="<img src=x").wait_for()
    assert session.dialogs == [] and session.violations == []
    assert page.locator("#view img, #view script").count() == 0


@pytest.fixture
def protected_server(tmp_path) -> Iterator[Callable[[str], str]]:
    """A function that starts a server with a token, a given config.js and one password that it exchanges."""
    servers = []

    def start(config: str) -> str:
        app = create_app(local_backend(tmp_path), token="good")

        def answer(environ, start_response):
            path = environ["PATH_INFO"]
            if path == "/config.js":
                start_response("200 OK", [("Content-Type", "text/javascript")])
                return [config.encode()]
            if path == "/v1/accounts:signInWithPassword":
                given = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
                good = given == {
                    "email": "ann@lakes.example",
                    "password": "secret",
                    "returnSecureToken": True,
                }
                start_response(
                    "200 OK" if good else "400 Bad Request", [("Content-Type", "application/json")]
                )
                return [
                    json.dumps(
                        {"idToken": "good"} if good else {"error": {"message": "INVALID_LOGIN_CREDENTIALS"}}
                    ).encode()
                ]
            return app(environ, start_response)

        server = HttpServer(answer, port=0)
        servers.append(server)
        server.start()
        return server.url

    yield start
    for server in servers:
        server.close()


def test_a_token_is_requested_kept_for_the_tab_and_removed_at_sign_out(visit, protected_server):
    session = visit(url=protected_server((WEB / "config.js").read_text()))
    page = session.open("place?at=51.3,4.2")
    page.locator("#notice", has_text="Sign in to continue").wait_for()
    page.get_by_role("banner").get_by_role("button", name="Sign in").click()
    page.get_by_label("Token or API key").fill("good")
    page.get_by_role("button", name="Use it").click()
    page.locator(".card .facts").wait_for()
    page.evaluate("sessionStorage.clear()")
    session.open("status")
    page.locator("#view").get_by_role("button", name="Sign in").click()
    page.get_by_label("Token or API key").fill("bad")
    page.get_by_role("button", name="Use it").click()
    page.locator("#view .trouble").wait_for()
    page.locator("#view").get_by_role("button", name="Sign in").click()
    page.get_by_label("Token or API key").fill("good")
    page.keyboard.press("Enter")
    page.locator("#view h1", has_text="Status").wait_for()
    page.locator(".figures-row").wait_for()
    page.reload()
    page.locator(".figures-row").wait_for()
    assert "good" not in page.evaluate("JSON.stringify(localStorage)") and "good" not in page.url
    page.get_by_role("button", name="Sign out").click()
    page.locator("#view h1", has_text="Choose a place").wait_for()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_late_401_for_an_earlier_token_keeps_the_current_one(visit, protected_server):
    session = visit(url=protected_server((WEB / "config.js").read_text()))
    page = session.open("place")
    held_requests: list = []
    page.route("**/status", lambda route: held_requests.append(route))
    page.evaluate("""async () => {
      sessionStorage.setItem("token", "over");
      window.late = import("./lib/api.js").then(({ get }) => get("status")).catch((error) => error.status);
    }""")
    while not held_requests:
        page.wait_for_timeout(20)
    page.evaluate("sessionStorage.setItem('token', 'good')")
    held_requests[0].continue_()
    assert page.evaluate("window.late") == 401
    assert page.evaluate("sessionStorage.getItem('token')") == "good"
    # A 401 for the current token removes it.
    page.unroute("**/status")
    page.evaluate("sessionStorage.setItem('token', 'over')")
    assert (
        page.evaluate(
            "import('./lib/api.js').then(({ get }) => get('status')).catch((error) => error.status)"
        )
        == 401
    )
    assert page.evaluate("sessionStorage.getItem('token')") is None


def test_an_e_mail_address_and_a_password_are_exchanged_for_a_token(visit, protected_server):
    session = visit(
        url=protected_server(
            'export const api = "";\n'
            'export const signIn = "/v1/accounts:signInWithPassword?key=k";\n'
            "export const files = [];\n"
        )
    )
    page = session.open("status")
    page.get_by_role("banner").get_by_role("button", name="Sign in").click()
    page.get_by_label("E-mail").fill("ann@lakes.example")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    page.locator("dialog .wrong", has_text="do not match").wait_for()
    page.get_by_label("Password").fill("secret")
    page.keyboard.press("Enter")
    page.locator(".figures-row").wait_for()
    assert session.violations == []


class Bucket(SimpleHTTPRequestHandler):
    """Static files without extra headers."""

    def do_GET(self) -> None:
        if self.path == "/config.js":
            body = (
                b'export const api = "https://api.example/";\n'
                b'export const signIn = "https://identity.example/x";\n'
                b'export const files = ["https://files.example"];\n'
            )
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            super().do_GET()

    def log_message(self, *arguments) -> None:
        """Log nothing."""


def test_a_page_from_a_bucket_requests_only_the_hosts_of_its_config(visit):
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Bucket, directory=WEB)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        session = visit(url=f"http://127.0.0.1:{server.server_address[1]}")
        page = session.open("place")
        page.get_by_label("Tile, coordinates or country").fill("Belgium")
        page.keyboard.press("Enter")
        page.locator(".card .trouble", has_text="does not answer").wait_for()
        assert session.violations == []
        page.evaluate("""async () => {
          for (const url of ["https://api.example/x", "https://files.example/x", "https://identity.example/x",
          "https://elsewhere.example/x"]) await fetch(url).catch(() => null);
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.head.append(script);
        }""")
        wait_until(page, "() => window.violations.length >= 2")
        assert page.evaluate("window.ran") is None
        assert sorted(page.evaluate("window.violations")) == [
            "connect-src: https://elsewhere.example/x",
            "script-src-elem: inline",
        ]
        server.shutdown()
