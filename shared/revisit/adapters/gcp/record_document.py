"""Document of a record in Firestore: its id, its fields and the precondition that it is unchanged.

A document has its record as JSON text in `body`, since Firestore does not accept GeoJSON's nested arrays,
beside the indexed fields and the owner that the security rules check.
"""

import typing
from typing import TYPE_CHECKING, Any

import msgspec
from google.api_core.retry import Retry as Retrying
from google.cloud import firestore

from revisit.errors import PermanentError
from revisit.ports.record_types import KINDS, decode, encode, expires_at, indexed_values, sort_keys

if TYPE_CHECKING:
    from google.cloud.firestore import Client, CollectionReference, DocumentReference, DocumentSnapshot

EXPIRES_FIELD = "expires"
"""The field of the TTL policy."""
TIMEOUT_S = 20.0
"""Longest that a read may take with its retries, seconds."""
READ_RETRY = Retrying(initial=0.2, maximum=4.0, timeout=TIMEOUT_S)
MAX_ID_BYTES = 1500
"""Longest id of a document in UTF-8."""


def precondition(snapshot: "DocumentSnapshot[Any]") -> Any:
    """The precondition that a document is unchanged since it was read, or still missing."""
    return firestore.Client.write_option(
        **({"last_update_time": snapshot.update_time} if snapshot.exists else {"exists": False})
    )


def document(client: "Client", collection: str, id: str) -> "DocumentReference":
    """The document of an id with any characters (Firestore, "Constraints on document IDs").

    Raises:
        PermanentError: The id is empty or too long.
    """
    documents: CollectionReference = client.collection(collection)
    name = id.replace("%", "%25").replace("/", "%2F")
    if name[:1] in (".", "_"):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if not 1 <= len(name.encode("utf-8", "replace")) <= MAX_ID_BYTES:
        raise PermanentError(
            f"{id[:80]!r} cannot be the id of a record: it has {len(id)} characters, where 1 to "
            f"{MAX_ID_BYTES} bytes are kept"
        )
    return documents.document(name)


def fields_of(record: Any) -> dict[str, Any]:
    """A record as the fields of its document."""
    plural = tuple_fields(type(record))
    found = {
        name: list(values) if name in plural else values[0] for name, values in indexed_values(record).items()
    }
    owner = {"owner": record.owner} if hasattr(record, "owner") else {}
    moment = expires_at(record)
    return {
        **found,
        **sort_keys(record),
        **owner,
        **({EXPIRES_FIELD: moment} if moment else {}),
        "body": encode(record).decode(),
    }


_tuple_fields_by_kind: dict[type[Any], frozenset[str]] = {}


def tuple_fields(kind: type[Any]) -> frozenset[str]:
    """The indexed fields that are tuples."""
    if kind not in _tuple_fields_by_kind:
        hints = typing.get_type_hints(kind)
        _tuple_fields_by_kind[kind] = frozenset(
            name for name in KINDS[kind] if typing.get_origin(hints.get(name)) is tuple
        )
    return _tuple_fields_by_kind[kind]


def decode_snapshot[T](snapshot: Any, kind: type[T]) -> T | None:
    """The record of a document; None if there is no such document.

    Raises:
        PermanentError: It is damaged.
    """
    if not snapshot.exists:
        return None
    try:
        return decode(snapshot.get("body"), kind)
    except (KeyError, msgspec.MsgspecError) as error:
        raise PermanentError(
            f"the record {snapshot.reference.path} is damaged ({error}); run `revisit doctor`"
        ) from error
