"""Orders: the estimate, the progress and the results, compared with the archive and with the files."""

import csv
import hashlib
import io
import json
import re
import time
import urllib.request

import numpy as np
import pytest
import rasterio
from pyproj import Transformer

from accessibility import violations
from data import shared_data
from page_actions import SITE, open_with_site_field, read_facts, read_rows, wait_until


@pytest.fixture(scope="module")
def expected() -> dict:
    """The values of an independent script for the site."""
    return json.loads((shared_data("archive") / "expected.json").read_text())["sites"][SITE]


def open_order_form(session):
    """Open the form of an order over the site's field."""
    page = open_with_site_field(session, "#order", "Order")
    wait_until(page, "() => document.querySelector('button[data-key=order]:not(:disabled)') !== null")
    return page


def place_order(page) -> str:
    """Place the order of the form and wait for its results; returns its id."""
    page.get_by_role("button", name="Order", exact=True).click()
    page.locator("#view h1", has_text="Order of").wait_for()
    wait_until(
        page, "() => /Finished/.test(document.querySelector('#view .card')?.textContent ?? '')", patience_s=90
    )
    wait_until(page, "() => document.querySelector('.legend') !== null")
    return page.url.partition("#order/")[2].partition("?")[0]


def choose_date(page, date: str) -> None:
    """Choose a date by its row in the table."""
    page.locator(".results .tall button", has_text=date).first.click()
    wait_until(page, "(text) => document.querySelector('.when strong').textContent === text", date)


