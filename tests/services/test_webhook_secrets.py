"""Webhook signing secrets: derived from one key, not stored, rotated without a break; old records work."""

import base64
import hashlib
import hmac
import stat
import threading
from datetime import timedelta

import msgspec
import pytest

from backends import with_settings
from products import FIELD, NOW
from revisit.adapters.gcp.backend import gcp_backend
from revisit.adapters.gcp.settings import Settings, read_settings
from revisit.adapters.local.backend import local_backend
from revisit.adapters.local.integrity_check import check_data
from revisit.api import create_app
from revisit.domain.aoi import AOI
from revisit.domain.recipe import Recipe
from revisit.domain.subscription import Channel, Subscription
from revisit.domain.webhook_secret import active_secrets, new_key, parse_key
from revisit.errors import ConflictError, InvalidInputError, NotFoundError, PermanentError
from revisit.ports.record_types import decode, encode
from revisit.services.subscriptions.create import create_subscription
from revisit.services.subscriptions.lifecycle import delete_subscription
from revisit.services.subscriptions.update import rotate_secret, webhook_secrets

KEY = bytes(range(32))
NDVI = Recipe(indices=("NDVI",))
HOOK = "https://hooks.example.com/in"


def by_hand(key: bytes, subscription: Subscription, channel: Channel, generation: int) -> str:
    text = f"webhook|{subscription.id}|2024-07-01T12:00:00Z|{channel.id}|{generation}"
    return "whsec_" + base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()


@pytest.fixture
def clock():
    return [NOW]


@pytest.fixture
def backend(tmp_path, clock):
    return local_backend(tmp_path / "data", now=lambda: clock[-1])


def watch(backend, *channels: Channel, name: str = "field") -> Subscription:
    return create_subscription(
        backend, AOI.parse(FIELD), name, NDVI, channels=channels or [Channel("webhook", HOOK)]
    )


def alive(backend, subscription: Subscription, clock) -> list[str]:
    return active_secrets(backend.settings.webhook_key, subscription, subscription.channels[0], clock[-1])


def test_a_secret_is_the_hmac_of_what_the_webhook_is():
    channel = Channel("webhook", HOOK, generation=7)
    made = Subscription(
        "sub_1", "field", FIELD, ("32TNR",), NDVI, NOW.replace(2024, 7, 1, 12, 0, 0, 0), channels=(channel,)
    )
    assert active_secrets(lambda: KEY, made, channel, NOW) == [by_hand(KEY, made, channel, 7)]
    assert len(base64.b64decode(by_hand(KEY, made, channel, 7)[6:], validate=True)) == 32


def test_no_two_webhooks_have_the_same_secret(backend, clock):
    both = watch(backend, Channel("webhook", HOOK), Channel("webhook", HOOK + "/2"))
    other = watch(backend, name="meadow")
    clock.append(NOW + timedelta(hours=1))
    delete_subscription(backend, other.id)
    again = watch(backend, name="meadow")
    found = [
        secret
        for subscription in (both, other, again)
        for secret in webhook_secrets(backend, subscription).values()
    ]
    assert (again.id, len(found), len(set(found))) == (other.id, 4, 4)
    assert webhook_secrets(backend, watch(backend, name="meadow")) == webhook_secrets(backend, again)


def test_a_secret_lies_nowhere_neither_in_records_nor_in_answers_kept_for_a_repeat(backend, tmp_path, clock):
    client = create_app(backend).test_client()
    wish, once = {"aoi": FIELD, "name": "field", "webhooks": [HOOK]}, {"Idempotency-Key": "one"}
    made = client.post("/subscriptions", json=wish, headers=once)
    [channel] = made.json["channels"]
    here = f"{made.headers['Location']}/channels/{channel['id']}/secret"
    rotated = client.post(here, headers={"Idempotency-Key": "two"})
    document = {channel["secret"], rotated.json["secret"]}
    assert (
        len(document) == 2 and made.headers["Cache-Control"] == rotated.headers["Cache-Control"] == "no-store"
    )
    assert client.post(here, headers={"Idempotency-Key": "two"}).json == rotated.json
    assert (
        client.post("/subscriptions", json=wish, headers=once).json["channels"][0]["secret"]
        == rotated.json["secret"]
    )
    held = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert b"whsec_" not in held and b"hooks.example.com" in held
    assert "whsec_" not in client.get("/me/export").text + client.get(made.headers["Location"]).text


