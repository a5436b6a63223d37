"""The API documentation in a browser: operations, search, trials and shell examples."""

import json
import os
import re
import shutil
import subprocess

import pytest

from accessibility import violations
from data import skip_or_fail
from openapi_operations import operations
from page_actions import wait_until
from revisit.api.http import problems


@pytest.fixture
def docs(visit):
    """Opens the page and waits until it is drawn."""

    def opened(size: str = "desk", at: str = ""):
        session = visit(size)
        session.page.goto(f"{session.url}/docs{at}")
        session.page.locator("main details").first.wait_for()
        return session

    return opened


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_the_api_docs_break_no_content_policy_and_no_accessibility_rule(docs, axe, size):
    session = docs(size)
    page = session.page
    page.evaluate(axe)
    page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert session.violations == [] and session.errors == [] and session.dialogs == []


def test_every_operation_is_shown_and_can_be_searched(docs):
    page = docs().page
    drawn = page.locator("main summary").evaluate_all(
        "all => all.map((each) => [...each.children].slice(0, 2).map((part) => part.textContent).join(' '))"
    )
    assert sorted(drawn) == sorted(map(str, operations()))
    page.locator("#search").fill("feeds atom")
    wait_until(page, "() => document.querySelectorAll('main details:not([hidden])').length === 1")
    assert page.locator("main details:not([hidden]) code").first.text_content() == "/feeds/{token}.atom"
    page.locator("#search").fill("no such word")
    assert page.locator("#found").text_content() == f"0 of {len(operations())} operations"


def test_operations_that_read_can_be_tried_on_the_page(docs):
    page = docs(at="#limits").page
    wait_until(page, "() => document.getElementById('limits').open")
    page.locator("#limits button").click()
    wait_until(page, "() => document.querySelector('#limits [role=status]').textContent.startsWith('200')")
    result = page.locator("#limits [role=status]").text_content()
    assert json.loads(result.partition("\n")[2])["subscriptions"] == 10_000


def test_each_problem_type_links_to_its_description(docs):
    page = docs().page
    for _, _, type, title in problems.ERROR_RESPONSES:
        assert title in page.locator(f"#{type}").text_content()


def test_a_shell_example_runs_as_printed(docs):
    if shutil.which("curl") is None:
        skip_or_fail("curl")
    page = docs().page
    page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
    for id in ("health", "limits", "areaExtent"):
        line = page.locator(f"#{id} pre").first.text_content()
        assert re.match(r"curl ", line), line
        done = subprocess.run(
            ["sh", "-c", line],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "TOKEN": "none"},
        )
        assert done.returncode == 0 and json.loads(done.stdout).get("status", "ok") == "ok", done.stdout[:300]
