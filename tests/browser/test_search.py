"""Search: filters, list and map, statistics, files and pages, compared with the archive."""

import base64
import json
from datetime import datetime

import pytest

from data import shared_data
from page_actions import read_facts, read_rows, wait_until

SITE = "gfmap_31UES"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
"""A picture of one pixel."""


@pytest.fixture(scope="module")
def items() -> dict[str, dict]:
    """Items of the site in the archive, by id."""
    files = shared_data("archive").glob("sentinel-2-l2a/*/*.json")
    read = [json.loads(file.read_text()) for file in files]
    return {one["id"]: one for one in read if one["properties"].get("archive:site") == SITE}


def open_search(session, address: str = "search"):
    """Open the search over the site's field."""
    page = session.open("place")
    page.locator("input[type=file]").set_input_files(str(shared_data("archive", "aoi", f"{SITE}.geojson")))
    page.get_by_role("link", name="Search here").click()
    page.locator("#view h1", has_text="Search").wait_for()
    if address != "search":
        page.goto(f"{session.url}/#{address}")
    list_rows(page)
    return page


def list_rows(page) -> list[str]:
    """The rows of the list, once it is loaded."""
    wait_until(
        page,
        """() => !document.querySelector("#view [aria-busy]")
        && document.querySelector(".found, .empty") !== null""",
    )
    return page.locator(".found > li > button").all_inner_texts()


def cloud(item: dict) -> float:
    return item["properties"]["eo:cloud_cover"]


def test_filters_match_the_archive_and_stay_in_the_address(visit, items):
    session = visit()
    page = open_search(session)
    assert len(list_rows(page)) == len(items)
    page.get_by_label("From", exact=True).fill("2023-10-15")
    page.get_by_label("To", exact=True).fill("2023-12-15")
    page.get_by_label("Scene cloud cover").fill("50")
    page.get_by_role("button", name="Search").click()
    wanted = [
        one
        for one in items.values()
        if "2023-10-15" <= one["properties"]["datetime"][:10] <= "2023-12-15" and cloud(one) <= 50
    ]
    wait_until(page, f"() => document.querySelectorAll('.found > li').length === {len(wanted)}")
    days = sorted((datetime.fromisoformat(one["properties"]["datetime"]) for one in wanted), reverse=True)
    assert [line.split("\n")[0] for line in list_rows(page)] == [f"{day.day} {day:%b %Y}" for day in days]
    before = list_rows(page)
    page.reload()
    assert list_rows(page) == before and page.get_by_label("From", exact=True).input_value() == "2023-10-15"
    page.get_by_role("button", name="Clear filters").click()
    wait_until(page, f"() => document.querySelectorAll('.found > li').length === {len(items)}")
    assert session.errors == []


def test_products_are_counted_and_exported(visit, items):
    page = open_search(visit())
    facts = read_facts(page, ".card")
    assert facts["Products"] == str(len(items))
    assert facts["Mean cloud cover"] == f"{sum(map(cloud, items.values())) / len(items):.0f} %"
    assert facts["Median revisit"] == "5 days"
    months = {one["properties"]["datetime"][:7] for one in items.values()}
    page.locator(".months summary").click()
    rows = {month: int(count) for month, count, _ in read_rows(page, ".months tbody tr")}
    assert set(rows) == months and sum(rows.values()) == len(items)
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    lines = saved.value.path().read_text().strip().splitlines()
    assert saved.value.suggested_filename == "products.csv" and len(lines) == 1 + len(items)
    assert all(any(id in line for line in lines) for id in items)


def test_list_and_map_highlight_each_other(visit):
    page = open_search(visit())
    first = page.locator(".found > li").first
    first.hover()
    assert "pointed" in first.get_attribute("class")
    page.mouse.move(5, 5)
    assert page.locator(".found > li.pointed").count() == 0
    box = page.locator("#map").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
    wait_until(page, "() => document.querySelectorAll('.found > li.pointed').length > 1")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    wait_until(page, "() => document.querySelectorAll('.found [aria-expanded=true]').length === 1")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"


def test_a_product_opens_by_keyboard_and_its_bands_can_be_downloaded(visit, items):
    page = open_search(visit())
    page.locator(".found > li > button").first.focus()
    page.keyboard.press("Enter")
    inside = page.locator(".found .inside").first
    wait_until(page, "() => document.querySelector('.found .inside .files') !== null")
    id = inside.locator(".id").inner_text()
    assert id in items and "Source: folder:" in inside.inner_text()
    assert (
        inside.get_by_role("link", name="Process this product").get_attribute("href")
        == f"#order?products={id}"
    )
    with page.expect_download() as saved:
        inside.get_by_role("button", name="B04").press("Enter")
    assert saved.value.suggested_filename == f"{id}_B04.tif"
    assert (
        saved.value.path().read_bytes()
        == shared_data("archive", "sentinel-2-l2a", id, "B04.tif").read_bytes()
    )
    page.locator(".found > li > button").first.press("Enter")
    assert inside.is_hidden()


