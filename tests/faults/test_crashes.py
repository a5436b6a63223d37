"""A worker crashes at each step of a handling and at each write to the disk: the next one finishes, and one
alert is there."""

import pytest


def test_a_crash_at_any_named_point_leaves_one_alert(memory_folder, run_in_child):
    told = run_in_child("crash_at_each_point", str(memory_folder))
    assert told["points"] == [
        "leased",
        "read",
        "alert",
        "number",
        "event",
        "committed",
        "acknowledged",
        "leased",
        "delivery",
        "committed",
        "acknowledged",
    ]
    assert told["wrong"] == {}


@pytest.mark.parametrize(("way", "checkpoints"), [("torn", False), ("power", True)])
def test_a_crash_at_any_write_to_the_disk_leaves_one_alert(memory_folder, run_in_child, way, checkpoints):
    told = run_in_child("crash_at_each_write", str(memory_folder), way, checkpoints)
    assert len(told["points"]) > 50 and "sync log" in told["points"]
    assert "write database" in told["points"]
    assert told["wrong"] == {}


def test_the_judge_finds_commits_that_a_power_cut_takes_back(memory_folder, run_in_child):
    assert run_in_child("crash_at_each_write", str(memory_folder), "power", False, False)["wrong"]


def test_a_commit_syncs_the_log_once_and_a_lease_does_not(memory_folder, run_in_child):
    told = run_in_child("record_operations", str(memory_folder))
    assert told["commit"].count("sync log") == 1 and told["commit"][-1] == "sync log"
    assert "sync log" not in told["lease"] + told["acknowledgement"]
    assert told["synchronous"] == 2
