"""Decoders of JSON into dataclasses and structs, prepared by one thread at a time.

msgspec prepares a class at its first use, and stores what it prepares on the class before it is complete: a
second thread that decodes meanwhile reads it (an exception, or a segmentation fault). So all types are
prepared here.
"""

from threading import Lock
from typing import Any

import msgspec

_lock = Lock()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def json_decoder[T](kind: type[T]) -> msgspec.json.Decoder[T]:
    """The decoder of a type; afterwards `msgspec.convert` may use the type as well."""
    decoder = _decoders.get(kind)
    if decoder is None:
        with _lock:
            decoder = _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    return decoder
