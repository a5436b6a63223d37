"""Steps and waits in the browser that work under the page's content security policy."""

import time
from typing import Any

from data import shared_data

PATIENCE_S = 60.0
"""How long a step waits for the page, on a slow machine too; passing tests wait only as long as they need."""
SITE = "gfmap_31UES"
"""The site of the archive whose field the tests use."""


def wait_until(page: Any, expression: str, argument: Any = None, patience_s: float = PATIENCE_S) -> Any:
    """Wait until an expression in the page is true; returns its value."""
    end = time.monotonic() + patience_s
    while not (value := page.evaluate(expression, argument)):
        assert time.monotonic() < end, (
            f"{expression} did not become true: {page.locator('#view').inner_text()[:1500]}"
        )
        page.wait_for_timeout(50)
    return value


def read_facts(page: Any, selector: str) -> dict[str, str]:
    """The names and values of a list of facts."""
    expression = """(selector) => [...document.querySelectorAll(`${selector} .facts > div`)].map((fact) =>
      [...fact.children].map((child) => child.textContent))"""
    return dict(page.evaluate(expression, selector))


def read_rows(page: Any, selector: str) -> list[list[str]]:
    """The texts of the cells of table rows."""
    expression = """(selector) => [...document.querySelectorAll(selector)].map((row) =>
      [...row.children].map((cell) => cell.textContent))"""
    return page.evaluate(expression, selector)


def open_with_site_field(visit: Any, link: str, heading: str) -> Any:
    """Open the site's field as the area, and follow a link of its card."""
    page = visit.open("place")
    page.locator("input[type=file]").set_input_files(str(shared_data("archive", "aoi", f"{SITE}.geojson")))
    page.locator(f"#view a[href='{link}']").click()
    page.locator("#view h1", has_text=heading).wait_for()
    return page
