"""`revisit subscriptions rotate-secret`: a webhook's new secret, told this once."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from products import FIELD
from revisit.adapters.local.backend import local_backend
from revisit.cli import run
from revisit.services.subscriptions.create import get_subscription
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
    assert f"{HOOK} is signed with {present(tmp_path / 'data')}; keep it" in capsys.readouterr().err
    return tmp_path / "data"


def present(data) -> str:
    backend = local_backend(data)
    [secret] = webhook_secrets(backend, get_subscription(backend, "lake")).values()
    return secret


def test_a_secret_is_told_when_the_webhook_is_made_and_when_it_is_rotated(data, capsys):
    first = present(data)
    assert run(["subscriptions", "rotate-secret", "lake", HOOK]) == 0
    out, err = capsys.readouterr()
    assert out == f"{present(data)}\n" and out.strip() != first
    assert (
        f"{HOOK} is signed with it from now on, until {datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}" in err
    )
    assert run(["subscriptions", "show", "lake", "--json"]) == 0 and "whsec_" not in capsys.readouterr().out


def test_it_is_told_as_json(data, capsys):
    backend = local_backend(data)
    assert run(["subscriptions", "rotate-secret", "lake", HOOK, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    watcher = get_subscription(backend, "lake")
    assert (told["subscription"], told["channel"], told["target"], told["secret"]) == (
        watcher.id,
        watcher.channels[0].id,
        HOOK,
        present(data),
    )
    assert (
        timedelta(hours=23, minutes=59)
        < datetime.fromisoformat(told["before_until"]) - datetime.now(UTC)
        <= timedelta(hours=24)
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lake", "a.jsonl"], "a.jsonl is a file, which is not signed"),
        (["lake", "https://elsewhere.example/"], "has no channel 'https://elsewhere.example/'"),
        (["pond", HOOK], "there is no subscription 'pond'"),
    ],
)
def test_what_has_no_secret_is_refused_in_one_line(data, capsys, arguments, says):
    assert run(["subscriptions", "rotate-secret", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("revisit: ") and err.count("\n") == 1 and says in err
