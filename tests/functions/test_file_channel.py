"""Alerts appended to a file of the data folder."""

import json
from datetime import timedelta

import pytest

from backends import with_settings
from delivery_samples import (
    NOW,
    add_finished_job,
    add_subscription,
    channel_lines,
    list_alerts,
    list_deliveries,
)
from revisit.chain.delivery_ledger import create_deliveries
from revisit.chain.dispatch import dispatch
from revisit.domain.events import JobFinished
from revisit.domain.subscription import Channel


def test_a_file_channel_appends_one_line_an_alert(backend, push):
    add_subscription(backend, "alerts", "more.jsonl")
    for number in range(3):
        push(JobFinished(add_finished_job(backend, number).id))
    assert [line["data"]["number"] for line in channel_lines(backend)] == [1, 2, 3]
    assert channel_lines(backend) == channel_lines(backend, "more")
    assert [line["id"] for line in channel_lines(backend)] == [alert.id for alert in list_alerts(backend)]


def test_what_is_sent_links_to_the_server_that_sends_it(backend):
    add_subscription(backend, "alerts")
    made = add_finished_job(backend)
    dispatch(create_deliveries(made.id, backend), with_settings(backend, base_url="http://127.0.0.1:9/"))
    assert channel_lines(backend)[0]["data"]["item"] == f"http://127.0.0.1:9/results/{made.id}"


def test_a_line_cut_short_by_a_crash_spoils_no_other(backend, push):
    add_subscription(backend, "alerts")
    backend.settings.channel_folder.mkdir()
    (backend.settings.channel_folder / "alerts.jsonl").write_text('{"id": "alert_cut')
    push(JobFinished(add_finished_job(backend).id))
    assert (backend.settings.channel_folder / "alerts.jsonl").read_text().splitlines()[1:] == [
        json.dumps(
            json.loads((backend.settings.channel_folder / "alerts.jsonl").read_text().splitlines()[1]),
            separators=(",", ":"),
            ensure_ascii=False,
        )
    ]


def test_a_folder_that_cannot_be_written_is_retried(backend, push, tick):
    add_subscription(backend, "alerts")
    backend.settings.channel_folder.write_text("in the way")
    push(JobFinished(add_finished_job(backend).id))
    assert list_deliveries(backend)[0].attempts[0].outcome.startswith("not written: ")
    backend.settings.channel_folder.unlink()
    tick(NOW + timedelta(seconds=7))
    assert len(channel_lines(backend)) == 1


@pytest.mark.parametrize("name", ["../alerts", "/etc/passwd", "a/b", "", ".hidden", "a\x00b", "a" * 200])
def test_a_file_channel_lies_among_the_channels(backend, name):
    add_subscription(backend, channels=(Channel("file", name),))
    dispatch(create_deliveries(add_finished_job(backend).id, backend), backend)
    assert list_deliveries(backend)[0].attempts[0].outcome.startswith("refused: ")
    assert not backend.settings.channel_folder.exists()


def test_a_file_channel_follows_no_link(backend, tmp_path):
    add_subscription(backend, "alerts")
    backend.settings.channel_folder.mkdir()
    (backend.settings.channel_folder / "alerts.jsonl").symlink_to(tmp_path / "elsewhere")
    dispatch(create_deliveries(add_finished_job(backend).id, backend), backend)
    assert (
        list_deliveries(backend)[0].attempts[0].outcome.startswith("not written")
        and not (tmp_path / "elsewhere").exists()
    )


def test_without_a_disk_a_file_channel_says_so(backend):

    add_subscription(backend, "alerts")
    diskless = with_settings(backend, channel_folder=None)
    dispatch(create_deliveries(add_finished_job(backend).id, diskless), diskless)
    assert "no disk" in list_deliveries(backend)[0].attempts[0].outcome
