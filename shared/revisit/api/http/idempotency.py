"""Idempotency keys: a request that is sent twice with one key takes effect once and is answered alike."""

import re
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

from flask import Response, current_app, request

from revisit.api.http.request_context import RequestContext
from revisit.domain.ids import derive_id
from revisit.errors import InvalidInputError, TransientError
from revisit.ports.backend import Backend
from revisit.ports.records import Transaction
from revisit.ports.system_records import IdempotencyRecord

RETENTION = timedelta(hours=24)
"""How long an answer is stored."""
IN_PROGRESS = 0
"""Status of a record whose request is not answered yet."""
MAX_REQUEST_TIME = timedelta(seconds=120)
"""Longest request: the function's time-out (terraform/functions.tf)."""
STORED_HEADERS = ("Content-Type", "Location")
PURGE_BATCH = 20
"""Records checked for expiry with each new one."""


def answer_repeats(context: RequestContext, proceed: Callable[[RequestContext], Response]) -> Response:
    """Answer a request, or repeat the stored answer to the same request with the same Idempotency-Key.

    A handler that raises has written nothing: its request is not stored, and may succeed the next time.

    Raises:
        InvalidInputError: The key was used for another request.
        TransientError: The first request is still in progress.
    """
    if not context.route.idempotent:
        return proceed(context)
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return _with_secrets(context, proceed(context))
    if not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        raise InvalidInputError("an Idempotency-Key has 1 to 255 printable ASCII characters without blanks")
    backend = context.backend
    id = derive_id("answer", context.owner_id, key)
    digest = sha256(f"{request.method} {request.full_path}\n".encode() + request.get_data()).hexdigest()
    reservation = IdempotencyRecord(id, digest, IN_PROGRESS, {}, "", backend.now(), context.owner_id)
    if previous := _reserve(backend, reservation, key):
        return _with_secrets(context, Response(previous.body, previous.status, previous.headers))
    response = None
    try:
        response = proceed(context)
    finally:
        if response is None:
            backend.records.transact(lambda transaction: transaction.delete(IdempotencyRecord, id))
    _store(
        backend,
        IdempotencyRecord(
            id,
            digest,
            response.status_code,
            {name: response.headers[name] for name in STORED_HEADERS if name in response.headers},
            response.get_data(as_text=True),
            backend.now(),
            context.owner_id,
        ),
    )
    return _with_secrets(context, response)


def _store(backend: Backend, answer: IdempotencyRecord) -> None:
    # Ids are hashes, so reading on from any id reaches every expired record sooner or later.
    expired = [
        record
        for record in backend.records.find(IdempotencyRecord, after=answer.id, limit=PURGE_BATCH)
        if answer.at - record.at >= RETENTION
    ]

    def work(transaction: Transaction) -> None:
        for record in expired:
            transaction.delete(IdempotencyRecord, record.id)
        transaction.put(answer)

    backend.records.transact(work)


def _reserve(backend: Backend, reservation: IdempotencyRecord, key: str) -> IdempotencyRecord | None:
    """The stored answer, or None where the key is now reserved for this request."""

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
                f"the request with Idempotency-Key {key!r} is still in progress; retry in a moment"
            )
        transaction.put(reservation)  # the process that handled it has died
        return None

    return backend.records.transact(work)


def _with_secrets(context: RequestContext, response: Response) -> Response:
    """The answer including secrets, which are never stored."""
    add_secrets = context.route.add_secrets
    if add_secrets is not None:
        document = add_secrets(context, response.get_json())
        response.set_data(current_app.json.dumps(document) + "\n")
        response.headers["Cache-Control"] = "no-store"
    return response
