"""The page as a whole, in a browser: policy, accessibility, weight."""

import gzip

import pytest

from figures import figure
from page_actions import wait_until

VIEWS = ("place", "place?at=51.311,4.264", "search", "order", "watch", "watch/new", "status")
FIRST_LOAD_KB, IDLE_MS = 450, 1500
SEEN: list[str] = []
"""Pages checked so far, of all sizes and colour schemes."""


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_no_view_breaks_the_content_policy_or_an_accessibility_rule(visit, axe, size):
    session = visit(size)
    page = session.page
    page.add_init_script(axe)

    def judge(what: str) -> None:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
            assert [(one["id"], [node["html"][:160] for node in one["nodes"]]) for one in found] == [], (
                what,
                scheme,
            )
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), what
        SEEN.append(what)

    for view in VIEWS:
        session.open(view)
        wait_until(page, "() => !document.querySelector('#view [aria-busy]')")
        if view == "search":
            page.locator(".found > li > button").first.click()
            wait_until(page, "() => !document.querySelector('#view [aria-busy]')")
            page.locator(".months summary").click()
        judge(view)
    page.evaluate("import('./lib/sign_in.js').then(({ account }) => account.open())")
    page.locator("dialog[open]").wait_for()
    judge("signing in")
    page.keyboard.press("Escape")
    session.open("place?at=nowhere%20at%20all")
    page.locator(".trouble").wait_for()
    judge("an error")
    assert session.violations == [] and session.errors == []
    figure(
        "page, in a browser",
        f"{len(SEEN)} pages, each light and dark, of two sizes so far: 0 violations of the policy, 0 of axe",
    )


def test_the_first_load_is_small_and_soon_idle(visit):
    session = visit()
    answers = []
    session.page.on("response", lambda answer: answers.append(answer))
    session.open()
    wait_until(session.page, "() => new Promise((done) => requestIdleCallback(() => done(true)))")
    idle = session.page.evaluate("performance.now()")
    loaded = session.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    session.page.wait_for_load_state("networkidle")
    size = sum(len(gzip.compress(one.body(), 9)) for one in answers if one.ok) / 1000
    figure(
        "page, first load in a browser",
        f"{size:.0f} kB gz of {FIRST_LOAD_KB}, first paint {loaded:.0f} ms, "
        f"idle after {idle:.0f} ms of {IDLE_MS}",
    )
    assert size <= FIRST_LOAD_KB