def finished_order(url: str, **wish) -> str:
    """Order over the site's field through the API and wait for the end; returns the order's id."""
    aoi = json.loads(shared_data("archive", "aoi", f"{SITE}.geojson").read_text())
    request = urllib.request.Request(
        f"{url}/orders", json.dumps({"aoi": aoi} | wish).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        order_id = json.load(answer)["order"]
    end = time.monotonic() + 120
    while True:
        with urllib.request.urlopen(f"{url}/orders/{order_id}") as answer:
            if json.load(answer)["state"] == "finished":
                return order_id
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.fixture(scope="module")
def order(suite) -> str:
    """A finished order of NDVI and the bands of true colour."""
    return finished_order(suite.url, indices=["NDVI"], bands=["B02", "B03", "B04"])


@pytest.fixture
def result(visit, order):
    """The visit, the page and the id of the finished order."""
    session = visit()
    page = session.open(f"order/{order}")
    wait_until(
        page,
        "() => document.querySelector('.legend') !== null && document.querySelector('.plot canvas') !== null",
    )
    return session, page, order


def fetch_json(page, path: str) -> dict:
    return page.request.get(f"{page.url.partition('#')[0]}{path.lstrip('/')}").json()


def test_an_order_shows_its_estimate_before_and_its_usage_afterwards(visit, expected):
    page = open_order_form(visit())
    facts = read_facts(page, ".sticky")
    assert facts["Products"] == str(len(expected["dates"]))
    page.get_by_label("From", exact=True).fill("2023-12-01")
    later = [one for one in expected["dates"] if one["date"] >= "2023-12-01"]
    wait_until(
        page,
        f"() => document.querySelector('.sticky h2')?.textContent.startsWith('{len(later)} pass')",
    )
    page.reload()
    wait_until(
        page,
        f"() => document.querySelector('.sticky h2')?.textContent.startsWith('{len(later)} pass')",
    )
    page.locator("input[name=indices][value=NDVI]").uncheck()
    wait_until(page, "() => document.querySelector('button[data-key=order]').disabled")
    page.locator("input[name=indices][value=NDVI]").check()
    wait_until(page, "() => document.querySelector('button[data-key=order]:not(:disabled)') !== null")
    place_order(page)
    page.locator("summary", has_text="Usage").click()
    assert "expected" in page.locator("#view .card .facts").inner_text()
    assert page.locator(".results .tall tbody tr").count() == len(later)


def test_indices_whose_bands_the_newest_product_lacks_are_marked(visit):
    page = open_order_form(visit())
    nbr = page.locator("label.lacking", has=page.locator("input[value=NBR]"))
    nbr.wait_for()
    assert "The newest product lacks B12." in nbr.inner_text()
    assert page.locator("label.lacking input[value=NDVI]").count() == 0


def test_the_series_matches_an_independent_script_on_the_page_and_as_csv(result, expected):
    _, page, _ = result
    page.locator("summary", has_text="Show as table").click()
    rows = [
        [text.replace("\u2212", "-") for text in row]
        for row in read_rows(page, ".results details table tbody tr")
    ]
    clear = [one for one in expected["dates"] if one.get("NDVI", {}).get("count")]
    assert [[float(row[1]), float(row[2]), int(row[6].replace(",", ""))] for row in rows] == [
        [
            pytest.approx(one["NDVI"]["mean"], abs=5.1e-4),
            pytest.approx(one["NDVI"]["std"], abs=5.1e-4),
            one["NDVI"]["count"],
        ]
        for one in clear
    ]
    with page.expect_download() as saved:
        page.get_by_role("button", name="Series as CSV").click()
    lines = list(csv.DictReader(io.StringIO(saved.value.path().read_text())))
    means = {line["datetime"][:10]: float(line["mean"]) for line in lines if line["mean"]}
    assert means == {one["date"]: pytest.approx(one["NDVI"]["mean"], abs=1e-6) for one in clear}


def test_the_pixels_on_the_map_are_those_of_the_file(result, expected, tmp_path):
    session, page, order = result
    choose_date(page, "22 Oct 2023")
    done = next(
        job for job in fetch_json(page, f"orders/{order}")["jobs"] if job["datetime"].startswith("2023-10-22")
    )
    with page.expect_download() as saved:
        page.get_by_role("button", name="NDVI.tif").click()
    content = saved.value.path().read_bytes()
    assert hashlib.sha256(content).hexdigest() == done["assets"]["NDVI"]["sha256"]
    (tmp_path / "ndvi.tif").write_bytes(content)
    with rasterio.open(tmp_path / "ndvi.tif", driver="GTiff") as file:
        values, transform, crs = file.read(1), file.transform, file.crs
    read = page.evaluate(
        """async ([item, path]) => {
        const { Raster } = await import("./map/cog_reader.js");
        const asset = (await (await fetch(item)).json()).assets.NDVI;
        const raster = await Raster.open(path, asset, [0]);
        const whole = await raster.readWindow(raster.extent, raster.size);
        return { code: raster.code, extent: whole.extent, values: [...whole.values[0]].map((one) =>
        (Number.isNaN(one) ? null : one)), width: whole.width };
    }""",
        [done["item"], done["assets"]["NDVI"]["href"]],
    )
    seen = np.array([np.nan if one is None else one for one in read["values"]], np.float32).reshape(
        -1, read["width"]
    )
    np.testing.assert_array_equal(seen, values)
    assert read["code"] == crs.to_string() and read["extent"] == pytest.approx(
        rasterio.transform.array_bounds(*values.shape, transform)
    )
    # A click shows the value of its pixel.
    box = page.locator(".result-map").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    wait_until(page, "() => /^NDVI .* at /.test(document.querySelector('.results .readout').textContent)")
    readout = page.locator(".results > .stack > .readout").first.inner_text()
    value, _, where = readout.replace("\u2212", "-").removeprefix("NDVI ").rstrip(".").partition(" at ")
    north, east = (float(part.split("°")[0]) for part in where.split(", "))
    x, y = Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform(east, north)
    row, column = rasterio.transform.rowcol(transform, x, y)
    assert values[row, column] == pytest.approx(float(value), abs=5.1e-5)
    assert session.violations == [] and session.errors == []


def test_dates_without_pixels_are_on_the_slider_with_their_reason(result, expected):
    _, page, _ = result
    slider = page.get_by_role("slider", name="Date")
    assert int(slider.get_attribute("max")) == len(expected["dates"]) - 1
    slider.focus()
    page.keyboard.press("Home")
    wait_until(page, "() => document.querySelector('.when').textContent.startsWith('2 Oct 2023')")
    assert "skipped: no pixel of the AOI is clear" in page.locator(".when").inner_text()
    page.keyboard.press("ArrowRight")
    wait_until(page, "() => document.querySelector('.when').textContent.startsWith('7 Oct 2023')")
    shared = page.url
    page.reload()
    wait_until(page, "() => document.querySelector('.when')?.textContent.startsWith('7 Oct 2023')")
    assert page.url == shared


def test_no_controls_are_shown_before_the_first_result(visit, order):
    session = visit()

    def open_still(route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"jobs": [], "state": "running"})

    session.page.route(f"**/orders/{order}", open_still)
    page = session.open(f"order/{order}")
    page.locator(".readout", has_text="No results yet").wait_for()
    assert (
        page.evaluate(
            """[...document.querySelectorAll(".results :is(input, select, button)")].filter((control) =>
            control.checkVisibility()).length"""
        )
        == 0
    )


