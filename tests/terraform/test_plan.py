"""What `terraform apply` would make is what the code needs, and no more."""

import base64
import json
import re
from typing import get_args

import pytest

from figures import figure
from import_graph import ROOT, SHARED, reachable_files
from revisit.adapters.gcp.settings import SIGNING_KEY_VARIABLE
from revisit.chain.refresh import STALE_AFTER
from revisit.domain.clock import format_rfc3339
from revisit.domain.events import EVENTS
from revisit.net.signed_buckets import CDSE_ACCESS_KEY, CDSE_SECRET_KEY
from revisit.ports import cloudevents as wire
from revisit.ports.topology import PORTS, SCHEDULED_TOPICS, TRIGGER_TOPICS, functions_for
from terraform import checks
from terraform.make_schema import used_types
from terraform.terraform_runner import ARGUMENTS, HERE, Plan, Terraform

TERRAFORM = ROOT / "terraform"
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py"))


def test_files_are_formatted_and_valid(deployment: Terraform):
    formatted = deployment("fmt", "-check", "-diff", "-recursive")
    assert (formatted.status, formatted.output) == (0, "")
    assert deployment("validate").status == 0


def test_the_schema_at_hand_is_of_what_is_used_and_no_more():
    schema = json.loads((HERE / "schemas" / "google.json").read_text())
    assert set(schema["resources"]) == {f"google_{name}" for name in used_types("resource")}
    assert set(schema["data_sources"]) == {f"google_{name}" for name in used_types("data")}


def test_terraforms_own_tests_pass(deployment: Terraform):
    ran = deployment("test")
    assert ran.status == 0, ran.output
    passed, failed = map(int, re.search(r"(\d+) passed, (\d+) failed", ran.output).groups())
    assert (passed, failed) == (
        (TERRAFORM / "tests" / "deployment.tftest.hcl").read_text().count('\nrun "'),
        0,
    )
    figure("terraform test", f"{passed} runs passed")


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_the_plan_holds_to(check, plan: Plan):
    assert check(plan) == []


def test_every_topic_named_in_code_is_planned_and_no_other(plan: Plan):
    assert set(plan.resources_by_key("google_pubsub_topic", "event")) == set(EVENTS)
    assert {topic["name"] for topic in plan.resources("google_pubsub_topic").values()} == {
        *EVENTS,
        "dead-letters",
    }


def test_every_function_is_planned_with_an_account_of_its_own(plan: Plan):
    functions = plan.resources_by_key("google_cloudfunctions2_function", "this")
    assert sorted(functions) == FUNCTIONS
    assert {name: function["build_config"][0]["entry_point"] for name, function in functions.items()} == {
        name: name for name in FUNCTIONS
    }
    accounts = {function["service_config"][0]["service_account_email"] for function in functions.values()}
    assert accounts == {f"revisit-{name}@revisit-lakes.iam.gserviceaccount.com" for name in FUNCTIONS}


def test_topics_are_pushed_to_the_functions_that_hear_them(plan: Plan):
    pushes = plan.resources_by_key("google_pubsub_subscription", "push")
    carried = {(name.partition(".")[0], push["topic"]) for name, push in pushes.items()}
    assert carried == {(function, topic) for topic in EVENTS for function in functions_for(topic)}
    assert carried == {*TRIGGER_TOPICS.items(), *SCHEDULED_TOPICS.items()}


def test_a_message_of_any_lane_goes_through_one_subscription(plan: Plan):
    for topic in EVENTS:
        filters = [
            push["filter"]
            for push in plan.resources_by_key("google_pubsub_subscription", "push").values()
            if push["topic"] == topic
        ]
        for attributes in ({"lane": "live"}, {"lane": "backfill"}, {}):
            assert sum(_passes(each, attributes) for each in filters) == 1, (topic, attributes)


def _passes(text: str | None, attributes: dict[str, str]) -> bool:
    if text is None:
        return True
    lane, operator, value = re.fullmatch(r'attributes\.(\w+) (=|!=) "(\w+)"', text).groups()
    return (attributes.get(lane) == value) == (operator == "=")


def test_ticks_are_events_that_the_code_reads(plan: Plan):
    ticks = plan.resources_by_key("google_cloud_scheduler_job", "schedule")
    assert set(ticks) == set(SCHEDULED_TOPICS.values())
    for topic, job in ticks.items():
        [target] = job["pubsub_target"]
        assert target["topic_name"] == f"projects/revisit-lakes/topics/{topic}"
        assert target["attributes"] == {"lane": "live", "type": f"io.revisit.{topic}"}
        published = "2026-03-01T10:15:00.250Z"
        envelope = wire.from_push(
            {"data": target["data"], "attributes": target["attributes"], "publishTime": published}
        )
        assert type(envelope.event) is EVENTS[topic]
        assert (format_rfc3339(envelope.time)[:19], envelope.event.at[:19]) == (
            published[:19],
            published[:19],
        )
        assert json.loads(base64.b64decode(target["data"])) == {"data": {}, "type": f"io.revisit.{topic}"}


