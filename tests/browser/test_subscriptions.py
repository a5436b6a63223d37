"""Subscriptions: preview, alert log, deliveries, pause, change, feed, calendar, deletion; hostile names."""

import json
import re
import urllib.request
from xml.etree import ElementTree as ET

import pytest

from data import shared_data
from page_actions import SITE, open_with_site_field, read_facts, read_rows, wait_until

NASTY = '<img src=x onerror="alert(1)"><script>alert(2)</script>\u202e'


def open_form(session):
    """Open the form of a subscription over the site's field."""
    page = open_with_site_field(session, "#watch/new", "Watch a place")
    wait_until(page, "() => document.querySelector('button[data-key=watch]') !== null")
    return page


def create_subscription(page, name: str, **fields: str) -> str:
    """Fill in and submit the form; returns the subscription's id."""
    page.get_by_label("Name", exact=True).fill(name)
    for label, value in fields.items():
        page.locator(f"[name={label}]").fill(value)
    wait_until(page, "() => document.querySelector('button[data-key=watch]') !== null")
    page.wait_for_timeout(700)
    page.get_by_role("button", name="Watch it").click()
    page.locator("#view .area h2", has_text=name[:20]).first.wait_for()
    return page.url.partition("#watch/")[2].partition("?")[0]


def facts(page) -> dict[str, str]:
    return read_facts(page, ".area")


@pytest.fixture(scope="module")
def clear() -> list[dict]:
    """Dates of the site on which at least 60 % is clear, as an independent script found them."""
    dates = json.loads((shared_data("archive") / "expected.json").read_text())["sites"][SITE]["dates"]
    return [one for one in dates if one["clear_fraction"] >= 0.6]


def test_a_subscription_with_backfill_writes_the_alerts_expected_from_the_archive(visit, clear):
    session = visit()
    page = open_form(session)
    id = create_subscription(page, "Polder", min_clear="60", backfill="2023-01-01")
    wait_until(
        page,
        f"() => document.querySelectorAll('[aria-label=\"Log of alerts\"] tbody tr').length === {len(clear)}",
        patience_s=90,
    )
    rows = read_rows(page, "[aria-label='Log of alerts'] tbody tr")
    assert sorted(float(row[5]) for row in rows) == [
        pytest.approx(value, abs=5.1e-4) for value in sorted(one["NDVI"]["mean"] for one in clear)
    ]
    # The facts above the log are requested before the log.
    wait_until(
        page,
        """(count) => [...document.querySelectorAll(".area .facts > div")].some((fact) =>
        fact.textContent === `Alerts${count}`)""",
        len(clear),
        patience_s=30,
    )
    assert facts(page)["Alerts"] == str(len(clear)) and facts(page)["State"] == "active"
    # The reason of a skipped acquisition is visible without scrolling.
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
        "(old) => (document.querySelector('.area details a')?.href ?? old) !== old",
        feed,
    )
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(feed)
    page.get_by_role("button", name="Delete …").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    wait_until(page, "(id) => !document.querySelector(`.areas [data-key='${id}']`)", id)
    assert session.violations == [] and session.errors == []


def test_alerts_are_previewed_before_anything_is_saved(visit):
    session = visit()
    page = open_form(session)
    before = page.request.get(f"{session.url}/subscriptions").json()["subscriptions"]
    # The archive ends years ago.
    assert (
        "No product over the area is known in the period, but" in page.locator(".sticky .card").inner_text()
    )
    page.get_by_label("Include images since").fill("2023-01-01")
    dates = json.loads((shared_data("archive") / "expected.json").read_text())["sites"][SITE]["dates"]
    page.locator(".sticky .card", has_text=f"{len(dates)} passes from 1 Jan 2023").wait_for()
    # Headline and table count the same alerts.
    headline = page.locator(".sticky h2").inner_text()
    page.locator(".sticky summary").click()
    months = read_rows(page, ".sticky tbody tr")
    assert int(re.search(r"\d+", headline)[0]) == sum(int(row[1]) for row in months)
    assert sum(int(row[2]) for row in months) == len(dates)
    page.get_by_label("Name", exact=True).fill("kept over a reload")
    page.wait_for_timeout(300)
    page.reload()
    wait_until(page, "() => document.querySelector('[name=name]')?.value === 'kept over a reload'")
    page.locator("textarea[name=webhooks]").fill("http://169.254.169.254/latest")
    page.get_by_role("button", name="Watch it").click()
    page.locator(".trouble").first.wait_for()
    # The error is shown once, however often the form is submitted.
    with page.expect_response("**/subscriptions"):
        page.get_by_role("button", name="Watch it").click()
    wait_until(page, "() => !document.querySelector('[data-key=watch]').disabled")
    assert page.locator(".trouble").count() == 1
    assert page.request.get(f"{session.url}/subscriptions").json()["subscriptions"] == before


