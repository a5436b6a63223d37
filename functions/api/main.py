"""HTTP: answers API requests."""

from io import BytesIO

import functions_framework
from flask import Request, current_app
from werkzeug import Response

from revisit.api import create_app
from revisit.runtime import current_backend

EXTENSION = "revisit.api"


@functions_framework.http
def api(request: Request) -> Response:
    extensions = current_app.extensions
    if EXTENSION not in extensions:
        extensions.setdefault(EXTENSION, create_app(current_backend()))
    # functions-framework consumes the body, so the application gets a copy.
    environment = {**request.environ, "wsgi.input": BytesIO(request.get_data())}
    return Response.from_app(extensions[EXTENSION], environment)
