"""The page as a whole, in a browser: policy, accessibility, weight."""

import gzip

import pytest

from accessibility import violations
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
        assert violations(page) == [], what
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


def test_the_rules_find_what_is_faint_in_one_scheme_only_and_what_has_no_name(visit, axe):
    page = visit().page
    text = "<p>plain</p>" * 5 + "<p class=faint>faint</p><button disabled>off</button>"
    style = "p, button { color: #222 } @media (prefers-color-scheme: dark) { .faint { color: #999 } }"
    page.set_content(f"<html lang=en><title>t</title><style>{style}</style><main><h1>t</h1>{text}</main>")
    page.evaluate(axe)
    assert violations(page) == [("dark", "color-contrast", ['<p class="faint">faint</p>'])]
    page.evaluate("document.querySelector('button').textContent = ''")
    assert [found[:2] for found in violations(page)] == [
        ("any", "button-name"),
        ("dark", "color-contrast"),
    ]


def test_content_that_is_updated_keeps_its_elements_and_takes_the_new_listeners(visit):
    page = visit().open("status")
    found = page.evaluate("""async () => {
      const { h, updateContent, workButton } = await import("./lib/dom.js");
      const [box, clicks] = [h("div"), []];
      document.body.append(box);
      const line = (round) => (id) => h("li", { "data-key": id },
        h("button", { onclick: () => clicks.push(`${id} ${round}`) }, `${id} in ${round}`),
        h("details", {}, h("summary", {}, "more"), `${round}`));
      let release;
      const work = (text) => workButton(text, () => new Promise((done) => { release = done; }));
      const show = (round, ...ids) =>
        updateContent(box, h("ul", {}, ids.map(line(round))), work(`Do ${round}`));
      show(1, "a", "b");
      const [button, details] = ["button", "details"].map((name) => box.querySelectorAll(name)[1]);
      const worker = box.lastChild;
      button.focus();
      details.open = true;
      worker.click();
      show(2, "new", "b", "a");
      button.click();
      const held = worker.disabled;
      release();
      await new Promise((done) => setTimeout(done));
      show(3, "b");
      return [clicks, button.textContent, box.querySelectorAll("button")[0] === button,
        document.activeElement === button, details.open, held, worker.disabled, worker.textContent,
        box.querySelectorAll("li").length];
    }""")
    assert found == [["b 2"], "b in 3", True, True, True, True, False, "Do 3", 1]