def test_the_error_of_a_submission_stays_when_an_earlier_preview_arrives(visit):
    session = visit()
    page = open_form(session)
    previews = []
    page.route("**/subscriptions/preview", lambda route: previews.append(route))
    page.get_by_label("Name", exact=True).fill("Bad address")
    page.locator("textarea[name=webhooks]").fill("http://169.254.169.254/latest")
    page.get_by_role("button", name="Watch it").click()
    page.locator(".sticky .trouble").wait_for()
    page.wait_for_timeout(500)  # the form waits 400 ms before it asks for a preview
    assert len(previews) == 1
    with page.expect_response("**/subscriptions/preview"):
        previews[0].continue_()
    page.wait_for_timeout(300)
    assert "169.254.169.254" in page.locator(".sticky .trouble").inner_text()
    page.locator("textarea[name=webhooks]").fill("")
    assert page.locator(".sticky .trouble").count() == 0 and session.errors == []


def test_names_that_are_markup_are_only_text(visit):
    session = visit()
    page = open_form(session)
    create_subscription(page, NASTY)
    assert (
        NASTY.strip() in page.locator(".area h2").first.inner_text()
        or "onerror" in page.locator(".area h2").first.inner_text()
    )
    page.get_by_role("button", name="Delete …").click()
    assert "onerror" in page.locator("dialog h2").inner_text()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    wait_until(page, "() => !document.querySelector('dialog[open]')")
    page.goto(f"{session.url}/#order/{NASTY}")
    page.locator(".trouble").wait_for()
    assert session.dialogs == [] and session.violations == []


@pytest.fixture
def half(suite):
    """The id of a subscription named "Half", which is deleted after the test."""
    url = f"{suite.url}/subscriptions"
    body = {
        "name": "Half",
        "indices": ["NDVI"],
        "aoi": json.loads(shared_data("archive", "aoi", f"{SITE}.geojson").read_text()),
    }
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        id = json.load(answer)["subscription"]
    yield id
    urllib.request.urlopen(urllib.request.Request(f"{url}/{id}", method="DELETE")).close()


def test_a_button_that_is_pressed_while_its_subscription_changes_still_counts_as_clicked(visit, half):
    session = visit()
    page = session.open(f"watch/{half}")
    page.locator("summary", has_text="Feed, calendar and channels").click()
    button = page.get_by_role("button", name="Change …")
    button.hover()
    page.mouse.down()
    page.request.patch(f"{session.url}/subscriptions/{half}", data={"name": "Whole"})
    page.locator(".area h2", has_text="Whole").first.wait_for()
    page.locator(".areas .name", has_text="Whole").wait_for()
    page.mouse.up()
    assert page.locator("dialog input[name=name]").input_value() == "Whole"
    assert page.get_by_role("link", name="Atom feed").is_visible() and session.errors == []


def test_an_alert_that_updates_an_earlier_one_names_it(visit, half):
    """The second alert tells that a further part of the pass has changed the result of the first."""
    session = visit()
    page = session.page
    common = {
        "job": "job_1",
        "datetime": "2024-06-01T10:16:00Z",
        "created": "2024-06-01T13:00:00Z",
        "coverage": 1.0,
        "clear_fraction": 0.9,
        "indices": {"NDVI": {"mean": 0.5}},
        "backfill": False,
        "reason": None,
    }
    alerts = [
        {"alert": "alert_1", "number": 1, "kind": "created", "updates": None, **common},
        {"alert": "alert_2", "number": 2, "kind": "updated", "updates": 1, **common},
    ]

    def counted(route) -> None:
        answer = route.fetch()
        listed = [one | {"alerts": len(alerts)} for one in answer.json()["subscriptions"]]
        route.fulfill(response=answer, json={"subscriptions": listed})

    page.route("**/subscriptions", counted)
    page.route(f"**/{half}/alerts*", lambda route: route.fulfill(json={"alerts": alerts, "next": None}))
    session.open(f"watch/{half}")
    page.locator("[aria-label='Log of alerts'] tbody tr").nth(1).wait_for()
    second, first = read_rows(page, "[aria-label='Log of alerts'] tbody tr")
    assert (second[0], first[0]) == ("2", "1")
    assert second[2].endswith("updates No. 1") and "updates" not in first[2] and session.errors == []


def test_going_back_closes_dialogs_and_keeps_unsaved_values(visit, half):
    id = half
    session = visit()
    page = session.open("status")
    session.open(f"watch/{id}")
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
    assert page.locator("dialog").count() == 0 and session.errors == []
