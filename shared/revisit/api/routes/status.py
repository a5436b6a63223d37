"""/health, /status and /limits."""

from dataclasses import asdict

from flask.typing import ResponseReturnValue

from revisit import __version__, services
from revisit.api.http.request_context import Asked
from revisit.ports.system_records import Announced
from revisit.presenters import documents
from revisit.services.accounts import quotas
from revisit.services.accounts.limits import limits_of


def health(asked: Asked) -> ResponseReturnValue:
    """Whether requests are answered and records can be read."""
    asked.backend.records.get(Announced, "catalog")
    return {"status": "ok", "version": __version__}


def status(asked: Asked) -> ResponseReturnValue:
    asked.operator_only()
    return services.status(asked.backend)


def limits(asked: Asked) -> ResponseReturnValue:
    used = quotas.used(asked.backend, asked.owner)
    ends = used.pop("day_ends", None)
    return {**asdict(limits_of(asked.owner)), "used": used, "day_ends": documents.moment(ends)}


ROUTES = (
    ("GET", "/health", health),
    ("GET", "/status", status),
    ("GET", "/limits", limits),
)
