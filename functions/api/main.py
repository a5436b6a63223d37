"""api: answers over HTTP what users ask."""

import functions_framework

from revisit.api import create_app
from revisit.runtime import current_backend

APP = []


@functions_framework.http
def api(request):
    if not APP:
        APP.append(create_app(current_backend()))
    with APP[0].request_context(request.environ):
        return APP[0].full_dispatch_request()
