"""The embedded server over the real archive, and one browser."""

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

import accessibility
from data import shared_data, skip_or_fail
from page_actions import PATIENCE_S
from revisit.adapters.local.backend import local_backend
from revisit.chain.refresh import refresh_source
from revisit.embedded.server import EmbeddedServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZES = {"desk": (1280, 800), "phone": (360, 740)}
RECORD_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""


@pytest.fixture(scope="session")
def suite(tmp_path_factory) -> Iterator[EmbeddedServer]:
    """The server, its catalog filled from the archive."""
    data, spec = tmp_path_factory.mktemp("suite"), f"folder:{shared_data('archive')}"
    backend = local_backend(data, (spec,))
    refresh_source(backend, spec)
    with EmbeddedServer(data, (spec,), port=0, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Chromium of the system."""
    found = shutil.which("chromium")
    if found is None:
        skip_or_fail("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield started
        started.close()


class PageVisit:
    """A page of the browser, with its dialogs and errors."""

    def __init__(self, page: "Page", url: str) -> None:
        self.page, self.url = page, url
        self.dialogs: list[str] = []
        self.errors: list[str] = []
        page.on("dialog", self._dialog)
        # The page itself reports an error answer of the server.
        page.on(
            "console",
            lambda message: (
                self.errors.append(message.text)
                if message.type == "error" and "Failed to load resource" not in message.text
                else None
            ),
        )
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _dialog(self, dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def open(self, view: str = "") -> "Page":
        """Open a view and wait for its heading."""
        self.page.goto(f"{self.url}/#{view}")
        self.page.locator("#view h1").wait_for()
        return self.page

    @property
    def violations(self) -> list[str]:
        """Violations of the content security policy."""
        return self.page.evaluate("window.violations") + [
            text for text in self.errors if "Content Security Policy" in text
        ]


@pytest.fixture(scope="module")
def contexts(browser) -> "Callable[..., BrowserContext]":
    """Browser contexts by size, colour scheme and touch, each created once, so that compiled scripts stay
    cached."""
    created: dict[tuple, Any] = {}

    def of(size: str, scheme: str, touch: bool) -> "BrowserContext":
        if (size, scheme, touch) not in created:
            width, height = SIZES[size]
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                has_touch=touch,
                reduced_motion="reduce",
            )
            context.set_default_timeout(PATIENCE_S * 1000)
            context.add_init_script(RECORD_VIOLATIONS)
            created[size, scheme, touch] = context
        return created[size, scheme, touch]

    return of


@pytest.fixture
def visit(suite, contexts) -> Iterator[Callable[..., PageVisit]]:
    """Opens a page with empty storage."""
    pages = []

    def make(size: str = "desk", scheme: str = "light", touch: bool = False, url: str = "") -> PageVisit:
        pages.append(contexts(size, scheme, touch).new_page())
        return PageVisit(pages[-1], url or suite.url)

    yield make
    for page in pages:
        page.context.set_offline(False)
        page.unroute_all(behavior="ignoreErrors")
        if page.url.startswith("http"):
            page.evaluate("localStorage.clear()")
        page.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The accessibility checker axe, as a script."""
    return accessibility.script()
