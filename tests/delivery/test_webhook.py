"""Webhooks: payload, signature, and a result for every way a receiver may behave."""

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from delivery.webhook_samples import (
    BODY,
    NOW,
    SECRET,
    an_alert,
    new_secret,
    post_to,
    the_subscription,
    verify,
)
from revisit.delivery import webhook_client
from revisit.delivery.url_guard import check_url
from revisit.delivery.webhook import payload, signed_headers
from revisit.delivery.webhook_client import post
from revisit.domain.alert import alert_id
from revisit.domain.job import Statistics
from revisit.domain.webhook_secret import new_key
from revisit.errors import InvalidInputError
from revisit.net.http_client import parse_retry_after
from webhook_receiver import answer, dribble, flood, hang, receiver, reset

# ---- the signature


def test_the_signature_is_that_of_the_specification():
    # By hand: base64(HMAC-SHA256(base64-decoded secret, "id.timestamp.body")), the spec's section "Signature
    # scheme".
    import base64
    import hashlib
    import hmac

    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, b"msg_1.1719835200." + BODY, hashlib.sha256).digest()).decode()
    assert signed_headers(SECRET, "msg_1", NOW, BODY) == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1719835200",
        "webhook-signature": f"v1,{expected}",
    }


@pytest.mark.parametrize("hours", [-11, -5, 0, 1, 14])
def test_the_clock_of_the_sender_may_be_set_to_any_zone(hours):
    there = NOW.astimezone(timezone(timedelta(hours=hours)))
    assert signed_headers(SECRET, "msg_1", there, BODY) == signed_headers(SECRET, "msg_1", NOW, BODY)


def test_a_key_is_32_random_bytes():
    import base64

    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(base64.b64decode(key, validate=True)) == 32 for key in keys)


def now():
    return datetime.now(UTC)


@given(st.binary(max_size=300).map(lambda raw: json.dumps(raw.hex()).encode()), st.data())
def test_a_signature_verifies_and_any_changed_byte_does_not(body, data):
    secret = new_secret()
    headers = signed_headers(secret, "msg_1", now(), body)
    assert verify(secret, headers, body) == json.loads(body)
    at = data.draw(st.integers(0, len(body) - 1))
    other = data.draw(st.integers(1, 255))
    with pytest.raises(InvalidInputError):
        verify(secret, headers, body[:at] + bytes([body[at] ^ other]) + body[at + 1 :])


@given(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text(max_size=60))
def test_invalid_headers_are_rejected_and_never_crash(name, value):
    secret = new_secret()
    headers = signed_headers(secret, "msg_1", now(), BODY)
    if value.strip() != headers[name]:
        with pytest.raises(InvalidInputError):
            verify(secret, headers | {name: value}, BODY)


def test_an_old_message_is_refused():
    headers = signed_headers(SECRET, "msg_1", now() - timedelta(seconds=302), BODY)
    with pytest.raises(InvalidInputError, match="too old"):
        verify(SECRET, headers, BODY)


def test_during_a_rotation_both_secrets_verify():
    old, new = new_secret(), new_secret()
    headers = signed_headers(f"{old} {new}", "msg_1", now(), BODY)
    assert Webhook(old).verify(BODY, headers) == Webhook(new).verify(BODY, headers) == json.loads(BODY)
    with pytest.raises(InvalidInputError):
        verify(new_secret(), headers, BODY)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!", "whsec_\u00fc"])
def test_an_invalid_secret_is_refused(secret):
    with pytest.raises(InvalidInputError, match="secret"):
        signed_headers(secret, "msg_1", NOW, BODY)


# ---- the payload


def test_the_payload_says_what_happened_in_numbers():
    read = json.loads(
        payload(an_alert(backfill=True, reason="no mask"), the_subscription(), "https://revisit.example/api/")
    )
    assert read == {
        "id": alert_id("sub_1", "S2A_1"),
        "type": "alert.created",
        "timestamp": "2024-07-01T12:00:00Z",
        "data": {
            "subscription": "sub_1",
            "name": "Field",
            "number": 7,
            "kind": "new",
            "updates": None,
            "acquisition": "S2A_1",
            "product": "P",
            "sensing_time": "2024-06-30T12:00:00Z",
            "coverage": 0.75,
            "clear_fraction": 0.75,
            "clear_of_aoi": 0.5625,
            "seen": "75 % of your area was seen, 75 % of that clear",
            "mask": "SCL",
            "indices": {
                "NDVI": {"count": 225, "mean": 0.5, "std": 0.1, "min": 0.25, "max": 0.75, "median": 0.5}
            },
            "job": "job_1",
            "backfill": True,
            "reason": "no mask",
            "item": "https://revisit.example/api/results/job_1",
        },
    }


def test_the_payload_has_no_link_without_a_base_url():
    assert "item" not in json.loads(payload(an_alert(), the_subscription()))["data"]


