"""OGC API - Processes 1.0 (OGC 18-062r2) over orders: one process, `order`, whose jobs are orders.

Job ids are order ids. What Revisit calls a job, the processing of one acquisition, does not appear here.
"""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from flask import Response, request
from flask.typing import ResponseReturnValue

from revisit.api.http.problems import OgcNotFoundError
from revisit.api.http.request_context import RequestContext, Route, parse_period_end, parse_period_start
from revisit.api.routes.orders import CreateOrderBody, item_collection, order_request_from_body
from revisit.api.routes.process_description import (
    INPUTS,
    PROCESS_ID,
    TRANSMISSION_MODES,
    description,
    landing_links,
    summary,
)
from revisit.api.routes.results import ITEM_TYPE
from revisit.domain.job import Job
from revisit.domain.order import Order
from revisit.errors import InvalidInputError, NotFoundError
from revisit.ports.json_decoder import json_decoder
from revisit.presenters import documents, orders
from revisit.services.orders.cancel import cancel_order
from revisit.services.orders.create import create_order, get_order, list_own_orders

CONFORMANCE_BASE = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf"
CONFORMANCE = tuple(
    f"{CONFORMANCE_BASE}/{name}"
    for name in ("core", "ogc-process-description", "json", "job-list", "dismiss")
)
EXCEPTION_TYPE_BASE = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0"
RESULTS_REL = "http://www.opengis.net/def/rel/ogc/1.0/results"
STATUSES = ("accepted", "running", "successful", "failed", "dismissed")
MAX_JOBS = 100
"""Jobs of one page."""


class ExecuteBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /processes/order/execution."""

    inputs: dict[str, Any]
    outputs: dict[str, Any] = {}
    response: str = "raw"
    mode: str = "async"


def conformance(context: RequestContext) -> ResponseReturnValue:
    del context
    return {"conformsTo": list(CONFORMANCE)}


def processes(context: RequestContext) -> ResponseReturnValue:
    context.query_int("limit", 10, 1, 1000)
    here = _root_url()
    return {"processes": [summary(here)], "links": [_link(f"{here}/processes", "self")]}


def process(context: RequestContext, id: str) -> ResponseReturnValue:
    del context
    _check_process_id(id)
    return description(_root_url())


def execute(context: RequestContext, id: str) -> ResponseReturnValue:
    _check_process_id(id)
    body = context.decode_body(ExecuteBody)
    order_body = _decode_inputs(body.inputs)
    order = create_order(
        context.backend,
        order_request_from_body(context, order_body),
        _reply_format(body),
        defer_listing=True,
    )
    headers = {"Location": f"{_root_url()}/jobs/{order.id}"}
    if "respond-async" in request.headers.get("Prefer", ""):
        headers["Preference-Applied"] = "respond-async"
    return _status_info(context, order), 201, headers


def _ogc_not_found(type: str, message: str) -> OgcNotFoundError:
    return OgcNotFoundError(f"{EXCEPTION_TYPE_BASE}/{type}", message)


def _check_process_id(id: str) -> None:
    if id != PROCESS_ID:
        raise _ogc_not_found("no-such-process", f"there is no process {id[:100]!r}; there is {PROCESS_ID}")


def _decode_inputs(inputs: dict[str, Any]) -> CreateOrderBody:
    """The order body of the inputs: plain values, or qualified ones such as {"value": ...}."""
    plain: dict[str, Any] = {}
    for name, stated in inputs.items():
        if name not in INPUTS:
            raise InvalidInputError(
                f"process {PROCESS_ID} has no input {name[:100]!r}; it has {', '.join(INPUTS)}"
            )
        if isinstance(stated, dict) and "href" in stated:
            raise InvalidInputError(f"input {name} is a link, and links are not followed; send its value")
        value = stated["value"] if isinstance(stated, dict) and "value" in stated else stated
        many = INPUTS[name]["schema"].get("type") == "array"
        plain[name] = [value] if many and not isinstance(value, list) else value
    try:
        json_decoder(CreateOrderBody)
        return msgspec.convert(plain, CreateOrderBody)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"the inputs of process {PROCESS_ID} are invalid: {error}") from None


def _reply_format(body: ExecuteBody) -> str:
    """Form of the results, as the order stores it."""
    if body.response not in ("raw", "document"):
        raise InvalidInputError(f"response {body.response[:40]!r} is not offered; choose raw or document")
    if unknown := [name for name in body.outputs if name != "items"]:
        raise InvalidInputError(f"process {PROCESS_ID} has no output {unknown[0][:100]!r}; it has items")
    output = body.outputs.get("items", {})
    transmission_mode = output.get("transmissionMode", "value") if isinstance(output, dict) else None
    if transmission_mode not in TRANSMISSION_MODES:
        raise InvalidInputError(f"the transmissionMode of an output is {' or '.join(TRANSMISSION_MODES)}")
    return f"{body.response} {transmission_mode}"


def jobs(context: RequestContext) -> ResponseReturnValue:
    limit = context.query_int("limit", 10, 1, MAX_JOBS)
    types, ids, statuses = (_query_list(name) for name in ("type", "processID", "status"))
    if wrong := [status for status in statuses if status not in STATUSES]:
        raise InvalidInputError(f"status {wrong[0][:40]!r} does not exist; choose from {', '.join(STATUSES)}")
    since, until = _parse_interval(request.args.get("datetime", ""))
    shortest, longest = (
        context.query_int(name, bound, 0, 10**9)
        for name, bound in (("minDuration", 0), ("maxDuration", 10**9))
    )
    found: list[Order] = []
    after, has_more = request.args.get("after", ""), False
    wanted = (not types or "process" in types) and (not ids or PROCESS_ID in ids)
    for order in list_own_orders(context.backend, context.owner_id, after, limit + 1) if wanted else ():
        if until and order.created > until:
            continue
        if since and order.created < since:
            break
        if not shortest <= _duration_s(context, order) <= longest:
            continue
        if statuses and _status_code(context, order) not in statuses:
            continue
        if len(found) == limit:
            has_more = True
            break
        found.append(order)
    links = [_link(request.url, "self")]
    if has_more:
        kept_query = [
            (name, text) for name, text in request.args.items(multi=True) if name not in ("limit", "after")
        ]
        next_query = [*kept_query, ("limit", limit), ("after", found[-1].id)]
        links.append(_link(f"{_root_url()}/jobs?{urlencode(next_query)}", "next"))
    return {"jobs": [_status_info(context, order) for order in found], "links": links}


def job(context: RequestContext, id: str) -> ResponseReturnValue:
    order = _get_order(context, id)
    return _status_info(context, order), {"Retry-After": "1"} if order.is_active else {}


def dismiss(context: RequestContext, id: str) -> ResponseReturnValue:
    return _status_info(context, cancel_order(context.backend, _get_order(context, id).id, context.owner_id))


def results(context: RequestContext, id: str) -> ResponseReturnValue:
    order = _get_order(context, id)
    status = _status_info(context, order)["status"]
    if status == "failed":
        if order.reason:
            raise InvalidInputError(f"no products could be selected: {order.reason}")
        raise InvalidInputError(
            f"every acquisition failed, the first one because {_first_failure_reason(context, order)}"
        )
    if status != "successful":
        raise _ogc_not_found(
            "result-not-ready", f"job {order.id} is {status}; its results exist once it is successful"
        )
    form, _, transmission_mode = (order.reply or "document value").partition(" ")
    items_url = f"{_root_url()}/orders/{order.id}/items"
    if transmission_mode == "reference":
        if form == "raw":
            return Response(status=204, headers={"Link": f'<{items_url}>; rel="items"; type="{ITEM_TYPE}"'})
        return {"items": {"href": items_url, "type": ITEM_TYPE, "rel": "items"}}
    collection = item_collection(context, order)
    if form == "raw":
        return Response(msgspec.json.encode(collection), content_type=ITEM_TYPE)
    return Response(
        msgspec.json.encode({"items": {"value": collection, "mediaType": ITEM_TYPE}}),
        content_type="application/json",
    )


def _get_order(context: RequestContext, id: str) -> Order:
    try:
        return get_order(context.backend, id, context.owner_id)
    except NotFoundError:
        raise _ogc_not_found("no-such-job", f"there is no job {id!r}; GET /jobs names yours") from None


def _status_info(context: RequestContext, order: Order) -> dict[str, Any]:
    """An order as a statusInfo of the standard."""
    job_url, job_count = f"{_root_url()}/jobs/{order.id}", len(order.jobs)
    status = _status_code(context, order)
    links = [_link(job_url, "self"), _link(f"{_root_url()}/jobs", "up")]
    if status == "successful":
        links.append(_link(f"{job_url}/results", RESULTS_REL))
    ended = order.cancelled or (None if order.is_active else order.finished or order.created)
    info = {
        "processID": PROCESS_ID,
        "type": "process",
        "jobID": order.id,
        "status": status,
        "message": _message(order),
        "created": documents.json_time(order.created),
        "started": documents.json_time(order.created) if status != "accepted" else None,
        "finished": documents.json_time(ended),
        "updated": documents.json_time(ended or order.created),
        "progress": round(100 * (job_count - order.open) / job_count)
        if job_count
        else 100 * (not order.selecting),
        "links": links,
    }
    return {name: value for name, value in info.items() if value is not None}


def _message(order: Order) -> str:
    if order.selecting:
        return "its products are being selected"
    if order.reason:
        return order.reason
    ended = len(order.jobs) - order.open
    sentence = f"{ended} of {len(order.jobs)} acquisitions have ended"
    if not ended or order.done_jobs is None:
        return sentence
    return f"{sentence}: {orders.progress_text({**documents.order_summary(order), 'open': 0})}"


def _status_code(context: RequestContext, order: Order) -> str:
    if order.cancelled:
        return "dismissed"
    if order.state in ("selecting", "failed"):
        return "accepted" if order.selecting else "failed"
    if order.open:
        return "running" if order.open < len(order.jobs) else "accepted"
    failed = order.failed_jobs
    if failed is None:  # an order of an earlier version
        failed = context.backend.records.count(Job, orders=order.id, state="failed") if order.jobs else 0
    return "failed" if failed and failed == len(order.jobs) else "successful"


def _first_failure_reason(context: RequestContext, order: Order) -> str:
    first = context.backend.records.find(Job, orders=order.id, state="failed", limit=1)
    return first[0].reason if first else "no reason recorded"


def _duration_s(context: RequestContext, order: Order) -> float:
    until = order.cancelled or (context.backend.now() if order.is_active else order.finished or order.created)
    return (until - order.created).total_seconds()


def _query_list(name: str) -> list[str]:
    return [value for each in request.args.getlist(name) for value in each.split(",") if value]


def _parse_interval(text: str) -> tuple[datetime | None, datetime | None]:
    """A datetime parameter: an instant, or an interval with a slash, of which one end may be open."""
    first, slash, last = text.partition("/")
    open_ended = ("", "..")
    since: datetime | None = None if first in open_ended else parse_period_start(first)
    if not slash:
        end = parse_period_end(first)
        return since, max(end, since + timedelta(seconds=1)) if since and end else None
    return since, None if last in open_ended else parse_period_end(last)


def _root_url() -> str:
    return request.url_root.rstrip("/")


def _link(href: str, rel: str) -> dict[str, str]:
    return {"href": href, "rel": rel, "type": "application/json"}


def landing() -> dict[str, Any]:
    """The landing page as JSON; browsers get the page instead."""
    here = _root_url()
    return {
        "title": "Revisit",
        "description": "Monitors areas on Earth with Sentinel-2.",
        "links": landing_links(here),
    }


ROUTES = (
    Route("GET", "/conformance", conformance),
    Route("GET", "/processes", processes),
    Route("GET", "/processes/conformance", conformance),
    Route("GET", "/processes/<id>", process),
    Route("POST", "/processes/<id>/execution", execute, idempotent=True),
    Route("GET", "/jobs", jobs),
    Route("GET", "/jobs/<id>", job),
    Route("DELETE", "/jobs/<id>", dismiss),
    Route("GET", "/jobs/<id>/results", results),
)
