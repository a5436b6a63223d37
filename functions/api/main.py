"""api: answers over HTTP what users ask."""

from io import BytesIO

import functions_framework
from flask import Response

from revisit.api import create_app
from revisit.runtime import current_backend

APP = []


@functions_framework.http
def api(request):
    if not APP:
        APP.append(create_app(current_backend()))
    # The framework reads the body too, so the application is given its own copy.
    return Response.from_app(APP[0], {**request.environ, "wsgi.input": BytesIO(request.get_data())})
