"""Idempotency-Key: the same request sent twice is worked once, and answered alike for a day (rules.md R10)."""

import re
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from hashlib import sha256
from typing import Any

from flask import Response, current_app, make_response, request
from flask.typing import ResponseReturnValue

from revisit.api.http.request_context import Asked
from revisit.domain.ids import derived
from revisit.errors import BadInput, Retry
from revisit.ports.backend import Backend
from revisit.ports.records import Transaction
from revisit.ports.system_records import Answered

KEPT = timedelta(hours=24)
UNDER_WAY = 0
"""Stands for the status of what is not answered yet."""
LONGEST = timedelta(seconds=120)
"""No request is worked longer: the function's time ends (terraform/functions.tf)."""
_LOOKED_AT = 20
"""Answers looked at with each new one; those outdated are taken away."""


def once(asked: Asked, work: Callable[[], ResponseReturnValue], complete: Callable[[Any], Any] | None = None) -> Response:
    """Do the work, or answer as before where the key has been seen with the same request.

    What raises is not kept: it has written nothing, and may go well the next time.

    Args:
        work: Gives the answer.
        complete: Adds to the answer's JSON value what is told but not kept: secrets.

    Raises:
        BadInput: The key was used for another request.
        Retry: The request is being worked at this moment.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return _completed(make_response(work()), complete)
    if not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        raise BadInput("an Idempotency-Key has 1 to 255 printable ASCII characters without blanks")
    backend = asked.backend
    id = derived("answer", asked.owner, key)
    digest = sha256(f"{request.method} {request.full_path}\n".encode() + request.get_data()).hexdigest()
    if before := _begin(backend, Answered(id, digest, UNDER_WAY, {}, "", backend.now(), asked.owner), key):
        return _completed(Response(before.body, before.status, before.headers), complete)
    with ExitStack() as undo:
        undo.callback(backend.records.transact, lambda transaction: transaction.delete(Answered, id))
        response = make_response(work())
        undo.pop_all()
    now = backend.now()
    kept = {name: response.headers[name] for name in ("Content-Type", "Location") if name in response.headers}
    answer = Answered(id, digest, response.status_code, kept, response.get_data(as_text=True), now, asked.owner)
    # Ids are as good as random, so that of those after any one the outdated are met sooner or later.
    outdated = [old for old in backend.records.find(Answered, after=id, limit=_LOOKED_AT) if now - old.at >= KEPT]

    def keep(transaction: Transaction) -> None:
        for old in outdated:
            transaction.delete(Answered, old.id)
        transaction.put(answer)

    backend.records.transact(keep)
    return _completed(response, complete)


def _begin(backend: Backend, asked: Answered, key: str) -> Answered | None:
    """The answer that was given before, or None where the work is now this request's."""
    def work(transaction: Transaction) -> Answered | None:
        before = transaction.get(Answered, asked.id)
        age = asked.at - before.at if before else KEPT
        if before is None or age >= KEPT:
            transaction.put(asked)
            return None
        if before.request != asked.request:
            raise BadInput(f"Idempotency-Key {key!r} was used for another request; send a new one")
        if before.status != UNDER_WAY:
            return before
        if age < LONGEST:
            raise Retry(f"the request with Idempotency-Key {key!r} is being worked; ask again in a moment")
        transaction.put(asked)  # whoever worked it has died
        return None

    return backend.records.transact(work)


def _completed(response: Response, complete: Callable[[Any], Any] | None) -> Response:
    if complete is not None:
        response.set_data(current_app.json.dumps(complete(response.get_json())) + "\n")
        response.headers["Cache-Control"] = "no-store"
    return response