def test_deliver_alone_takes_the_dead_letters_which_last_a_week(plan: Plan):
    letters = plan.resources("google_pubsub_subscription")["google_pubsub_subscription.dead_letters"]
    assert (letters["name"], letters["topic"], letters["message_retention_duration"]) == (
        "dead-letters",
        "dead-letters",
        "604800s",
    )
    assert letters["push_config"] == []
    assert {pair for pair in checks.granted_roles(plan) if pair.endswith("subscription dead-letters")} == {
        "revisit-deliver  roles/pubsub.subscriber  subscription dead-letters"
    }


@pytest.mark.parametrize(
    ("port", "roles"),
    [
        ("records", {"roles/datastore.user"}),
        ("catalog", {"roles/bigquery.dataEditor", "roles/bigquery.jobUser"}),
        ("assets", {"roles/storage.objectUser", "roles/storage.objectViewer"}),
    ],
)
def test_a_function_may_use_what_its_ports_need_and_no_other_may(port, roles, plan: Plan):
    granted = {
        pair.split()[0].removeprefix("revisit-")
        for pair in checks.granted_roles(plan)
        if pair.split()[1] in roles
    }
    assert granted - {"build"} == {function for function, ports in PORTS.items() if port in ports}


def test_those_who_sign_are_handed_the_key_and_nobody_else(plan: Plan):
    """A function signs whose code comes to what derives secrets; the settings, which all read, do not
    count."""
    signing = {
        name
        for name in FUNCTIONS
        if SHARED / "revisit" / "domain" / "webhook_secret.py"
        in reachable_files(
            ROOT / "functions" / name / "main.py", excluded=("revisit.adapters.gcp", "revisit.adapters.local")
        )
    }
    handed = {
        name: function["service_config"][0]["secret_environment_variables"]
        for name, function in plan.resources_by_key("google_cloudfunctions2_function", "this").items()
    }
    given = {
        name for name, secrets in handed.items() if SIGNING_KEY_VARIABLE in {one["key"] for one in secrets}
    }
    assert given == signing == {"api", "deliver"}
    for name in signing:
        [secret] = handed[name]
        assert (secret["key"], secret["secret"], secret["project_id"]) == (
            SIGNING_KEY_VARIABLE,
            "revisit-signing-key",
            "123456789012",
        )
    assert all(
        "secret_environment_variables" in change["change"]["after_unknown"]["service_config"][0]
        for change in plan.raw["resource_changes"]
        if change["type"] == "google_cloudfunctions2_function" and change["index"] in signing
    )


def test_extract_alone_is_handed_the_keys_of_the_copernicus_data_space(plan: Plan):
    """Both in the version that the settings give, as the code names them."""
    handed = {
        (name, secret["key"], secret["secret"], secret["version"])
        for name, function in plan.resources_by_key("google_cloudfunctions2_function", "this").items()
        for secret in function["service_config"][0]["secret_environment_variables"]
        if secret["key"] != SIGNING_KEY_VARIABLE
    }
    assert handed == {
        ("extract", CDSE_ACCESS_KEY, "revisit-cdse-access-key", "7"),
        ("extract", CDSE_SECRET_KEY, "revisit-cdse-secret-key", "7"),
    }


def test_names_are_those_that_google_takes(plan: Plan):
    forms = {
        "google_cloud_scheduler_job.name": r"[A-Za-z0-9_-]{1,500}",
        "google_cloudfunctions2_function.name": r"[a-z](?:[a-z0-9-]{0,47}[a-z0-9])?",
        "google_logging_metric.name": r"[A-Za-z0-9_./-]{1,100}",
        "google_pubsub_subscription.name": r"(?!goog)[A-Za-z][\w.~+%-]{2,254}",
        "google_pubsub_topic.name": r"(?!goog)[A-Za-z][\w.~+%-]{2,254}",
        "google_secret_manager_secret.secret_id": r"[\w-]{1,255}",
        "google_service_account.account_id": r"[a-z][a-z0-9-]{4,28}[a-z0-9]",
        "google_storage_bucket.name": r"[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]",
    }
    for where, form in forms.items():
        kind, name = where.split(".")
        assert plan.resources(kind)
        assert not [
            values[name] for values in plan.resources(kind).values() if not re.fullmatch(form, values[name])
        ], where


