"""A worker crashes at each step of the function `deliver` and at each write to the disk.

The next worker finishes: one alert, numbered without a gap, one delivery, and nothing lost.
"""

import pytest

STEPS = [
    "leased",
    "has_dedupe_key",
    # create_deliveries
    "get Job",
    "get Subscription",
    "get Alert",
    "put Subscription",
    "put Alert",
    "put Delivery",
    "committed",
    # claim
    "get Delivery",
    "get Subscription",
    "put Delivery",
    # send
    "sending",
    "sent",
    # record_attempt
    "get Delivery",
    "get Subscription",
    "get Receiver",
    "put Delivery",
    "committed",
    "answered",
    "acknowledged",
    # deliveries.due
    "send",
    "leased",
    "has_dedupe_key",
    "answered",
    "acknowledged",
]
SENT_AND_NOT_RECORDED = STEPS[STEPS.index("sent") : STEPS.index("answered") - 1]


def test_a_crash_at_any_step_of_the_function_leaves_one_alert_and_one_delivery(memory_folder, run_in_child):
    report = run_in_child("crash_at_each_point", str(memory_folder))
    assert report["points"] == STEPS
    assert report["wrong"] == {}
    # At least once: only what was sent and not recorded is sent again, under the same id.
    first = STEPS.index("sent") + 1
    assert report["sent_twice"] == [
        f"{number} {name}" for number, name in enumerate(SENT_AND_NOT_RECORDED, first)
    ]


@pytest.mark.parametrize(("mode", "checkpoints"), [("torn", False), ("power", True)])
def test_a_crash_at_any_write_to_the_disk_leaves_one_alert_and_one_delivery(
    memory_folder, run_in_child, mode, checkpoints
):
    report = run_in_child("crash_at_each_write", str(memory_folder), mode, checkpoints)
    assert len(report["points"]) > 50 and "sync log" in report["points"]
    assert "write database" in report["points"]
    assert report["wrong"] == {}
    assert report["sent_twice"], "some crashes fall between sending and its record"


def test_the_checker_finds_commits_that_a_power_cut_undoes(memory_folder, run_in_child):
    assert run_in_child("crash_at_each_write", str(memory_folder), "power", False, False)["wrong"]


def test_a_commit_syncs_the_log_once_and_a_lease_does_not(memory_folder, run_in_child):
    operations = run_in_child("record_operations", str(memory_folder))
    assert operations["commit"].count("sync log") == 1 and operations["commit"][-1] == "sync log"
    # The alert with its deliveries, the claim, the record of the attempt.
    assert operations["function"].count("sync log") == 3 and operations["function"][-1] == "sync log"
    assert "sync log" not in operations["lease"] + operations["acknowledgement"]
    assert operations["synchronous"] == 2
