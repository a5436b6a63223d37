"""The page as a whole, in a browser: policy, accessibility, weight."""

import gzip

import pytest

from figures import figure
from page_actions import wait_until

VIEWS = ("place", "place?at=51.311,4.264", "search", "order", "watch", "watch/new", "status")
FIRST_LOAD_KB, IDLE_MS = 450, 1500
SEEN: list[str] = []
"""Pages judged so far, of all sizes and colours."""


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_no_view_breaks_the_policy_or_a_rule_of_accessibility(visit, axe, size):
    made = visit(size)
    page = made.page
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
        made.open(view)
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
    made.open("place?at=nowhere%20at%20all")
    page.locator(".trouble").wait_for()
    judge("an error")
    assert made.violations == [] and made.errors == []
    figure(
        "page, in a browser",
        f"{len(SEEN)} pages, each light and dark, of two sizes so far: 0 violations of the policy, 0 of axe",
    )


def test_the_first_load_is_small_and_soon_idle(visit):
    made = visit()
    answers = []
    made.page.on("response", lambda answer: answers.append(answer))
    made.open()
    wait_until(made.page, "() => new Promise((done) => requestIdleCallback(() => done(true)))")
    idle = made.page.evaluate("performance.now()")
    loaded = made.page.evaluate(
        "performance.getEntriesByType('paint').find((one) => one.name === 'first-contentful-paint')?.startTime"
    )
    made.page.wait_for_load_state("networkidle")
    size = sum(len(gzip.compress(one.body(), 9)) for one in answers if one.ok) / 1000
    figure(
        "page, first load in a browser",
        f"{size:.0f} kB gz of {FIRST_LOAD_KB}, first paint {loaded:.0f} ms, idle after {idle:.0f} ms of {IDLE_MS}",
    )
    assert size <= FIRST_LOAD_KB