def test_two_dates_can_be_compared_and_colours_chosen(result):
    session, page, _ = result
    choose_date(page, "26 Dec 2023")
    page.get_by_label("Compare with").select_option(label="22 Oct 2023")
    swipe = page.get_by_role("slider", name="Where the second date begins")
    swipe.wait_for()
    at = """() => {
      const canvas = document.querySelector(".result-map canvas");
      const [x, y] = [canvas.width / 2 - 40, canvas.height / 2];
      return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data];
    }"""
    swipe.fill("100")
    wait_until(page, f"() => ({at})()[3] > 0")
    first = page.evaluate(at)
    swipe.fill("0")
    wait_until(page, f"(first) => ({at})().join() !== first.join()", first)
    # On a date without pixels the layout stays, and the files of all dates are offered.
    position = page.get_by_role("button", name="Earlier").bounding_box()
    choose_date(page, "21 Dec 2023")
    page.locator(".readout", has_text="no pixel of the AOI is clear").wait_for()
    assert page.get_by_role("button", name="Earlier").bounding_box() == position and swipe.is_disabled()
    assert page.locator(".results .row button.small").all_inner_texts() == ["Series as CSV", "Copy link"]
    choose_date(page, "26 Dec 2023")
    page.get_by_label("Compare with").select_option(label="none")
    page.get_by_role("combobox", name="Colours").select_option("Grey")
    wait_until(
        page,
        f"() => {{ const seen = ({at})().slice(0, 3); return Math.max(...seen) - Math.min(...seen) <= 2; }}",
    )
    page.get_by_label("Show").select_option("True colour")
    wait_until(page, "() => document.querySelector('.legend') === null")
    assert session.violations == [] and session.errors == []


def test_an_index_that_a_result_lacks_shows_no_other_one_under_its_name(visit, suite):
    """The archive's products have no band 12, which NBR needs."""
    session = visit()
    page = session.open(f"order/{finished_order(suite.url, indices=['NDVI', 'NBR'], start='2023-12-20')}")
    wait_until(page, "() => document.querySelector('.legend') !== null")
    painted = """() => [...document.querySelectorAll(".result-map canvas")].some((canvas) => canvas.width &&
      canvas.getContext("2d").getImageData(canvas.width / 2 - 40, canvas.height / 2, 1, 1).data[3] > 0)"""
    wait_until(page, painted)
    page.get_by_label("Show").select_option("NBR")
    page.locator(".results .readout", has_text="This result has no NBR. ").wait_for()
    assert "B12" in page.locator(".results .readout").first.inner_text()
    page.locator(".results .empty", has_text="No result has NBR. B12 ").wait_for()
    assert "NBR is not computed, for lack of B12." in page.locator(".results .empty").inner_text()
    wait_until(page, f"() => !({painted})()")
    assert page.locator(".legend").count() == 0 and page.get_by_text("Try again").count() == 0
    box = page.locator(".result-map").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_timeout(200)
    assert page.locator(".readout", has_text=" at ").count() == 0
    page.get_by_label("Show").select_option("NDVI")
    wait_until(page, painted)
    # The wheel zooms this map too while the choice has the focus.
    scale = page.locator(".result-map .ol-scale-line").inner_text()
    page.mouse.wheel(0, 300)
    wait_until(
        page, "(text) => document.querySelector('.result-map .ol-scale-line').innerText !== text", scale
    )
    assert session.errors == []


