"""Alerts appended to a file of the data folder."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from alerting import NOW, alerts, deliveries, finished, lines, watch
from revisit.chain.dispatch import announce, carry
from revisit.domain.events import JobFinished
from revisit.domain.subscription import Channel


def test_a_file_channel_appends_one_line_an_alert(backend, push):
    watch(backend, "alerts", "more.jsonl")
    for number in range(3):
        push(JobFinished(finished(backend, number).id))
    assert [line["data"]["number"] for line in lines(backend)] == [1, 2, 3]
    assert lines(backend) == lines(backend, "more")
    assert [line["id"] for line in lines(backend)] == [alert.id for alert in alerts(backend)]


def test_what_is_sent_links_to_the_server_that_sends_it(backend):
    watch(backend, "alerts")
    made = finished(backend)
    carry(announce(made.id, backend), replace(backend, base_url="http://127.0.0.1:9/"))
    assert lines(backend)[0]["data"]["item"] == f"http://127.0.0.1:9/results/{made.id}"


def test_a_line_cut_short_by_a_crash_spoils_no_other(backend, push):
    watch(backend, "alerts")
    backend.channels.mkdir()
    (backend.channels / "alerts.jsonl").write_text('{"id": "alert_cut')
    push(JobFinished(finished(backend).id))
    assert (backend.channels / "alerts.jsonl").read_text().splitlines()[1:] == [json.dumps(json.loads(
        (backend.channels / "alerts.jsonl").read_text().splitlines()[1]), separators=(",", ":"), ensure_ascii=False)]


def test_a_folder_that_cannot_be_written_now_is_tried_again(backend, push, tick):
    watch(backend, "alerts")
    backend.channels.write_text("in the way")
    push(JobFinished(finished(backend).id))
    assert deliveries(backend)[0].attempts[0].outcome.startswith("not written: ")
    backend.channels.unlink()
    tick(NOW + timedelta(seconds=7))
    assert len(lines(backend)) == 1


@pytest.mark.parametrize("name", ["../alerts", "/etc/passwd", "a/b", "", ".hidden", "a\x00b", "a" * 200])
def test_a_file_channel_lies_among_the_channels(backend, name):
    watch(backend, channels=(Channel("file", name),))
    carry(announce(finished(backend).id, backend), backend)
    assert deliveries(backend)[0].attempts[0].outcome.startswith("refused: ")
    assert not backend.channels.exists()


def test_a_file_channel_follows_no_link(backend, tmp_path):
    watch(backend, "alerts")
    backend.channels.mkdir()
    (backend.channels / "alerts.jsonl").symlink_to(tmp_path / "elsewhere")
    carry(announce(finished(backend).id, backend), backend)
    assert deliveries(backend)[0].attempts[0].outcome.startswith("not written") and not (tmp_path / "elsewhere").exists()


def test_without_a_disk_a_file_channel_says_so(backend):
    from dataclasses import replace

    watch(backend, "alerts")
    diskless = replace(backend, channels=None)
    carry(announce(finished(backend).id, diskless), diskless)
    assert "no disk" in deliveries(backend)[0].attempts[0].outcome
