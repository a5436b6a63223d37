"""Idempotency-Key: the same request sent twice is worked once, and answered alike for a day (rules.md
R10)."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from hashlib import sha256
from typing import Any

from flask import Response, current_app, make_response, request
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import RequestContext
from revisit.domain.ids import derive_id
from revisit.errors import InvalidInputError, TransientError
from revisit.ports.backend import Backend
from revisit.ports.records import Transaction
from revisit.ports.system_records import IdempotencyRecord

RETENTION = timedelta(hours=24)
IN_PROGRESS = 0
"""Stands for the status of what is not answered yet."""
MAX_REQUEST_TIME = timedelta(seconds=120)
"""No request is worked longer: the function's time ends (terraform/functions.tf)."""
_PURGE_BATCH = 20
"""Answers looked at with each new one; those outdated are taken away."""


def run_idempotent(
    context: RequestContext,
    work: Callable[[], ResponseReturnValue],
    add_secrets: Callable[[Any], Any] | None = None,
) -> Response:
    """Do the work, or answer as before where the key has been seen with the same request.

    What raises is not kept: it has written nothing, and may go well the next time.

    Args:
        work: Gives the answer.
        complete: Adds to the answer's JSON value what is told but not kept: secrets.

    Raises:
        InvalidInputError: The key was used for another request.
        TransientError: The request is being worked at this moment.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return _with_secrets(make_response(work()), add_secrets)
    if not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        raise InvalidInputError("an Idempotency-Key has 1 to 255 printable ASCII characters without blanks")
    backend = context.backend
    id = derive_id("answer", context.owner_id, key)
    digest = sha256(f"{request.method} {request.full_path}\n".encode() + request.get_data()).hexdigest()
    if previous := _reserve(
        backend, IdempotencyRecord(id, digest, IN_PROGRESS, {}, "", backend.now(), context.owner_id), key
    ):
        return _with_secrets(Response(previous.body, previous.status, previous.headers), add_secrets)
    with ExitStack() as undo:
        undo.callback(backend.records.transact, lambda transaction: transaction.delete(IdempotencyRecord, id))
        response = make_response(work())
        undo.pop_all()
    now = backend.now()
    stored_headers = {
        name: response.headers[name] for name in ("Content-Type", "Location") if name in response.headers
    }
    answer = IdempotencyRecord(
        id,
        digest,
        response.status_code,
        stored_headers,
        response.get_data(as_text=True),
        now,
        context.owner_id,
    )
    # Ids are as good as random, so that of those after any one the outdated are met sooner or later.
    outdated = [
        old
        for old in backend.records.find(IdempotencyRecord, after=id, limit=_PURGE_BATCH)
        if now - old.at >= RETENTION
    ]

    def store_answer(transaction: Transaction) -> None:
        for old in outdated:
            transaction.delete(IdempotencyRecord, old.id)
        transaction.put(answer)

    backend.records.transact(store_answer)
    return _with_secrets(response, add_secrets)


def _reserve(backend: Backend, reservation: IdempotencyRecord, key: str) -> IdempotencyRecord | None:
    """The answer that was given before, or None where the work is now this request's."""

    def work(transaction: Transaction) -> IdempotencyRecord | None:
        previous = transaction.get(IdempotencyRecord, reservation.id)
        age = reservation.at - previous.at if previous else RETENTION
        if previous is None or age >= RETENTION:
            transaction.put(reservation)
            return None
        if previous.request != reservation.request:
            raise InvalidInputError(f"Idempotency-Key {key!r} was used for another request; send a new one")
        if previous.status != IN_PROGRESS:
            return previous
        if age < MAX_REQUEST_TIME:
            raise TransientError(
                f"the request with Idempotency-Key {key!r} is being worked; ask again in a moment"
            )
        transaction.put(reservation)  # whoever worked it has died
        return None

    return backend.records.transact(work)


def _with_secrets(response: Response, add_secrets: Callable[[Any], Any] | None) -> Response:
    if add_secrets is not None:
        response.set_data(current_app.json.dumps(add_secrets(response.get_json())) + "\n")
        response.headers["Cache-Control"] = "no-store"
    return response
