"""SSRF guard: webhook URLs and addresses that are refused."""

import pytest

from revisit.delivery.url_guard import ALLOW_VARIABLE, Endpoint, check_url, is_public, resolve
from revisit.errors import InvalidInputError, TransientError

BAD = [
    # not https, or no URL at all
    "http://hooks.example.com/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://hooks.example.com/",
    "//hooks.example.com/",
    "hooks.example.com/path",
    "https://",
    "https:///path",
    "javascript:alert(1)",
    "",
    # addresses, in every spelling
    "https://127.0.0.1/",
    "https://10.0.0.5/hook",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://2130706433/",
    "https://0177.0.0.1/",
    "https://0x7f.0.0.1/",
    "https://127.0.0.0x1/",
    "https://0x7f.0.0.1/",
    "https://127.0.0.0x1/",
    "https://127.1/",
    "https://0/",
    "https://8.8.8.8/",
    "https://[::1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[fd20:ce::254]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[fe80::1%25eth0]/",
    "https://[::1/",
    # names inside
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://metadata.google.internal./",
    "https://metadata/",
    "https://printer.local/",
    "https://intranet.corp/",
    "https://hooks.example.com./",
    # users, ports, escapes, parser quarrels
    "https://user@hooks.example.com/",
    "https://user:secret@hooks.example.com/",
    "http://x@127.0.0.1/",
    "https://hooks.example.com@127.0.0.1/",
    "https://hooks.example.com:22/",
    "https://hooks.example.com:8443/",
    "https://hooks.example.com:99999/",
    "https://hooks.example.com:port/",
    "https://hooks.example.com\\@127.0.0.1/",
    "https://127.0.0.1%2f@hooks.example.com/",
    "https://hooks%2eexample.com/",
    "https://hooks.example.com/ path",
    "https://hooks.example.com/\r\nHost: metadata.google.internal",
    "https://hooks.example.com/\x00",
    # names in other scripts: circled letters, full-width digits, an umlaut
    "https://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/",
    "https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
    "https://b\u00fccher.example.com/",
    "https://hooks..example.com/",
    "https://-hooks.example.com/",
    "https://" + "a" * 64 + ".example.com/",
    "https://hooks.example.com/" + "a" * 2030,
]
"""58 ways to be sent inside."""


@pytest.mark.parametrize("url", BAD, ids=lambda url: ascii(url)[:50])
def test_a_url_that_is_not_public_is_refused_in_one_sentence(url):
    with pytest.raises(InvalidInputError, match=r"^webhook .{5,}") as refused:
        check_url(url, allowed=())
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300


@pytest.mark.parametrize("url", BAD, ids=lambda url: ascii(url)[:50])
def test_allowing_one_local_receiver_allows_no_other(url):
    with pytest.raises(InvalidInputError):
        check_url(url, allowed=frozenset({"127.0.0.1:9000"}))


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("https://hooks.example.com", "hooks.example.com", "/"),
        ("https://Hooks.Example.COM:443/a/b?c=d#e", "hooks.example.com", "/a/b?c=d"),
        ("https://xn--bcher-kva.example/h", "xn--bcher-kva.example", "/h"),
        ("https://hooks_eu.example.com/?x", "hooks_eu.example.com", "/?x"),
    ],
)
def test_a_public_https_name_passes(url, host, target):
    assert check_url(url, allowed=()) == Endpoint("https", host, 443, target)


def test_plain_http_is_allowed_only_for_local_receivers_that_the_environment_lists(monkeypatch):
    monkeypatch.setenv(ALLOW_VARIABLE, "localhost:9000, 127.0.0.1:9001")
    assert check_url("http://127.0.0.1:9001/h").local
    assert check_url("http://localhost:9000/h") == Endpoint("http", "localhost", 9000, "/h", local=True)
    for other in (
        "http://127.0.0.1:9000/",
        "http://localhost/",
        "http://127.0.0.1:22/",
        "http://[::1]:9000/",
    ):
        with pytest.raises(InvalidInputError):
            check_url(other)
    monkeypatch.delenv(ALLOW_VARIABLE)
    with pytest.raises(InvalidInputError, match=f"set {ALLOW_VARIABLE}=127.0.0.1:9001"):
        check_url("http://127.0.0.1:9001/h")


def test_a_local_ipv6_receiver_is_listed_in_brackets():
    assert check_url("http://[::1]:9000/", allowed={"[::1]:9000"}).local
    with pytest.raises(InvalidInputError):
        check_url("http://[::1]:9001/", allowed={"[::1]:9000"})


INSIDE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::7f00:1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "100::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_a_private_address_is_refused_even_beside_a_public_one(address):
    endpoint = check_url("https://hooks.example.com/", allowed=())
    with pytest.raises(InvalidInputError, match="nothing was sent"):
        resolve(endpoint, lambda host, port: ["93.184.215.14", address])


@pytest.mark.parametrize(
    "address",
    ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "2a00:1450:4001:80e::200e"],
)
def test_a_public_address_is_accepted(address):
    from ipaddress import ip_address

    assert is_public(ip_address(address))
    assert resolve(
        check_url("https://hooks.example.com/", allowed=()), lambda host, port: [address, address]
    ) == (address,)


def test_a_local_receiver_must_have_a_loopback_address():
    endpoint = check_url("http://localhost:9000/", allowed={"localhost:9000"})
    assert resolve(endpoint, lambda host, port: ["127.0.0.1", "::1"]) == ("127.0.0.1", "::1")
    for elsewhere in ("10.0.0.5", "93.184.215.14", "169.254.169.254"):
        with pytest.raises(InvalidInputError, match="not on this computer"):
            resolve(endpoint, lambda host, port, at=elsewhere: [at])


def test_a_name_without_an_address_is_a_transient_error():
    def nowhere(host, port):
        raise OSError("Name or service not known")

    for resolver in (nowhere, lambda host, port: []):
        with pytest.raises(TransientError, match=r"hooks\.example\.com has no address"):
            resolve(check_url("https://hooks.example.com/", allowed=()), resolver)
