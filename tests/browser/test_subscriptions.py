"""Watching as a user would: what it would have brought, the log with deliveries, pausing, changing, feed and
calendar, deleting; names that are markup."""

import json
import urllib.request
from xml.etree import ElementTree as ET

import pytest

from data import shared_data
from page_actions import SITE, open_with_site_field, wait_until

NASTY = '<img src=x onerror="alert(1)"><script>alert(2)</script>\u202e'


def here(made):
    """The form of a subscription, with the site's field as the place."""
    page = open_with_site_field(made, "#watch/new", "Watch a place")
    wait_until(page, "() => document.querySelector('button[data-key=watch]') !== null")
    return page


def watched(page, name: str, **fields: str) -> str:
    """Fill the form in and press the button; returns the subscription's id."""
    page.get_by_label("Name", exact=True).fill(name)
    for label, value in fields.items():
        page.locator(f"[name={label}]").fill(value)
    wait_until(page, "() => document.querySelector('button[data-key=watch]') !== null")
    page.wait_for_timeout(700)
    page.get_by_role("button", name="Watch it").click()
    page.locator("#view .area h2", has_text=name[:20]).first.wait_for()
    return page.url.partition("#watch/")[2].partition("?")[0]


def facts(page) -> dict[str, str]:
    return dict(
        page.evaluate(
            "[...document.querySelectorAll('.area .facts > div')].map((one) => [one.children[0].textContent, one.children[1].textContent])"
        )
    )


@pytest.fixture(scope="module")
def clear() -> list[dict]:
    """Dates of the site on which at least 60 % is clear, as an independent script found them."""
    dates = json.loads((shared_data("archive") / "expected.json").read_text())["sites"][SITE]["dates"]
    return [one for one in dates if one["clear_fraction"] >= 0.6]


def test_a_subscription_with_its_past_writes_the_alerts_that_the_archive_says(visit, clear):
    made = visit()
    page = here(made)
    id = watched(page, "Polder", min_clear="60", backfill="2023-01-01")
    wait_until(
        page,
        f"() => document.querySelectorAll('[aria-label=\"Log of alerts\"] tbody tr').length === {len(clear)}",
        patience_s=90,
    )
    rows = page.evaluate(
        "[...document.querySelectorAll('[aria-label=\"Log of alerts\"] tbody tr')].map((row) => [...row.children].map((one) => one.textContent))"
    )
    assert sorted(float(row[4]) for row in rows) == [
        pytest.approx(value, abs=5.1e-4) for value in sorted(one["NDVI"]["mean"] for one in clear)
    ]
    # What is said above the log was asked for a moment before it.
    wait_until(
        page,
        "(count) => [...document.querySelectorAll('.area .facts > div')].some((one) => one.textContent === `Alerts${count}`)",
        len(clear),
        patience_s=30,
    )
    assert facts(page)["Alerts"] == str(len(clear)) and facts(page)["State"] == "active"
    # Why an acquisition was passed over can be read without moving the table.
    assert page.evaluate(
        "(table => table.scrollWidth <= table.clientWidth)(document.querySelector('.results .tall'))"
    )
    # The log leads to the result, and the address keeps it.
    page.locator("[aria-label='Log of alerts'] tbody button").last.click()
    wait_until(page, "() => document.querySelector('.legend') !== null")
    assert f"#watch/{id}?job=" in page.url
    page.get_by_role("button", name="Pause").click()
    wait_until(page, "() => document.querySelector('[data-key=pause]')?.textContent === 'Resume'")
    assert facts(page)["State"] == "paused"
    page.get_by_role("button", name="Resume").click()
    wait_until(page, "() => document.querySelector('[data-key=pause]')?.textContent === 'Pause'")
    page.get_by_role("button", name="Change …").click()
    page.locator("dialog input[name=name]").fill("Polder in Zeeland")
    page.locator("dialog").get_by_role("button", name="Save").click()
    page.locator(".area h2", has_text="Polder in Zeeland").wait_for()
    page.locator("summary", has_text="Feed, calendar and channels").click()
    feed, calendar = (
        page.get_by_role("link", name="Atom feed").get_attribute("href"),
        page.get_by_role("link", name="calendar").get_attribute("href"),
    )
    with urllib.request.urlopen(feed) as answer:
        entries = ET.parse(answer).getroot().findall("{http://www.w3.org/2005/Atom}entry")
    assert len(entries) == len(clear)
    with urllib.request.urlopen(calendar) as answer:
        assert answer.read().startswith(b"BEGIN:VCALENDAR")
    page.get_by_role("button", name="Replace the addresses").click()
    wait_until(
        page,
        "(old) => { const link = document.querySelector('.area details a'); return link && link.href !== old; }",
        feed,
    )
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(feed)
    page.get_by_role("button", name="Delete …").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    wait_until(page, "(id) => !document.querySelector(`.areas [data-key='${id}']`)", id)
    assert made.violations == [] and made.errors == []


