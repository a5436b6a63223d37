"""What would be wrong is found: each check is given an error of the kind it is there for."""

import re

import pytest

from terraform import checks
from terraform.terraform_runner import Terraform

PLANTED = [
    (
        "a role more",
        "functions.tf",
        'role    = "roles/logging.logWriter"',
        'role    = "roles/editor"',
        "grants roles/editor",
    ),
    (
        "a grant less",
        "topics.tf",
        'publishers = ["refresh"]',
        "publishers = []",
        "no longer granted: revisit-refresh  roles/pubsub.publisher  topic product.new",
    ),
    (
        "the public everywhere",
        "functions.tf",
        'public_functions = toset(["api"])',
        'public_functions = toset(["api", "extract"])',
        'public["extract"] lets the public in',
    ),
    (
        "every database",
        "records.tf",
        'expression = "resource.name == ',
        'expression = "true || resource.name == ',
        "not on the list: revisit-notify  roles/datastore.user",
    ),
    (
        "no token",
        "topics.tf",
        "google_service_account.trigger.email",
        "google_service_account.build.email",
        "notify.product.new is called without a token",
    ),
    (
        "no bound on instances",
        "functions.tf",
        "max_instance_count               = each.value.max_instances",
        "max_instance_count = 0",
        "notify has no max_instance_count",
    ),
    (
        "no pause between tries",
        "topics.tf",
        'minimum_backoff = "10s"',
        'minimum_backoff = "0s"',
        "index.job.extracted is retried without a pause",
    ),
    (
        "a deadline too short",
        "topics.tf",
        ".timeout + 60",
        ".timeout - 60",
        "extract.job.started is called again after 480 s, though it may take 540 s",
    ),
    (
        "a secret written out",
        "functions.tf",
        'LOG_EXECUTION_ID = "true"',
        'WEBHOOK = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"',
        "holds what looks like a secret",
    ),
    (
        "a key in the state",
        "secrets.tf",
        "  secret_data_wo  ",
        "  secret_data  ",
        "signing_key keeps a secret in the state",
    ),
    (
        "a key for everybody",
        "secrets.tf",
        'signing_key_users = toset(["api", "deliver"])',
        "signing_key_users = toset(keys(local.functions))",
        "not on the list: revisit-notify  roles/secretmanager.secretAccessor  secret revisit-signing-key",
    ),
    (
        "a subscription that expires",
        "topics.tf",
        'ttl = "" # never',
        'ttl = "86400s"',
        "dead_letters expires",
    ),
]


@pytest.mark.parametrize(
    ("file", "was", "becomes", "finding"), [each[1:] for each in PLANTED], ids=[each[0] for each in PLANTED]
)
def test_what_is_planted_is_found(file, was, becomes, finding, scratch_deployment: Terraform):
    path = scratch_deployment.folder / file
    assert was in path.read_text()
    path.write_text(path.read_text().replace(was, becomes))
    plan = scratch_deployment.plan()
    assert any(finding in found for check in checks.CHECKS for found in check(plan))


def test_a_missing_dead_letter_is_found(scratch_deployment: Terraform):
    path = scratch_deployment.folder / "topics.tf"
    path.write_text(re.sub(r"  dead_letter_policy \{.*?\n  \}\n", "", path.read_text(), flags=re.DOTALL))
    assert "deliver.job.finished has no dead letters" in checks.unbounded_retries(scratch_deployment.plan())


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        (
            "max_instance_count ",
            "max_instances_count ",
            'An argument named "max_instances_count" is not expected here',
        ),
        (
            "timeout_seconds                  = each.value.timeout",
            'timeout_seconds = "soon"',
            "a number is required",
        ),
        (
            "google_service_account.build.id",
            "google_service_account.build.identity",
            'exported attribute named "identity"',
        ),
        ("    entry_point       = each.key\n", "    entry_point       = each.keyy\n", "keyy"),
    ],
)
def test_an_error_that_only_the_providers_schema_tells_is_found(
    was, becomes, said, scratch_deployment: Terraform
):
    path = scratch_deployment.folder / "functions.tf"
    assert was in path.read_text()
    path.write_text(path.read_text().replace(was, becomes))
    ran = scratch_deployment("validate")
    assert ran.status != 0
    assert said in " ".join(re.sub(r"[│╷╵]", "", ran.output).split())


def test_a_false_assertion_of_terraforms_own_tests_is_seen(scratch_deployment: Terraform):
    path = scratch_deployment.folder / "topics.tf"
    path.write_text(path.read_text().replace("/topics/${each.value.topic}", "/topics/other"))
    ran = scratch_deployment("test")
    assert ran.status != 0
    assert "A push goes elsewhere" in ran.output