def test_old_and_new_secret_sign_for_a_day_and_then_the_new_one_alone(backend, clock):
    first = watch(backend)
    old = webhook_secrets(backend, first)[first.channels[0].id]
    clock.append(NOW + timedelta(hours=5))
    rotated, channel = rotate_secret(backend, first.id, HOOK)
    new = webhook_secrets(backend, rotated)[channel.id]
    assert alive(backend, rotated, clock) == [new, old] and new != old
    assert backend.get_record(Subscription, first.id) == rotated
    for later, secrets in ((timedelta(hours=23, minutes=59), [new, old]), (timedelta(hours=24), [new])):
        clock.append(NOW + timedelta(hours=5) + later)
        assert alive(backend, rotated, clock) == secrets


def test_no_secret_shown_within_a_day_stops_signing_however_often_it_is_rotated(backend, clock):
    subscription, result = watch(backend), []
    for hour in range(4):
        clock.append(NOW + timedelta(hours=hour))
        result += webhook_secrets(backend, subscription).values()
        subscription, channel = rotate_secret(backend, "field", subscription.channels[0].id)
    assert alive(backend, subscription, clock)[1:] == result[::-1]
    with pytest.raises(ConflictError, match="got 4 new secrets within a day"):
        rotate_secret(backend, "field", HOOK)
    clock.append(NOW + timedelta(hours=24))
    subscription, channel = rotate_secret(backend, "field", HOOK)
    assert (channel.generation, len(channel.rotated), len(alive(backend, subscription, clock))) == (6, 4, 5)


def test_what_has_no_secret_is_not_rotated(backend):
    watch(backend, Channel("file", "alerts.jsonl"))
    for channel, error, sentence in (
        ("alerts.jsonl", ConflictError, "is a file"),
        (HOOK, NotFoundError, "has no channel"),
    ):
        with pytest.raises(error, match=sentence):
            rotate_secret(backend, "field", channel)
    for id, owner in (("nobody", "local"), ("field", "bob")):
        with pytest.raises(NotFoundError, match="no subscription"):
            rotate_secret(backend, id, HOOK, owner)


OLD = (
    b'{"id":"sub_1","name":"field","aoi":{"type":"Polygon","coordinates":[]},"tiles":["32TNR"],"recipe":{"bands":[],"indices":["NDVI"],'
    b'"resolution_m":null,"resampling":"bilinear"},"created":"2024-07-01T12:00:00Z","owner":"local","level":"L2A","max_cloud":null,"min_clear":null,'
    b'"channels":[{"kind":"webhook","target":"https://hooks.example.com/in","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","state":"live",'
    b'"reason":""}],"state":"active","backfill":null,"alerts":3,"feed_token":"sub_1-x","paused":null}'
)
"""A record as the first release wrote it."""


def test_a_webhook_of_the_first_release_signs_with_what_its_record_holds_until_a_day_after_it_is_rotated(
    backend, clock
):
    old = decode(OLD, Subscription)
    stored = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    def no_key():
        raise AssertionError("a stored secret needs no key")

    assert active_secrets(no_key, old, old.channels[0], NOW) == [stored]
    backend.commit(lambda commit: commit.put(old), completes_event=False)
    rotated, channel = rotate_secret(backend, "sub_1", HOOK)
    assert alive(backend, rotated, clock) == [webhook_secrets(backend, rotated)[channel.id], stored]
    clock.append(NOW + timedelta(days=1))
    assert stored not in alive(backend, rotated, clock)
    again, _ = rotate_secret(backend, "sub_1", HOOK)
    assert b"whsec_" not in encode(again)