def test_what_it_would_have_brought_is_told_before_anything_is_saved(visit):
    made = visit()
    page = here(made)
    before = page.request.get(f"{made.url}/subscriptions").json()["subscriptions"]
    # The archive ends years before now.
    assert "No images in the catalogue yet" in page.locator(".sticky .card").inner_text()
    page.get_by_label("Include images since").fill("2023-01-01")
    dates = json.loads((shared_data("archive") / "expected.json").read_text())["sites"][SITE]["dates"]
    page.locator(".sticky .card", has_text=f"{len(dates)} acquisitions from 1 Jan 2023").wait_for()
    page.get_by_label("Name", exact=True).fill("kept over a reload")
    page.wait_for_timeout(300)
    page.reload()
    wait_until(page, "() => document.querySelector('[name=name]')?.value === 'kept over a reload'")
    page.locator("textarea[name=webhooks]").fill("http://169.254.169.254/latest")
    page.get_by_role("button", name="Watch it").click()
    page.locator(".trouble").first.wait_for()
    # Said once, however often it is tried.
    with page.expect_response("**/subscriptions"):
        page.get_by_role("button", name="Watch it").click()
    wait_until(page, "() => !document.querySelector('[data-key=watch]').disabled")
    assert page.locator(".trouble").count() == 1
    assert page.request.get(f"{made.url}/subscriptions").json()["subscriptions"] == before


def test_names_that_are_markup_are_only_text(visit):
    made = visit()
    page = here(made)
    watched(page, NASTY)
    assert (
        NASTY.strip() in page.locator(".area h2").first.inner_text()
        or "onerror" in page.locator(".area h2").first.inner_text()
    )
    page.get_by_role("button", name="Delete …").click()
    assert "onerror" in page.locator("dialog h2").inner_text()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    wait_until(page, "() => !document.querySelector('dialog[open]')")
    page.goto(f"{made.url}/#order/{NASTY}")
    page.locator(".trouble").wait_for()
    assert made.dialogs == [] and made.violations == []


def test_going_back_closes_what_lies_over_the_page_and_keeps_what_was_half_typed(visit, suite):
    wish = {
        "name": "Half",
        "indices": ["NDVI"],
        "aoi": json.loads(shared_data("archive", "aoi", f"{SITE}.geojson").read_text()),
    }
    request = urllib.request.Request(
        f"{suite.url}/subscriptions", json.dumps(wish).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        id = json.load(answer)["subscription"]
    made = visit()
    page = made.open("status")
    made.open(f"watch/{id}")
    name = page.locator("dialog input[name=name]")

    def change() -> str:
        page.get_by_role("button", name="Change …").click()
        return name.input_value()

    assert change() == "Half"
    name.fill("Half a na")
    page.go_back()
    page.locator("#view h1", has_text="Status").wait_for()
    assert page.locator("dialog").count() == 0
    page.go_forward()
    assert change() == "Half a na"
    page.keyboard.press("Escape")
    assert change() == "Half"
    page.keyboard.press("Escape")
    page.evaluate("import('./lib/sign_in.js').then(({ account }) => account.open())")
    page.locator("dialog[open]").wait_for()
    page.go_back()
    page.locator("#view h1", has_text="Status").wait_for()
    assert page.locator("dialog").count() == 0 and made.errors == []
    page.request.delete(f"{suite.url}/subscriptions/{id}")