def test_the_chart_leaves_out_values_of_a_few_pixels_and_ends_soon_after_the_last(visit, order):
    session = visit()

    def mostly_unseen(route) -> None:
        """The observation of 7 October with 36 % of the area seen and 2 % of that clear."""
        answer = route.fetch()
        first, *others = answer.json()["observations"]
        assert first["datetime"].startswith("2023-10-07") and len(others) == 2
        first |= {"coverage": 0.36, "clear_fraction": 0.02}
        route.fulfill(response=answer, json={"observations": [first, *others]})

    session.page.route("**/series?index=NDVI", mostly_unseen)
    page = session.open(f"order/{order}")
    hide = page.get_by_label("Hide 1 value from less than 10 % of the area")
    hide.wait_for()
    box = page.locator(".plot .u-over").bounding_box()

    def first_value() -> str:
        page.mouse.move(box["x"] + 30, box["y"] + 150)
        page.mouse.move(box["x"] + 12, box["y"] + 150)
        return page.locator(".results .readout", has_text="NDVI").last.inner_text()

    assert first_value().startswith("22 Oct 2023")
    hide.uncheck()
    assert first_value().startswith("7 Oct 2023")
    assert "36 % of your area was seen, 2 % of that clear, 119 pixels" in first_value()
    # One observation is in the middle of a month; the margin of a long series is 3 %.
    day = 86_400
    ranges = page.evaluate(
        "async (all) => all.map((await import('./views/series.js')).timeRange)",
        [[1.7e9], [0, 1000 * day]],
    )
    assert ranges == [[1.7e9 - 15 * day, 1.7e9 + 15 * day], [-30 * day, 1030 * day]]
    assert session.errors == []


def test_answers_to_an_earlier_choice_are_neither_drawn_nor_cached_for_another(result):
    session, page, _ = result
    held_requests: list = []
    page.route(
        re.compile(r"/results/[^/?]+$|/series\?index=B02"),
        lambda route: route.continue_() if len(held_requests) == 2 else held_requests.append(route),
    )
    page.get_by_label("Show").select_option("B02")
    page.wait_for_timeout(300)
    page.get_by_label("Show").select_option("NDVI")
    page.wait_for_timeout(100)
    assert len(held_requests) == 2
    for one in held_requests:
        one.continue_()
    page.wait_for_timeout(500)
    assert page.locator(".results h2").inner_text() == "NDVI over time"
    page.get_by_label("Show").select_option("B02")
    page.locator(".results h2", has_text="B02 over time").wait_for()

    def value() -> str:
        page.get_by_role("button", name="Value at centre").click()
        return wait_until(
            page, "() => /^B02 (.*) at /.exec(document.querySelector('.results .readout').textContent)?.[1]"
        )

    kept = value()
    page.reload()
    page.locator(".results h2", has_text="B02 over time").wait_for()
    assert value() == kept
    assert session.violations == [] and session.errors == []


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_a_result_breaks_no_accessibility_rule(visit, axe, order, size):
    session = visit(size)
    session.page.add_init_script(axe)
    page = session.open(f"order/{order}")
    wait_until(
        page,
        "() => document.querySelector('.legend') !== null && document.querySelector('.plot canvas') !== null",
    )
    page.locator("summary", has_text="Usage").click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert session.violations == [] and session.errors == []


def test_an_order_can_keep_tiles_apart_mix_levels_and_judge_the_seen_part(visit):
    session = visit()
    page = open_order_form(session)
    page.locator(".sticky h2", has_text=re.compile(r"^\d+ passes to process$")).wait_for()
    page.get_by_label("Clear share of").select_option("its seen part")
    page.locator("summary", has_text="Advanced").click()
    page.get_by_label("Processing level").select_option("any: L1C for passes without L2A")
    wanted = {"min_clear_of": "seen", "level": "any", "per_tile": True}
    with page.expect_request(
        lambda request: (
            request.url.endswith("/orders/estimate") and wanted.items() <= request.post_data_json.items()
        )
    ):
        page.get_by_label("A result for each tile").check()
    page.locator(".sticky h2", has_text=re.compile(r"^\d+ acquisitions to process$")).wait_for()
    page.get_by_label("From", exact=True).fill("2016-01-01")
    page.get_by_label("To", exact=True).fill("2016-01-31")
    page.locator(".sticky .note", has_text="No product over the area is known in the period, but ").wait_for()
    assert page.locator(".sticky .facts").count() == 0 and session.errors == []


