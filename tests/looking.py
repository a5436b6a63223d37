"""Waiting for what a page shows. Playwright's own wait_for_function runs text as script, which the page's policy forbids."""

import time
from typing import Any

PATIENCE_S = 10.0


def until(page: Any, expression: str, argument: Any = None, patience_s: float = PATIENCE_S) -> Any:
    """Wait until an expression of the page's script holds; returns its value."""
    end = time.monotonic() + patience_s
    while not (value := page.evaluate(expression, argument)):
        assert time.monotonic() < end, f"{expression} does not come to hold: {page.locator('#view').inner_text()[:1500]}"
        page.wait_for_timeout(50)
    return value