def test_environment_is_what_the_settings_read(plan: Plan):
    from revisit.adapters.gcp.settings import read_settings

    for function in plan.resources_by_key("google_cloudfunctions2_function", "this").values():
        # Named after what is made, the bucket and others are known at once; nothing of it is a secret.
        place = read_settings(function["service_config"][0]["environment_variables"])
        assert (place.project, place.bucket, place.database, place.dataset) == (
            "revisit-lakes",
            "revisit-lakes-revisit-results",
            "(default)",
            "revisit",
        )
        assert (place.location, place.signer) == (
            "europe-west1",
            "revisit-api@revisit-lakes.iam.gserviceaccount.com",
        )
        assert place.base_url == "https://revisit-api-123456789012.europe-west1.run.app"
        assert place.allowed_origins == ("https://revisit-lakes-revisit-site.storage.googleapis.com",)
        assert len(place.sources) == 1


def test_indexes_and_lifetimes_of_records_are_all_planned(plan: Plan):
    document = json.loads((TERRAFORM / "firestore.indexes.json").read_text())
    planned = [
        (
            index["collection"],
            index["query_scope"],
            [(field["field_path"], field["order"], field["array_config"]) for field in index["fields"]],
        )
        for index in plan.resources("google_firestore_index").values()
    ]
    assert sorted(planned, key=str) == sorted(
        (
            (
                index["collectionGroup"],
                index["queryScope"],
                [
                    (field["fieldPath"], field.get("order"), field.get("arrayConfig"))
                    for field in index["fields"]
                ],
            )
            for index in document["indexes"]
        ),
        key=str,
    )
    fields = {
        (field["collection"], field["field"]): field
        for field in plan.resources("google_firestore_field").values()
    }
    assert set(fields) == {
        (field["collectionGroup"], field["fieldPath"]) for field in document["fieldOverrides"]
    }
    for field in document["fieldOverrides"]:
        values = fields[field["collectionGroup"], field["fieldPath"]]
        assert bool(values["ttl_config"]) == field.get("ttl", False)
        assert [len(config["indexes"]) for config in values["index_config"]] == (
            [len(field["indexes"])] if "indexes" in field else []
        )


def test_marks_and_outbox_forget(plan: Plan):
    fields = plan.resources("google_firestore_field").values()
    assert {("mark", "expires"), ("outbox", "expires")} <= {
        (field["collection"], field["field"]) for field in fields if field["ttl_config"]
    }


def test_the_catalogs_tables_have_the_columns_that_the_code_asks_for(plan: Plan):
    from dataclasses import fields

    from revisit.adapters.gcp.catalog_sql import Tables
    from revisit.ports.catalog_schema import SCHEMA

    tables = plan.resources_by_key("google_bigquery_table", "this")
    assert set(tables) == {field.name for field in fields(Tables)}
    columns = {column["name"]: column["type"] for column in json.loads(tables["product"]["schema"])}
    assert set(SCHEMA.names) <= set(columns)
    [partition] = tables["product"]["time_partitioning"]
    assert (partition["type"], partition["field"], columns[partition["field"]]) == (
        "MONTH",
        "sensing_time",
        "TIMESTAMP",
    )
    assert tables["product"]["clustering"][0] == "tile"
    assert set(tables["product"]["clustering"]) <= set(columns)
    assert {table["deletion_protection"] for table in tables.values()} == {True}


def test_results_are_read_by_pages_and_forgotten(plan: Plan):
    bucket = plan.resources("google_storage_bucket")["google_storage_bucket.results"]
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["uniform_bucket_level_access"] is True
    rules = [
        (rule["action"][0]["type"], rule["condition"][0]["age"], rule["condition"][0]["matches_prefix"])
        for rule in bucket["lifecycle_rule"]
    ]
    assert rules == [("Delete", 1, ["unfinished/"]), ("Delete", 90, None)]
    [cors] = bucket["cors"]
    assert "https://revisit-lakes-revisit-site.storage.googleapis.com" in cors["origin"]
    assert "*" not in cors["origin"]
    assert {"Range", "Content-Range", "ETag"} <= set(cors["response_header"])
    assert set(cors["method"]) == {"GET", "HEAD"}


