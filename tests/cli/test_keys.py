"""`revisit keys` and `revisit account`: API keys, and export and deletion of a user's data."""

import json

import pytest

from revisit.adapters.local.backend import local_backend
from revisit.api import create_app
from revisit.cli import run


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("REVISIT_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_a_key_is_printed_once_authenticates_and_is_revoked(data, capsys):
    assert run(["keys", "create", "--name", "laptop", "--scope", "read,write", "--days", "30"]) == 0
    out, err = capsys.readouterr()
    key = out.strip()
    assert key.startswith("rvt_") and out.count("\n") == 1 and "not shown again" in err and key not in err
    client = create_app(local_backend(data), token="sesame").test_client()
    headers = {"Authorization": f"Bearer {key}"}
    assert client.get("/subscriptions", headers=headers).status_code == 200
    assert run(["keys", "list", "--json"]) == 0
    out = capsys.readouterr().out
    [listed] = json.loads(out)["keys"]
    assert (listed["name"], listed["scopes"], listed["state"]) == ("laptop", ["read", "write"], "live")
    assert listed["used"]
    assert key.split("_", 2)[2] not in out and key.split("_")[1] == listed["key"]
    assert run(["keys", "revoke", listed["key"]]) == 0
    assert client.get("/subscriptions", headers=headers).status_code == 401
    assert run(["keys", "list"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].split("\t")[:3] == ["laptop", "revoked", "read write"]


def test_keys_are_created_and_listed_per_owner(data, capsys):
    assert run(["keys", "create", "--name", "bot", "--owner", "ann", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["secret"].startswith(f"rvt_{made['key']}_") and made["scopes"] == ["read"]
    assert run(["keys", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"keys": []}
    assert run(["keys", "revoke", made["key"]]) == 2
    assert "there is no key" in capsys.readouterr().err
    assert run(["keys", "revoke", made["key"], "--owner", "ann"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", ""], "1 to 100 characters"),
        (
            ["--name", "x", "--scope", "root"],
            "scope 'root' does not exist; choose from read, write, operator",
        ),
        (["--name", "x", "--scope", ""], "needs at least one scope"),
        (["--name", "x", "--days", "366"], "1 to 365 days"),
        (["--name", "x", "--scope", "operator", "--days", "91"], "1 to 90 days"),
        ([], "--name"),
    ],
)
def test_an_invalid_key_request_is_rejected_in_one_line(data, capsys, arguments, message):
    assert run(["keys", "create", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1


def test_an_account_is_exported_and_deleted_only_with_yes(data, capsys):
    for owner in ("ann", "bob"):
        assert run(["keys", "create", "--name", "bot", "--owner", owner]) == 0
    capsys.readouterr()
    assert run(["account", "export", "--owner", "ann"]) == 0
    assert [key["name"] for key in json.loads(capsys.readouterr().out)["keys"]] == ["bot"]
    assert run(["account", "delete", "--owner", "ann"]) == 2
    assert (
        capsys.readouterr().err
        == "revisit: this would permanently delete 1 keys of 'ann'; add --yes to do it\n"
    )
    assert run(["account", "delete", "--owner", "ann", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": {"apikey": 1, "usage": 1}}
    assert run(["account", "export", "--owner", "bob"]) == 0
    assert len(json.loads(capsys.readouterr().out)["keys"]) == 1
    assert run(["account", "delete", "--owner", "local", "--yes"]) == 2
    assert "there are no accounts here" in capsys.readouterr().err