def test_the_payload_is_the_same_bytes_every_time_and_strict_json():
    alert = an_alert(indices={"NDVI": Statistics(0), "EVI": Statistics(1, float("nan"), 0.0, 0.0, 0.0, 0.0)})
    hostile = the_subscription('</script>"\u2028\x00\ud7ff')
    bodies = {payload(alert, hostile) for _ in range(3)}
    assert len(bodies) == 1
    read = json.loads(bodies.pop(), parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert read["data"]["indices"]["EVI"]["mean"] is None and read["data"]["name"] == hostile.name


# ---- the post


def test_the_signed_bytes_are_sent_and_the_receiver_verifies_them():
    secret, body = new_secret(), payload(an_alert(), the_subscription("F\u00e4ld \u2603"))
    with receiver() as hook:
        sent = post(
            check_url(hook.url, {hook.host_and_port}),
            signed_headers(secret, "msg_1", now(), body),
            body,
            now(),
        )
        assert sent.delivered and sent.outcome == "200"
        headers, received = hook.requests[0]
    assert headers[""] == "POST /hook HTTP/1.1" and headers["host"] == hook.host_and_port
    assert headers["content-type"] == "application/json" and headers["user-agent"].startswith("Revisit/")
    assert received == body
    assert Webhook(secret).verify(received, headers)["data"]["name"] == "F\u00e4ld \u2603"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_delivered(status):
    with receiver(answer(status)) as hook:
        assert post_to(hook).delivered


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503, 599])
def test_no_other_answer_is_delivered(status):
    with receiver(answer(status)) as hook:
        answered = post_to(hook)
    assert (answered.delivered, answered.gone, answered.status, answered.outcome) == (
        False,
        status == 410,
        status,
        str(status),
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status):
    with receiver() as elsewhere, receiver(answer(status, Location=elsewhere.url)) as hook:
        answered = post_to(hook)
        assert (elsewhere.connections, hook.connections) == (0, 1)
    assert not answered.delivered and answered.outcome == f"{status}: redirects are not followed"


@pytest.mark.parametrize(
    "act",
    [
        hang,
        dribble(b"HTTP/1.1 200 OK\r\nX-Slow: "),
        dribble(b""),
        flood(b"HTTP/1.1 200 OK\r\nX-Endless: "),
        lambda connection, hook: flood(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50)(connection, hook),
    ],
    ids=["hangs", "dribbles a header", "dribbles rubbish", "floods the head", "hints without an end"],
)
def test_a_receiver_that_never_answers_times_out(act):
    with receiver(act) as hook:
        begun = time.monotonic()
        answered = post_to(hook, timeout_s=0.5)
        # Not a measurement: a byte now and then would keep us without an end.
        assert time.monotonic() - begun < 10
    assert not answered.delivered and answered.status == 0
    assert answered.outcome.startswith(("timeout", "no connection"))


@pytest.mark.parametrize(
    "act",
    [
        dribble(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
        flood(b"HTTP/1.1 200 OK\r\n\r\n"),
        answer(200, b"x" * 1_000_000),
        lambda connection, hook: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
        answer(200, b"\x1f\x8b" + b"\0" * 100, Content_Encoding="gzip"),
    ],
    ids=["dribbles the body", "endless body", "1 MB", "cut off", "broken gzip"],
)
def test_a_receiver_that_answered_may_send_any_body(act, monkeypatch):
    monkeypatch.setattr(webhook_client, "RESPONSE_BODY_TIMEOUT_S", 0.2)
    with receiver(act) as hook:
        begun = time.monotonic()
        assert post_to(hook, timeout_s=20).outcome == "200"
        # Not a measurement: who answered has a moment for the body, not all the time there is.
        assert time.monotonic() - begun < 10


def test_no_more_of_a_body_is_read_than_64_kb():
    from revisit.delivery.webhook_client import MAX_RESPONSE_BYTES, _drain

    taken = []
    _drain(taken.append(1) or chunk for chunk in cycle([b"x" * 1024]))
    assert MAX_RESPONSE_BYTES == 65536 and len(taken) == 64


@pytest.mark.parametrize("location", ["https://[", "//\xff", "http://a:port/", ""])
def test_a_redirect_to_an_invalid_address_is_reported_as_a_redirect(location):
    with receiver(
        lambda connection, hook: connection.sendall(
            b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "
            + location.encode("latin-1")
            + b"\r\n\r\n"
        )
    ) as hook:
        assert post_to(hook).outcome == "302: redirects are not followed"


def test_the_path_is_sent_as_it_was_checked():
    with receiver() as hook:
        for target in ("/a/../b/./c?x=%2e&y='|", "//double", "/%7Euser/~user;v=1"):
            endpoint = check_url(f"http://{hook.host_and_port}{target}", {hook.host_and_port})
            assert post(endpoint, {}, BODY, NOW).delivered
            assert hook.requests[-1][0][""] == f"POST {target} HTTP/1.1"


def test_a_connection_dropped_is_a_failure():
    with receiver(reset) as hook:
        assert post_to(hook).outcome.startswith("no connection")


def test_a_refused_connection_is_a_failure():
    with receiver() as hook:
        pass
    assert post_to(hook).outcome.startswith("no connection")


@pytest.mark.parametrize(
    "rubbish", [b"\x00\xff\r\n\r\n", b"HTTP/9.9 banana\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b""]
)
def test_an_answer_that_is_not_http_is_a_failure(rubbish):
    with receiver(lambda connection, hook: connection.sendall(rubbish)) as hook:
        answered = post_to(hook)
    assert answered.outcome.startswith("no connection") and "\n" not in answered.outcome


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("999999", 86_400),
        ("Mon, 01 Jul 2024 12:10:00 GMT", 600),
        ("Mon, 01 Jul 2024 11:00:00 GMT", 0),
        ("Fri, 01 Jul 2044 12:00:00 GMT", 86_400),
        ("Mon, 01 Jul 2024 14:10:00 +0200", 600),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(text, seconds):
    assert parse_retry_after(text, NOW) == timedelta(seconds=seconds)
    with receiver(answer(429, Retry_After=text.strip())) as hook:
        assert post_to(hook).retry_after == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e9", "1.5", "9" * 400, "Mon, 99 Jul 2024 12:10:00 GMT"])
def test_an_invalid_retry_after_is_ignored(text):
    assert parse_retry_after(text, NOW) is None
