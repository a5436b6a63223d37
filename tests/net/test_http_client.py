"""HTTP clients: bounded responses, no redirects, and one set of failures."""

import httpx
import pytest

from revisit.errors import PermanentError
from revisit.net.http_client import create_client, read_bounded, send
from revisit.net.retry import AttemptFailedError


def client_for(handler):
    return create_client(transport=httpx.MockTransport(handler))


def test_a_redirect_is_returned_and_not_followed():
    seen = []

    def handler(request):
        seen.append((str(request.url), request.headers["user-agent"].partition("/")[0]))
        return httpx.Response(302, headers={"location": "http://169.254.169.254/"})

    with send(client_for(handler), "GET", "https://example.org/a") as response:
        assert response.status_code == 302
    assert seen == [("https://example.org/a", "Revisit")]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx.ConnectTimeout("x"), "does not answer in time"),
        (httpx.ReadTimeout("x"), "does not answer in time"),
        (httpx.ConnectError("x"), r"cannot be reached or breaks off \(ConnectError\)"),
        (httpx.RemoteProtocolError("x"), r"breaks off \(RemoteProtocolError\)"),
        (httpx.DecodingError("x"), r"breaks off \(DecodingError\)"),
    ],
)
def test_a_failure_to_connect_or_to_read_can_be_retried(error, reason):
    def handler(request):
        raise error

    with (
        pytest.raises(AttemptFailedError, match=reason),
        send(client_for(handler), "GET", "https://example.org/"),
    ):
        pass


@pytest.mark.parametrize("url", ["https://example.org:port/", "ftp://example.org/", "no address", ""])
def test_what_is_not_an_address_is_refused(url):
    with (
        pytest.raises(PermanentError, match="is not an http or https address"),
        send(create_client(), "GET", url),
    ):
        pass


def test_a_response_is_read_up_to_a_limit_of_bytes_and_time():
    def handler(request):
        return httpx.Response(200, content=iter([b"x" * 600, b"x" * 600]))

    with send(client_for(handler), "GET", "https://example.org/") as response:
        assert len(read_bounded(response, 1200, 60)) == 1200
    for limits, reason in (((1199, 60), "more than 1,199 bytes"), ((1200, 0.0), "longer than 0 s")):
        with (
            pytest.raises(AttemptFailedError, match=reason),
            send(client_for(handler), "GET", "https://example.org/") as response,
        ):
            read_bounded(response, *limits)
