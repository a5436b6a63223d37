"""STAC's schemas from pystac, for validators that would download them; extensions accept everything."""

import io
import json
import urllib.request
from importlib.resources import files
from typing import Any

import pytest

_SCHEMA_FOLDERS = {
    "https://schemas.stacspec.org/v1.1.0/": "stac-spec/v1.1.0/",
    "https://geojson.org/schema/": "geojson/",
}


def load_schema(url: str) -> dict[str, Any]:
    """The schema of an address."""
    bare = url.partition("#")[0]
    for place, folder in _SCHEMA_FOLDERS.items():
        if bare.startswith(place):
            return json.loads(
                files("pystac")
                .joinpath("validation", "jsonschemas", folder, bare.rpartition("/")[2])
                .read_text()
            )
    assert bare.startswith("https://stac-extensions.github.io/"), url
    return {"$schema": "http://json-schema.org/draft-07/schema#", "$id": bare}


def serve_schemas_offline(patch: pytest.MonkeyPatch) -> None:
    """Hand out schemas instead of fetching them; any other URL is fetched."""
    from stac_validator import utilities

    fetch = utilities.fetch_and_parse_file

    def opened(request: urllib.request.Request, **_: Any) -> io.BytesIO:
        return io.BytesIO(json.dumps(load_schema(request.full_url)).encode())

    def fetched(path: str, *rest: Any, **more: Any) -> Any:
        return fetch(path, *rest, **more) if path.startswith("http://127.0.0.1") else load_schema(path)

    patch.setattr(utilities, "urlopen", opened)
    patch.setattr(utilities, "fetch_and_parse_file", fetched)
