"""`revisit subscriptions rotate-secret`: a webhook gets a new signing secret, shown once."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from products import FIELD
from revisit.adapters.local.backend import local_backend
from revisit.cli import run
from revisit.services.subscriptions.records import get_subscription
from revisit.services.subscriptions.update import webhook_secrets

HOOK = "https://hooks.example.com/in"


@pytest.fixture
def data(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REVISIT_DATA", str(tmp_path / "data"))
    file = tmp_path / "field.geojson"
    file.write_text(json.dumps(FIELD))
    assert (
        run(["subscribe", "--aoi", str(file), "--name", "lake", "--webhook", HOOK, "--file", "a.jsonl"]) == 0
    )
    assert f"{HOOK} is signed with {current_secret(tmp_path / 'data')}; save it" in capsys.readouterr().err
    return tmp_path / "data"


def current_secret(data) -> str:
    backend = local_backend(data)
    [secret] = webhook_secrets(backend, get_subscription(backend, "lake")).values()
    return secret


def test_a_secret_is_shown_at_creation_and_at_rotation_only(data, capsys):
    first = current_secret(data)
    assert run(["subscriptions", "rotate-secret", "lake", HOOK]) == 0
    out, err = capsys.readouterr()
    assert out == f"{current_secret(data)}\n" and out.strip() != first
    assert (
        f"{HOOK} is signed with this secret from now on, and also with the previous one until "
        f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}" in err
    )
    assert run(["subscriptions", "show", "lake", "--json"]) == 0 and "whsec_" not in capsys.readouterr().out


def test_the_new_secret_is_printed_as_json(data, capsys):
    backend = local_backend(data)
    assert run(["subscriptions", "rotate-secret", "lake", HOOK, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    subscription = get_subscription(backend, "lake")
    assert (document["subscription"], document["channel"], document["target"], document["secret"]) == (
        subscription.id,
        subscription.channels[0].id,
        HOOK,
        current_secret(data),
    )
    assert (
        timedelta(hours=23, minutes=59)
        < datetime.fromisoformat(document["before_until"]) - datetime.now(UTC)
        <= timedelta(hours=24)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lake", "a.jsonl"], "a.jsonl is a file, which is not signed"),
        (["lake", "https://elsewhere.example/"], "has no channel 'https://elsewhere.example/'"),
        (["pond", HOOK], "there is no subscription 'pond'"),
    ],
)
def test_a_channel_without_a_secret_is_rejected_in_one_line(data, capsys, arguments, message):
    assert run(["subscriptions", "rotate-secret", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("revisit: ") and err.count("\n") == 1 and message in err
