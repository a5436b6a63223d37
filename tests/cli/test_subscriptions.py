"""`revisit subscriptions`: preview, change, feed, deliveries and redeliver."""

import json

import pytest

from products import FIELD, add_to_catalog, product
from revisit.adapters.local.backend import local_backend
from revisit.chain.delivery_ledger import create_deliveries
from revisit.cli import run
from revisit.domain.delivery import Attempt, Delivery
from revisit.domain.job import Cover, Job, job_id
from revisit.domain.subscription import Subscription
from revisit.services.subscriptions.records import get_subscription

HOOK = "https://hooks.example.com/x"


@pytest.fixture
def backend(tmp_path, monkeypatch):
    monkeypatch.setenv("REVISIT_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "field.geojson").write_text(json.dumps(FIELD))
    return local_backend(tmp_path / "data")


@pytest.fixture
def subscription(backend, capsys) -> Subscription:
    assert (
        run(
            ["subscribe", "--aoi", "field.geojson", "--name", "field", "--max-cloud", "40", "--webhook", HOOK]
        )
        == 0
    )
    capsys.readouterr()
    return get_subscription(backend, "field")


def run_command(capsys, *arguments: str) -> str:
    assert run(["subscriptions", *arguments]) == 0
    return capsys.readouterr().out


def test_a_preview_counts_by_month_and_saves_nothing(backend, capsys):
    add_to_catalog(backend, product(1, cloud=5), product(2, cloud=50), product(3, month=5, cloud=10))
    result = json.loads(
        run_command(
            capsys, "preview", "--aoi", "field.geojson", "--from", "2024-05-01", "--max-cloud", "20", "--json"
        )
    )
    assert (result["acquisitions"], result["would_have_fired"], result["months"][1]) == (
        3,
        2,
        {"month": "2024-06", "fired": 1, "passed": 2},
    )
    assert (
        run_command(
            capsys, "preview", "--aoi", "field.geojson", "--from", "2024-06-01", "--max-cloud", "20"
        ).splitlines()[1]
        == "2024-06\t1\t2"
    )
    assert backend.records.count(Subscription) == 0


def test_only_the_given_options_are_changed(backend, subscription, capsys):
    changed = json.loads(
        run_command(
            capsys,
            "change",
            "field",
            "--name",
            "lake",
            "--max-cloud",
            "any",
            "--min-clear",
            "30",
            "--min-clear-of",
            "SEEN",
            "--min-coverage",
            "20",
            "--index",
            "evi",
            "--level",
            "l1c",
            "--json",
        )
    )
    assert (
        changed["subscription"],
        changed["name"],
        changed["max_cloud"],
        changed["min_clear"],
        changed["level"],
    ) == (subscription.id, "lake", None, 30, "L1C")
    assert (changed["min_coverage"], changed["min_clear_of"]) == (20, "seen")
    assert changed["recipe"]["indices"] == ["EVI"] and changed["channels"][0]["target"] == HOOK
    assert (
        run(["subscriptions", "change", "lake", "--webhook", HOOK, "--webhook", f"{HOOK}/2", "--file", "log"])
        == 0
    )
    out, err = capsys.readouterr()
    assert f"{HOOK}/2" in out and err.count("whsec_") == 1 and err.startswith(f"{HOOK}/2 is signed with")
    assert [channel.target for channel in get_subscription(backend, "lake").channels] == [
        HOOK,
        f"{HOOK}/2",
        "log",
    ]
    run_command(capsys, "change", "lake", "--no-webhook", "--no-file")
    assert get_subscription(backend, "lake").channels == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to change"),
        (["--max-cloud", "much"], "'much' is not a percentage"),
        (["--level", "L9"], "L9"),
        (["--aoi", "none.json"], "cannot be read"),
    ],
)
def test_an_invalid_change_is_rejected_in_one_line(subscription, capsys, arguments, message):
    assert run(["subscriptions", "change", "field", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err


def test_feed_addresses_are_replaced_or_removed(backend, subscription, capsys):
    feed, calendar = run_command(capsys, "feed", "field").splitlines()
    assert (
        feed == f"/feeds/{get_subscription(backend, 'field').feed_token}.atom"
        and calendar == feed.replace(".atom", ".ics")
    )
    assert subscription.feed_token not in feed
    assert json.loads(run_command(capsys, "feed", "field", "--end", "--json")) == {
        "subscription": subscription.id,
        "feed": None,
        "calendar": None,
    }


def test_deliveries_are_listed_and_sent_again(backend, subscription, capsys):
    assert run(["subscriptions", "deliveries", "field"]) == 0
    assert "no delivery yet" in capsys.readouterr().err
    first = product(1)
    done = Job(
        job_id(subscription.id, first.acquisition, subscription.recipe),
        first,
        subscription.aoi,
        subscription.recipe,
        backend.now(),
        subscription=subscription.id,
        state="done",
        cover=Cover(10, 10, 8),
    )
    backend.commit(lambda commit: commit.put(done), completes_event=False)
    [delivery] = create_deliveries(done.id, backend)
    failed = delivery.with_changes(state="failed", due=None, attempts=(Attempt(backend.now(), "410"),))
    backend.commit(lambda commit: commit.put(failed), completes_event=False)
    row = run_command(capsys, "deliveries", "field", "--state", "failed").splitlines()[1].split("\t")
    assert row[1:4] == ["failed", "1", "410"] and row[-2:] == [HOOK, delivery.id]
    assert run(["subscriptions", "redeliver", delivery.id]) == 0
    assert delivery.id in capsys.readouterr().err
    assert backend.records.get(Delivery, delivery.id).state == "due"
    assert run(["subscriptions", "redeliver", "delivery_none"]) == 2
