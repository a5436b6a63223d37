"""How the page follows an order: by its event stream, and by polling where there is none."""

import json
import urllib.request

import pytest

from data import shared_data
from page_actions import SITE, wait_until

FINISHED = "() => /^Finished/.test(document.querySelector('#view .card')?.textContent ?? '')"


@pytest.fixture
def new_order(suite):
    """Places an order of one index over the site's field; returns its id."""

    def place(index: str) -> str:
        body = {
            "aoi": json.loads(shared_data("archive", "aoi", f"{SITE}.geojson").read_text()),
            "indices": [index],
        }
        request = urllib.request.Request(
            f"{suite.url}/orders", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["order"]

    return place


def record_requests(page, path: str) -> list[str]:
    """The addresses that are requested from now on and end in a path, and how they end after it."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url) if path in request.url else None)
    return found


def test_an_order_is_followed_by_its_event_stream_without_polling(visit, new_order):
    session = visit()
    page = session.open("status")
    order = new_order("EVI")
    requested = record_requests(page, f"/orders/{order}")
    # Until the server begins the stream, the order may be polled.
    page.on("response", lambda answer: requested.append("stream") if answer.url.endswith("/events") else None)
    session.open(f"order/{order}")
    wait_until(page, FINISHED, patience_s=90)
    assert sum(url.endswith("/events") for url in requested) == 1
    page.wait_for_timeout(2500)
    # Once when the stream begins, once when it ends, and a poll that the first event overtook.
    assert sum(url.endswith(order) for url in requested[requested.index("stream") :]) <= 3
    assert session.violations == [] and session.errors == []


def test_an_order_is_polled_where_the_deployment_has_no_streams(visit, new_order):
    session = visit()
    page = session.open("status")
    page.route(
        "**/orders/*/events",
        lambda route: route.fulfill(
            status=404, content_type="application/problem+json", json={"detail": "no streams here"}
        ),
    )
    order = new_order("NDRE")
    requested = record_requests(page, f"/orders/{order}")
    session.open(f"order/{order}")
    wait_until(page, FINISHED, patience_s=90)
    assert sum(url.endswith("/events") for url in requested) == 1
    assert session.errors == []


def test_a_broken_stream_is_reopened_and_the_token_stays_out_of_the_address(visit, new_order):
    session = visit()
    page = session.open("status")
    order = new_order("MSAVI")
    page.evaluate("sessionStorage.setItem('token', 'secret-token')")
    running = {"state": "running", "finished": None, "cancelled": None}
    streams: list = []

    def unfinished(route) -> None:
        """The order as it is, but running until the second stream."""
        answer = route.fetch(headers={"Accept": "application/json"})
        route.fulfill(response=answer, json=answer.json() | (running if len(streams) < 2 else {}))

    def stream(route) -> None:
        streams.append(route.request)
        if len(streams) == 1:
            route.fulfill(content_type="text/event-stream", body=": heartbeat\n\nretry: 10\n\n")
        else:
            route.fulfill(
                content_type="text/event-stream",
                body='event: progress\r\ndata: {"state":\r\ndata: "running"}\r\n\r\n',
            )

    page.route("**/status", lambda route: route.fulfill(json={}))
    page.route(f"**/orders/{order}", unfinished)
    page.route(f"**/orders/{order}/series*", lambda route: route.fulfill(json={"observations": []}))
    page.route(f"**/orders/{order}/events", stream)
    session.open(f"order/{order}")
    wait_until(page, FINISHED, patience_s=90)
    assert len(streams) >= 2
    assert {request.headers["authorization"] for request in streams} == {"Bearer secret-token"}
    assert not [request.url for request in streams if "secret-token" in request.url]


def test_an_order_shows_that_its_products_are_being_selected_and_why_none_were(visit, new_order):
    session = visit()
    page = session.page
    order = new_order("NDVI")
    changes: dict = {"state": "selecting", "reason": None}

    def selecting(route) -> None:
        answer = route.fetch()
        progress = {"total": 0, "open": 0, "done": 0, "skipped": 0, "failed": 0, "share": 0}
        route.fulfill(response=answer, json=answer.json() | {"jobs": [], "progress": progress} | changes)

    page.route(f"**/orders/{order}", selecting)
    page.route(f"**/orders/{order}/events", lambda route: route.fulfill(status=404, json={"detail": "none"}))
    session.open(f"order/{order}")
    page.locator("#view .card", has_text="Selecting products …").wait_for()
    page.locator(".readout", has_text="No results yet").wait_for()
    assert page.get_by_role("button", name="Cancel").is_visible()
    changes |= {"state": "finished", "reason": "the source does not answer"}
    changes |= {"notes": ["none of 2 passes meets the conditions"]}
    page.reload()
    page.locator("#view .card", has_text="Finished: nothing to process.").wait_for()
    page.locator("#view .card", has_text="The source does not answer.").wait_for()
    page.locator("#view .card .note", has_text="None of 2 passes meets the conditions.").wait_for()
    assert not page.locator(".results .readout").is_visible()
    assert session.errors == []
