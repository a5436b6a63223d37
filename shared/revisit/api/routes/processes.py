"""OGC API Processes 1.0 (OGC 18-062r2) over orders: one process, `order`, whose jobs are orders and whose result is what came of one.

Ids of jobs are those of orders. What Revisit calls a job, the work for one acquisition, is not seen here.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

import msgspec
from flask import Response, request
from flask.typing import ResponseReturnValue

from revisit import services
from revisit.api.http.idempotency import once
from revisit.api.http.problems import problem
from revisit.api.http.request_context import Asked, begin, end
from revisit.api.routes.orders import Wanted, item_collection, wish_of
from revisit.api.routes.process_description import INPUTS, MODES, PROCESS, description, links_of, summary
from revisit.api.routes.results import ITEM_TYPE
from revisit.domain.job import Job
from revisit.domain.order import Order
from revisit.errors import BadInput, NotFound
from revisit.presenters import documents
from revisit.services.orders.cancel import cancel
from revisit.services.orders.create import fulfil

SPEC = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf"
CONFORMANCE = tuple(f"{SPEC}/{name}" for name in ("core", "ogc-process-description", "json", "job-list", "dismiss"))
EXCEPTIONS = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0"
RESULTS = "http://www.opengis.net/def/rel/ogc/1.0/results"
STATUSES = ("accepted", "running", "successful", "failed", "dismissed")
MOST_JOBS = 100
"""Of one answer."""


class Execution(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /processes/order/execution."""

    inputs: dict[str, Any]
    outputs: dict[str, Any] = {}
    response: str = "raw"
    mode: str = "async"


class _Missing(Exception):
    """What the standard has an exception type of its own for."""

    def __init__(self, type: str, sentence: str) -> None:
        super().__init__(sentence)
        self.type = type


