"""Connections of webhooks: the address that was checked, certificates and time limits."""

import ssl
import subprocess
import time

import pytest

from delivery.webhook_samples import BODY, NOW, post_to
from revisit.delivery.url_guard import Endpoint, check_url, resolve
from revisit.delivery.webhook_client import post
from webhook_receiver import answer_after, hang, receiver


def test_a_name_rebound_to_a_private_address_is_never_connected_to():
    with receiver() as hook:
        answers = iter(
            [["93.184.215.14"], ["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::ffff:127.0.0.1"], ["::1"]]
        )
        endpoint = Endpoint("https", "rebinding.example.com", hook.port, "/")
        assert resolve(endpoint, lambda host, port: next(answers)) == ("93.184.215.14",)
        for _ in range(4):
            assert post(
                endpoint, {}, BODY, NOW, resolver=lambda host, port: next(answers)
            ).outcome.startswith("refused: rebinding")
        assert hook.connections == 0


def test_the_address_checked_is_the_one_connected_to(monkeypatch):
    asked = []

    def resolver(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else pytest.fail("the name was looked up again")

    with receiver() as hook:
        endpoint = Endpoint("http", "no-such-name.invalid", hook.port, "/h", local=True)
        assert post(endpoint, {}, BODY, NOW, resolver=resolver).delivered
        assert hook.requests[0][0]["host"] == f"no-such-name.invalid:{hook.port}"
    assert asked == ["no-such-name.invalid"]


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    with receiver() as proxy, receiver() as hook:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert post_to(hook).delivered
        assert proxy.connections == 0


def test_the_next_address_of_a_name_is_tried_when_one_does_not_answer():
    with receiver() as hook:
        endpoint = Endpoint("http", "two.example.com", hook.port, "/", local=True)
        assert post(
            endpoint, {}, BODY, NOW, resolver=lambda host, port: ["127.0.0.77", "127.0.0.1"], timeout_s=5
        ).delivered


def test_a_name_server_that_hangs_times_out():
    answered = post(
        check_url("https://hooks.example.com/", ()),
        {},
        BODY,
        NOW,
        timeout_s=0.2,
        resolver=lambda host, port: time.sleep(1) or ["93.184.215.14"],
    )
    assert answered.outcome == "no connection: hooks.example.com was not resolved in time"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of hooks.example.com and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            key,
            "-out",
            cert,
            "-days",
            "2",
            "-subj",
            "/CN=hooks.example.com",
            "-addext",
            "subjectAltName=DNS:hooks.example.com",
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def tls_pair(certificate):
    cert, key = certificate
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    return server, ssl.create_default_context(cafile=str(cert))


def test_https_keeps_the_name_for_sni_host_and_certificate(certificate):
    server, trust = tls_pair(certificate)
    names = []
    server.sni_callback = lambda connection, name, context: names.append(name)
    with receiver(tls=server) as hook:
        endpoint = Endpoint("https", "hooks.example.com", hook.port, "/h", local=True)
        assert post(
            endpoint, {}, BODY, NOW, resolver=lambda host, port: ["127.0.0.1"], ssl_context=trust
        ).delivered
        assert names == ["hooks.example.com"]
        assert hook.requests[0][0]["host"] == f"hooks.example.com:{hook.port}"


def test_https_to_another_name_or_an_unknown_certificate_is_refused(certificate):
    server, trust = tls_pair(certificate)
    with receiver(tls=server) as hook:
        for host, trusted in (("other.example.com", trust), ("hooks.example.com", None)):
            answered = post(
                Endpoint("https", host, hook.port, "/", local=True),
                {},
                BODY,
                NOW,
                ssl_context=trusted,
                resolver=lambda host, port: ["127.0.0.1"],
            )
            assert "certificate" in answered.outcome.lower() and not answered.delivered
        assert not hook.requests


def test_a_tls_handshake_that_hangs_times_out():
    with receiver(answer_after(5, hang)) as hook:
        endpoint = Endpoint("https", "hooks.example.com", hook.port, "/", local=True)
        assert post(
            endpoint, {}, BODY, NOW, resolver=lambda host, port: ["127.0.0.1"], timeout_s=0.3
        ).outcome.startswith("timeout")