def test_projections_of_the_map_match_proj(visit):
    page = visit().open("place")
    for code, points in (
        ("EPSG:32631", [[4.2619508, 51.3103975], [0.1, 0.0], [5.9, 83.9], [3.0, 45.0]]),
        ("EPSG:32733", [[14.3, -22.5], [12.01, -79.9], [17.99, -0.001]]),
        ("EPSG:32601", [[-179.99, 65.0], [179.9, 66.0]]),
        ("EPSG:32660", [[-179.9, 10.0], [179.99, -1.0]]),
    ):
        transform = Transformer.from_crs("OGC:CRS84", code, always_xy=True)
        found = page.evaluate(
            "([code, points]) => points.map((point) => ol.proj.transform(point, 'EPSG:4326', code))",
            [code, points],
        )
        for point, place in zip(points, found, strict=True):
            assert place == pytest.approx(transform.transform(*point), abs=0.05), (code, point)


def test_an_order_can_be_cancelled_and_an_unknown_order_is_reported(visit):
    session = visit()
    page = session.page
    page.goto(f"{session.url}/#order/order_none")
    page.locator(".trouble").wait_for()
    assert "order_none" in page.locator(".trouble").inner_text()
    page.get_by_role("link", name="All orders").click()
    page.locator("#view", has_text="An order cuts bands and indices out").wait_for()
    page = open_order_form(session)
    page.locator("input[name=indices][value=EVI]").check()
    wait_until(page, "() => document.querySelector('button[data-key=order]:not(:disabled)') !== null")
    page.get_by_role("button", name="Order", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    wait_until(
        page, "() => /Cancelled|Finished/.test(document.querySelector('#view .card')?.textContent ?? '')"
    )
    wait_until(page, "() => document.querySelector('[data-key=cancel]') === null")


def test_search_order_and_result_work_by_keyboard_alone(visit):
    """From a typed place by search and order to the value of a pixel."""
    session = visit()
    page = session.open("place")

    def reach(selector: str, most: int = 120) -> None:
        for _ in range(most):
            if page.evaluate("(wanted) => document.activeElement?.matches(wanted)", selector):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{selector} is not reached by Tab")

    reach("main input")
    page.keyboard.type("51.3113, 4.2642")
    page.keyboard.press("Enter")
    page.locator("#view a[href='#search']").wait_for()
    reach("#view a[href='#search']")
    page.keyboard.press("Enter")
    # The pressed link is gone; the focus is in the view that it opened.
    assert page.evaluate("document.activeElement.id") == "view"
    page.locator(".found > li").first.wait_for()
    page.locator("#skip").focus()
    reach("#tabs a[href='#order']")
    page.keyboard.press("Enter")
    wait_until(page, "() => document.querySelector('button[data-key=order]:not(:disabled)') !== null")
    page.locator("#skip").focus()
    reach("input[name=start]")
    page.get_by_label("From", exact=True).fill("2023-12-20")
    wait_until(page, "() => /^[1-3] pass/.test(document.querySelector('.sticky h2')?.textContent ?? '')")
    reach("button[data-key=order]")
    page.keyboard.press("Enter")
    wait_until(
        page, "() => /Finished/.test(document.querySelector('#view .card')?.textContent ?? '')", patience_s=90
    )
    wait_until(page, "() => document.querySelector('.legend') !== null")
    page.locator("#skip").focus()
    reach(".result-map")
    page.keyboard.press("Enter")
    wait_until(page, "() => /^NDVI .* at /.test(document.querySelector('.results .readout').textContent)")
    before = page.locator(".when").inner_text()
    reach("[data-key=date]")
    page.keyboard.press("ArrowLeft")
    wait_until(page, "(text) => document.querySelector('.when').textContent !== text", before)
    assert session.violations == [] and session.errors == []


@pytest.mark.parametrize("size", ["desk", "phone"])
def test_the_estimate_covers_nothing_of_the_form(visit, size):
    page = open_order_form(visit(size))
    assert (
        page.evaluate("""() => {
      const { left, right, top, bottom } = document.querySelector(".sticky").getBoundingClientRect();
      const shown = [...document.querySelectorAll(".order-form > .stack :is(input, legend, summary)")];
      return shown.filter((field) => {
        const box = field.getBoundingClientRect();
        const covered = box.left < right && box.right > left && box.top < bottom && box.bottom > top;
        return field.checkVisibility() && covered;
      }).length;
    }""")
        == 0
    )
    assert page.get_by_label("From", exact=True).bounding_box()["width"] > 120


def test_a_single_product_from_a_search_can_be_ordered(visit, expected):
    session = visit()
    page = open_with_site_field(session, "#search", "Search")
    line = page.locator(".found > li", has_text="26 Dec 2023")
    line.locator("button").first.click()
    line.get_by_role("link", name="Process this product").click()
    page.locator(".sticky h2", has_text="1 pass").wait_for()
    assert page.locator("input[name=start]").count() == 0
    id = page.locator("#view .card code").first.inner_text()
    assert id.startswith("S2") and "20231226" in id
    place_order(page)
    rows = read_rows(page, ".results .tall tbody tr")
    mean = next(one["NDVI"]["mean"] for one in expected["dates"] if one["date"] == "2023-12-26")
    assert [(row[0], float(row[3])) for row in rows] == [("26 Dec 2023", pytest.approx(mean, abs=5.1e-4))]
    # The next order uses conditions again.
    session.open("order")
    page.locator(".sticky h2", has_text=f"{len(expected['dates'])} passes").wait_for()
    assert session.errors == []


def test_a_search_is_ordered_with_its_conditions(visit, expected):
    session = visit()
    page = open_with_site_field(session, "#search", "Search")
    page.goto(f"{session.url}/#search?from=2023-12-01&cloud=50")
    page.get_by_role("link", name="Process these").click()
    page.locator(".sticky h2", has_text="1 pass").wait_for()  # the clear day of December
    values = [page.locator(f"input[name={name}]").input_value() for name in ("start", "end", "max_cloud")]
    assert values == ["2023-12-01", "", "50"]
    page.locator("input[name=max_cloud]").fill("")
    later = sum(one["date"] >= "2023-12-01" for one in expected["dates"])
    page.locator(".sticky h2", has_text=f"{later} passes").wait_for()
    page.reload()
    page.locator(".sticky h2", has_text=f"{later} passes").wait_for()
    assert session.errors == []


def test_an_index_is_found_by_words_and_a_formula_is_added_or_refused_with_its_fault(visit):
    page = open_order_form(visit())
    search = page.get_by_label("Search 249 indices")
    assert page.locator("input[value=BAIS2]").is_hidden()
    search.fill("burn b8a")
    page.get_by_text("of 249 indices match").wait_for()
    assert page.locator("input[value=BAIS2]").is_visible()
    assert page.locator("input[value=EVI]").is_hidden() and page.locator("input[value=NDVI]").is_visible()
    page.locator("input[value=BAIS2]").check()
    search.fill("")
    assert page.locator("input[value=BAIS2]").is_visible()
    page.locator("summary", has_text="Add a formula").click()
    formula = page.get_by_label("Formula of your own")
    formula.fill("ratio=B08/(B04")
    formula.press("Enter")
    page.get_by_text("'(' was never closed, at character 11").wait_for()
    formula.fill("ratio = nir/B04")
    page.get_by_role("button", name="Add formula").click()
    assert page.locator("input[value='ratio=B08 / B04']").is_checked()
    page.locator("input[value=BAIS2]").uncheck()
    wait_until(page, "() => document.querySelector('button[data-key=order]:not(:disabled)') !== null")
    place_order(page)
    page.locator("#view", has_text="ratio, NDVI").wait_for()
