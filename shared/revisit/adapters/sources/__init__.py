"""Sources of products; each is imported on first use."""

from pathlib import Path

from revisit.errors import InvalidInputError
from revisit.ports.sources import Source

_SPEC_FORMS = "write folder:PATH, google-index:PATH-or-URL or stac:URL#collection"


def open_source(spec: str) -> Source:
    """The source that a SPEC names.

    Args:
        spec: folder:PATH, google-index:PATH-or-URL or stac:URL#collection.

    Returns:
        The source; its own `spec` has absolute paths.

    Raises:
        InvalidInputError: The SPEC names no source.
    """
    kind, _, location = spec.strip().partition(":")
    if not location or not spec.strip().isprintable():
        raise InvalidInputError(f"{spec!r} is not a source; {_SPEC_FORMS}")
    if kind == "folder":
        from revisit.adapters.sources.folder import Folder

        return Folder(_absolute_path(location))
    if kind == "google-index":
        from revisit.adapters.sources.google_index import GoogleIndex

        if location.startswith("gs://"):
            raise InvalidInputError(
                f"{location!r} is loaded by BigQuery, in a deployment; here write "
                f"https://storage.googleapis.com/{location[5:]}"
            )
        return GoogleIndex(location if "://" in location else _absolute_path(location))
    if kind == "stac":
        from revisit.adapters.sources.stac_api import StacApi

        return StacApi(location)
    raise InvalidInputError(f"{spec!r} is not a source; {_SPEC_FORMS}")


def _absolute_path(path: str) -> str:
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError:
        raise InvalidInputError(
            f"{path!r} begins with the home folder of an unknown user; write the whole path"
        ) from None