def _told[**P](route: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """A route that tells what is missing by the standard's own types."""

    @wraps(route)
    def answer(*given: P.args, **named: P.kwargs) -> ResponseReturnValue:
        try:
            return route(*given, **named)
        except _Missing as error:
            return problem(404, "No such thing", str(error), {}, type=f"{EXCEPTIONS}/{error.type}")

    return answer


def conformance(asked: Asked) -> ResponseReturnValue:
    del asked
    return {"conformsTo": list(CONFORMANCE)}


def processes(asked: Asked) -> ResponseReturnValue:
    asked.number("limit", 10, 1, 1000)
    here = _root()
    return {"processes": [summary(here)], "links": [_link(f"{here}/processes", "self")]}


@_told
def process(asked: Asked, id: str) -> ResponseReturnValue:
    del asked
    _known_process(id)
    return description(_root())


@_told
def execute(asked: Asked, id: str) -> ResponseReturnValue:
    _known_process(id)

    def work() -> ResponseReturnValue:
        body = asked.body(Execution)
        wanted = _decoded(body.inputs)
        placed = fulfil(asked.backend, wish_of(asked, wanted), _reply(body))
        applied = {"Preference-Applied": "respond-async"} if "respond-async" in request.headers.get("Prefer", "") else {}
        return _status(asked, placed), 201, {"Location": f"{_root()}/jobs/{placed.id}", **applied}

    return once(asked, work)


def _known_process(id: str) -> None:
    if id != PROCESS:
        raise _Missing("no-such-process", f"there is no process {id[:100]!r}; there is {PROCESS}")


def _decoded(inputs: dict[str, Any]) -> Wanted:
    """What the inputs ask for: values as they are, or qualified as {"value": ...}."""
    plain: dict[str, Any] = {}
    for name, given in inputs.items():
        if name not in INPUTS:
            raise BadInput(f"process {PROCESS} has no input {name[:100]!r}; it has {', '.join(INPUTS)}")
        if isinstance(given, dict) and "href" in given:
            raise BadInput(f"input {name} is given as a link, and links are not followed; send its value")
        value = given["value"] if isinstance(given, dict) and "value" in given else given
        many = INPUTS[name]["schema"].get("type") == "array"
        plain[name] = [value] if many and not isinstance(value, list) else value
    try:
        return msgspec.convert(plain, Wanted)
    except msgspec.ValidationError as error:
        raise BadInput(f"the inputs are not what process {PROCESS} takes: {error}") from None


def _reply(body: Execution) -> str:
    """How the results are to be answered with, as the order's record keeps it."""
    if body.response not in ("raw", "document"):
        raise BadInput(f"response {body.response[:40]!r} is not offered; choose raw or document")
    if unknown := [name for name in body.outputs if name != "items"]:
        raise BadInput(f"process {PROCESS} has no output {unknown[0][:100]!r}; it has items")
    output = body.outputs.get("items", {})
    how = output.get("transmissionMode", "value") if isinstance(output, dict) else None
    if how not in MODES:
        raise BadInput(f"an output is asked for with a transmissionMode of {' or '.join(MODES)}")
    return f"{body.response} {how}"


def jobs(asked: Asked) -> ResponseReturnValue:
    limit = asked.number("limit", 10, 1, MOST_JOBS)
    types, ids, statuses = (_named(name) for name in ("type", "processID", "status"))
    if wrong := [status for status in statuses if status not in STATUSES]:
        raise BadInput(f"status {wrong[0][:40]!r} does not exist; choose from {', '.join(STATUSES)}")
    since, until = _interval(request.args.get("datetime", ""))
    least, most = (asked.number(name, bound, 0, 10**9) for name, bound in (("minDuration", 0), ("maxDuration", 10**9)))
    found: list[dict[str, Any]] = []
    after, more = asked.number("after", 0, 0, 10**6), 0
    for place, order in enumerate(services.orders(asked.backend, asked.owner)):
        if place < after or order.subscription or (types and "process" not in types) or (ids and PROCESS not in ids):
            continue
        if (since and order.created < since) or (until and order.created > until) or not least <= _seconds(asked, order) <= most:
            continue
        status = _status(asked, order)
        if not statuses or status["status"] in statuses:
            if len(found) == limit:
                more = place
                break
            found.append(status)
    links = [_link(request.url, "self")]
    if more:
        from urllib.parse import urlencode

        given = [(name, text) for name, text in request.args.items(multi=True) if name not in ("limit", "after")]
        again = [*given, ("limit", limit), ("after", more)]
        links.append(_link(f"{_root()}/jobs?{urlencode(again)}", "next"))
    return {"jobs": found, "links": links}


@_told
def job(asked: Asked, id: str) -> ResponseReturnValue:
    order = _order(asked, id)
    return _status(asked, order), {"Retry-After": "1"} if order.open else {}


@_told
def dismiss(asked: Asked, id: str) -> ResponseReturnValue:
    return _status(asked, cancel(asked.backend, _order(asked, id).id, asked.owner))


@_told
def results(asked: Asked, id: str) -> ResponseReturnValue:
    order = _order(asked, id)
    status = _status(asked, order)["status"]
    if status == "failed":
        raise BadInput(f"every acquisition failed, the first one because {_first_reason(asked, order)}")
    if status != "successful":
        raise _Missing("result-not-ready", f"job {order.id} is {status}; its results are there when it is successful")
    form, _, how = (order.reply or "document value").partition(" ")
    place = f"{_root()}/orders/{order.id}/items"
    if how == "reference":
        if form == "raw":
            return Response(status=204, headers={"Link": f'<{place}>; rel="items"; type="{ITEM_TYPE}"'})
        return {"items": {"href": place, "type": ITEM_TYPE, "rel": "items"}}
    collection = item_collection(asked, order)
    if form == "raw":
        return Response(msgspec.json.encode(collection), content_type=ITEM_TYPE)
    return Response(msgspec.json.encode({"items": {"value": collection, "mediaType": ITEM_TYPE}}), content_type="application/json")


def _order(asked: Asked, id: str) -> Order:
    try:
        return services.order_of(asked.backend, id, asked.owner)
    except NotFound:
        raise _Missing("no-such-job", f"there is no job {id!r}; GET /jobs names yours") from None


def _status(asked: Asked, order: Order) -> dict[str, Any]:
    """An order as the standard's statusInfo."""
    here, total = f"{_root()}/jobs/{order.id}", len(order.jobs)
    status = _word(asked, order)
    links = [_link(here, "self"), _link(f"{_root()}/jobs", "up")]
    if status == "successful":
        links.append(_link(f"{here}/results", RESULTS))
    ended = order.cancelled or (None if order.open else order.finished or order.created)
    told = {
        "processID": PROCESS, "type": "process", "jobID": order.id, "status": status,
        "message": f"{total - order.open} of {total} acquisitions have ended",
        "created": documents.moment(order.created), "started": documents.moment(order.created) if status != "accepted" else None,
        "finished": documents.moment(ended), "updated": documents.moment(ended or order.created),
        "progress": round(100 * (total - order.open) / total) if total else 100, "links": links,
    }
    return {name: value for name, value in told.items() if value is not None}


def _word(asked: Asked, order: Order) -> str:
    if order.cancelled:
        return "dismissed"
    if order.open:
        return "running" if order.open < len(order.jobs) else "accepted"
    failed = asked.backend.records.count(Job, orders=order.id, state="failed") if order.jobs else 0
    return "failed" if failed and failed == len(order.jobs) else "successful"


def _first_reason(asked: Asked, order: Order) -> str:
    first = asked.backend.records.find(Job, orders=order.id, state="failed", limit=1)
    return first[0].reason if first else "nobody knows"


def _seconds(asked: Asked, order: Order) -> float:
    until = order.cancelled or (asked.backend.now() if order.open else order.finished or order.created)
    return (until - order.created).total_seconds()


def _named(name: str) -> list[str]:
    return [value for each in request.args.getlist(name) for value in each.split(",") if value]


def _interval(text: str) -> tuple[datetime | None, datetime | None]:
    """A datetime parameter: an instant, or two with a slash between them, of which one may be open."""
    first, slash, last = text.partition("/")
    open_ended = ("", "..")
    since: datetime | None = None if first in open_ended else begin(first)
    if not slash:
        return since, max(end(first), since + timedelta(seconds=1)) if since else None
    return since, None if last in open_ended else end(last)


def _root() -> str:
    return request.url_root.rstrip("/")


def _link(href: str, rel: str) -> dict[str, str]:
    return {"href": href, "rel": rel, "type": "application/json"}


def landing() -> dict[str, Any]:
    """What a program is told at the root, where a person is shown the page."""
    here = _root()
    return {"title": "Revisit", "description": "Watches places on Earth through Sentinel-2.", "links": links_of(here)}


ROUTES = (
    ("GET", "/conformance", conformance),
    ("GET", "/processes", processes),
    ("GET", "/processes/conformance", conformance),
    ("GET", "/processes/<id>", process),
    ("POST", "/processes/<id>/execution", execute),
    ("GET", "/jobs", jobs),
    ("GET", "/jobs/<id>", job),
    ("DELETE", "/jobs/<id>", dismiss),
    ("GET", "/jobs/<id>/results", results),
)
