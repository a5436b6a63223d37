"""Waiting for what a page shows. Playwright's own wait_for_function runs text as script, which the page's
policy forbids."""

import time
from typing import Any

from data import shared_data

PATIENCE_S = 10.0
SITE = "gfmap_31UES"
"""Of the archive: whose field is looked at."""


def wait_until(page: Any, expression: str, argument: Any = None, patience_s: float = PATIENCE_S) -> Any:
    """Wait until an expression of the page's script holds; returns its value."""
    end = time.monotonic() + patience_s
    while not (value := page.evaluate(expression, argument)):
        assert time.monotonic() < end, (
            f"{expression} does not come to hold: {page.locator('#view').inner_text()[:1500]}"
        )
        page.wait_for_timeout(50)
    return value


def open_with_site_field(visit: Any, link: str, heading: str) -> Any:
    """What a link of the place leads to, with the site's field as the place."""
    page = visit.open("place")
    page.locator("input[type=file]").set_input_files(str(shared_data("archive", "aoi", f"{SITE}.geojson")))
    page.locator(f"#view a[href='{link}']").click()
    page.locator("#view h1", has_text=heading).wait_for()
    return page