def test_every_file_of_the_page_is_published_as_what_it_is(plan: Plan):
    pages = plan.resources_by_key("google_storage_bucket_object", "page")
    assert {*pages, "config.js"} == {
        str(path.relative_to(ROOT / "web")) for path in (ROOT / "web").rglob("*") if path.is_file()
    } | {"config.js"}
    assert {page["content_type"] for name, page in pages.items() if name.endswith(".js")} == {
        "text/javascript"
    }
    config = plan.resources("google_storage_bucket_object")["google_storage_bucket_object.config"]
    assert 'export const api = "https://revisit-api-123456789012.europe-west1.run.app/";' in config["content"]
    # Where users sign in is known only once their accounts' service is: a file of its own, which config.js
    # hands on.
    assert 'export { signIn } from "./sign-in.js";' in config["content"]
    assert (
        plan.resources("google_storage_bucket_object")["google_storage_bucket_object.sign_in"]["name"]
        == "sign-in.js"
    )


def test_operators_are_alerted_when_something_goes_wrong(plan: Plan):
    policies = {
        policy["display_name"]: policy for policy in plan.resources("google_monitoring_alert_policy").values()
    }
    assert {
        "Revisit: dead-letters",
        "Revisit: late",
        "Revisit: source stale",
        "Revisit: source silent",
        "Revisit: errors",
    } <= set(policies)
    assert all(policy["documentation"][0]["content"] for policy in policies.values())
    [silent] = policies["Revisit: source silent"]["conditions"][0]["condition_matched_log"]
    assert f"jsonPayload.silent_hours>{STALE_AFTER.total_seconds() / 3600:.0f}" in silent["filter"]
    [late] = policies["Revisit: late"]["conditions"][0]["condition_threshold"]
    assert (late["threshold_value"], late["comparison"]) == (900, "COMPARISON_GT")
    watched = re.search(r'full_match\("(.*)"\)', late["filter"])[1].replace("\\\\", "\\")
    names = plan.resources_by_key("google_pubsub_subscription", "push")
    assert {name for name in names if re.fullmatch(watched, name)} == {
        name for name in names if not name.endswith(".backfill")
    }
    [budget] = plan.resources("google_billing_budget").values()
    assert [rule["threshold_percent"] for rule in budget["threshold_rules"]] == [0.5, 0.9, 1]
    [channel] = plan.resources("google_monitoring_notification_channel").values()
    assert channel["labels"] == {"email_address": ARGUMENTS["alert_email"]}


def test_metrics_count_the_lines_that_functions_write(plan: Plan):
    """The fields and outcomes named are those of runtime.py."""
    from revisit import runtime

    [metric] = plan.resources("google_logging_metric").values()
    source = (ROOT / "shared" / "revisit" / "runtime.py").read_text()
    assert runtime.JsonFormatter
    for name in re.findall(r"jsonPayload\.(\w+)", metric["filter"] + json.dumps(metric["label_extractors"])):
        assert f'"{name}":' in source
    results = get_args(runtime.Result.__value__)
    assert metric["label_extractors"]["outcome"] == "EXTRACT(jsonPayload.result)"
    policies = json.dumps(plan.resources("google_monitoring_alert_policy"))
    named = set(re.findall(r'metric\.label\.outcome=\\*"(\w+)', policies))
    assert named and named <= set(results)
    assert set(metric["label_extractors"]) == {
        label["key"] for label in metric["metric_descriptor"][0]["labels"]
    }


def test_the_dashboard_is_well_formed(plan: Plan):
    [dashboard] = plan.resources("google_monitoring_dashboard").values()
    tiles = json.loads(dashboard["dashboard_json"])["mosaicLayout"]["tiles"]
    covered = [
        (tile.get("xPos", 0) + x, tile.get("yPos", 0) + y)
        for tile in tiles
        for x in range(tile["width"])
        for y in range(tile["height"])
    ]
    assert len(tiles) == 6
    assert sorted(covered) == [(x, y) for x in range(12) for y in range(12)], (
        "no gap and no overlap in the twelve columns there are"
    )


def test_variables_and_outputs_are_described_and_in_order():
    for file, block in (("variables.tf", "variable"), ("outputs.tf", "output")):
        text = (TERRAFORM / file).read_text()
        names = re.findall(rf'^{block} "(\w+)"', text, re.MULTILINE)
        assert names == sorted(names)
        assert text.count("\n  description = ") == len(names)
    required = [
        block
        for block in re.split(r"\n(?=variable)", (TERRAFORM / "variables.tf").read_text())
        if "\n  default " not in block
    ]
    assert len(required) == 1
    assert 'variable "project"' in required[0]


def test_figures_of_the_plan(plan: Plan):
    figure("terraform: resources planned", str(len(plan.resources())))
    figure("terraform: (account, role, resource) on the list", str(len(checks.granted_roles(plan))))
    assert {"create"} == {
        action
        for change in plan.raw["resource_changes"]
        if change["mode"] == "managed"
        for action in change["change"]["actions"]
    }