# ------------------------------------------------------------------------------------------------------------
# where the key is kept


def test_a_data_folder_has_a_key_that_its_user_alone_reads_made_when_it_is_needed(backend, tmp_path):
    watch(backend, Channel("file", "a.jsonl"), name="unsigned")
    file = tmp_path / "data" / "signing.key"
    assert not file.exists()
    watch(backend)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (
        backend.settings.webhook_key() == base64.b64decode(file.read_text())
        and len(backend.settings.webhook_key()) == 32
    )
    assert local_backend(tmp_path / "data").settings.webhook_key() == backend.settings.webhook_key()
    assert check_data(tmp_path / "data") == []


def test_several_who_need_the_key_at_once_make_one(tmp_path):
    keys: list[bytes] = []
    backends = [local_backend(tmp_path / "data") for _ in range(8)]
    threads = [
        threading.Thread(target=lambda one=one: keys.append(one.settings.webhook_key())) for one in backends
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8 and len(set(keys)) == 1
    assert [file.name for file in (tmp_path / "data").iterdir() if "signing" in file.name] == ["signing.key"]


def test_doctor_misses_a_key_that_is_gone_or_open_to_others(backend, tmp_path):
    watch(backend)
    file = tmp_path / "data" / "signing.key"
    file.chmod(0o644)
    assert [
        finding
        for finding in check_data(tmp_path / "data")
        if "read by other users; `chmod 600` it" in finding
    ]
    file.unlink()
    assert [
        finding
        for finding in check_data(tmp_path / "data")
        if "is missing, which webhooks are signed with" in finding
    ]


@pytest.mark.parametrize(
    "text", ["", "short", "c2hvcnQ=", "\u00fc" * 60, base64.b64encode(bytes(range(31))).decode()]
)
def test_an_invalid_key_is_rejected_and_not_shown(tmp_path, text):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "signing.key").write_text(text)
    with pytest.raises(
        InvalidInputError, match=r"signing\.key holds no key to sign webhooks with"
    ) as refused:
        local_backend(tmp_path / "data").settings.webhook_key()
    assert not text or text not in str(refused.value).replace("openssl", "")


def test_a_deployment_is_given_its_key_by_a_variable_that_no_log_shows():
    text = new_key()
    place = read_settings({"REVISIT_PROJECT": "revisit-lakes", "REVISIT_SIGNING_KEY": f"{text}\n"})
    assert place.webhook_key == base64.b64decode(text) == parse_key(text, "here")
    assert "signing_key" not in repr(place) and text not in repr(place)
    with pytest.raises(InvalidInputError, match="REVISIT_SIGNING_KEY holds no key") as refused:
        read_settings({"REVISIT_PROJECT": "revisit-lakes", "REVISIT_SIGNING_KEY": text[:20]})
    assert text[:20] not in str(refused.value)


def test_where_there_is_no_key_nothing_that_would_be_signed_is_made(backend):
    keyless = with_settings(backend, webhook_key=gcp_backend(Settings("revisit-lakes")).settings.webhook_key)
    with pytest.raises(PermanentError, match="REVISIT_SIGNING_KEY is not set.*secrets versions access"):
        watch(keyless)
    assert backend.records.count(Subscription) == 0
    watch(keyless, Channel("file", "a.jsonl"))
    made = watch(backend, name="signed")
    with pytest.raises(PermanentError, match="REVISIT_SIGNING_KEY is not set"):
        rotate_secret(keyless, "signed", HOOK)
    assert backend.get_record(Subscription, made.id) == made


def test_the_records_of_a_subscription_survive_json():
    channel = Channel("webhook", HOOK, generation=3, rotated=(NOW, NOW + timedelta(hours=1)))
    assert msgspec.json.decode(encode(channel), type=Channel) == channel