def test_a_quicklook_on_another_host_is_shown_from_there(visit):
    session = visit()
    picture = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/quicklook.png"
    page = session.page
    page.context.route(picture, lambda route: route.fulfill(content_type="image/png", body=PIXEL))

    def with_picture(route) -> None:
        answer = route.fetch()
        item = answer.json()
        item["assets"]["thumbnail"] = {"href": picture, "type": "image/png", "roles": ["thumbnail"]}
        route.fulfill(response=answer, json=item)

    page.route(lambda url: "/items/" in url and "/files" not in url, with_picture)
    open_search(session)
    page.locator(".found > li > button").first.click()
    wait_until(page, "() => document.querySelector('img.quicklook')?.naturalWidth === 1")
    assert page.locator("img.quicklook").get_attribute("alt").startswith("Quicklook of ")
    assert session.violations == []


def test_a_picture_of_the_api_is_shown_and_its_object_url_is_revoked(visit):
    session = visit()
    page = session.page
    page.add_init_script("""
      window.held = new Set();
      const { createObjectURL, revokeObjectURL } = URL;
      URL.createObjectURL = (blob) => { const url = createObjectURL.call(URL, blob); window.held.add(url);
      return url; };
      URL.revokeObjectURL = (url) => { window.held.delete(url); revokeObjectURL.call(URL, url); };
    """)
    page.route("**/picture-of-*", lambda route: route.fulfill(content_type="image/png", body=PIXEL))

    def with_pictures(route) -> None:
        answer = route.fetch()
        found = answer.json()
        for place, item in enumerate(found["features"]):
            item["assets"] = {
                "thumbnail": {
                    "href": f"{session.url}/picture-of-{place}",
                    "type": "image/png",
                    "roles": ["thumbnail"],
                }
            }
        route.fulfill(response=answer, json=found)

    page.route("**/stac/search", with_pictures)
    open_search(session)
    for place in range(3):
        page.locator(".found > li > button").nth(place).click()
    wait_until(
        page,
        """() => [...document.querySelectorAll("img.quicklook")].filter((image) => image.naturalWidth === 1
        && image.src.startsWith("blob:")).length === 3""",
    )
    assert page.evaluate("window.held.size") == 0
    assert session.violations == [] and session.errors == []


def test_further_pages_of_products_are_loaded_on_request(visit, items):
    session = visit()

    def in_fives(route) -> None:
        route.continue_(post_data=json.dumps({**route.request.post_data_json, "limit": 5}))

    session.page.route("**/stac/search", in_fives)
    page = open_search(session)
    seen = len(list_rows(page))
    assert seen == 5
    while page.get_by_role("button", name="Show more").count():
        page.get_by_role("button", name="Show more").click()
        wait_until(page, f"() => document.querySelectorAll('.found > li').length > {seen}")
        seen = len(list_rows(page))
    assert seen == len(items)
    assert page.evaluate("document.activeElement.closest('.found') !== null")


def test_a_tile_in_the_address_is_drawn_and_can_be_watched(visit):
    session = visit()
    page = session.open("search?tile=31UES")
    list_rows(page)
    assert page.evaluate("JSON.parse(localStorage['revisit.aoi']).seen.tiles") == ["31UES"]
    page.evaluate(
        "localStorage['revisit.aoi'] = JSON.stringify({ given: null, name: '', tile: '31UFS', seen: null })"
    )
    page.goto(f"{session.url}/#watch/new")
    page.reload()
    page.locator(".sticky .card").get_by_role("button", name="Watch it").wait_for()
    assert "tile 31UFS" in page.locator(".hint-line").inner_text()
    assert session.errors == []


def test_the_answer_to_an_overtaken_search_is_not_drawn(visit, items):
    session = visit()
    page = open_search(session)
    held_requests: list = []
    page.route(
        "**/stac/search", lambda route: route.continue_() if held_requests else held_requests.append(route)
    )
    for most in (80, 20):
        page.get_by_label("Scene cloud cover").fill(str(most))
        page.get_by_role("button", name="Search").click()
    few = sum(cloud(one) <= 20 for one in items.values())
    wait_until(page, f"() => document.querySelectorAll('.found > li').length === {few}")
    held_requests[0].continue_()
    page.wait_for_timeout(500)
    assert len(list_rows(page)) == few < sum(cloud(one) <= 80 for one in items.values())
    assert session.errors == []


def test_without_an_area_the_whole_catalogue_is_searched_and_an_empty_result_gives_hints(visit):
    session = visit()
    page = session.open("search?from=2030-01-01")
    wait_until(page, "() => document.querySelector('.empty li') !== null")
    assert "longer period" in page.locator(".empty").inner_text()
    page.get_by_role("button", name="Clear filters").last.click()
    assert len(list_rows(page)) > 30
    assert "whole catalogue" in page.locator(".hint-line").inner_text()
