"""What must hold for a plan; each check gives a sentence for everything that breaks it."""

import json
import re
from pathlib import Path

from terraform.terraform_runner import Plan

ALLOWED_FILE = Path(__file__).parent / "iam.txt"
GRANT_TARGETS = {
    "google_artifact_registry_repository_iam_member": ("images", "repository"),
    "google_bigquery_dataset_iam_member": ("dataset", "dataset_id"),
    "google_cloud_run_v2_service_iam_member": ("service", "name"),
    "google_project_iam_member": ("project", "project"),
    "google_pubsub_subscription_iam_member": ("subscription", "subscription"),
    "google_pubsub_topic_iam_member": ("topic", "topic"),
    "google_secret_manager_secret_iam_member": ("secret", "secret_id"),
    "google_service_account_iam_member": ("account", "service_account_id"),
    "google_storage_bucket_iam_member": ("bucket", "bucket"),
}
"""Resources that grant a role, and the attribute that says on what."""
PUBLIC_GRANTS = {
    ("service revisit-api", "roles/run.invoker"),
    ("bucket revisit-lakes-revisit-site", "roles/storage.legacyObjectReader"),
}
SECRET = re.compile(
    r"whsec_|-----BEGIN|AIza[\w-]{30}|ya29\.|smtps?://\w+:\w+@|rvt_\w+_|\"password\"", re.IGNORECASE
)
"""What a secret that was written out would look like."""
LONGEST_PUSH_S = 600


def granted_roles(plan: Plan) -> set[str]:
    """Who may do what where, a line each."""
    lines = set()
    for address, granted in plan.resources().items():
        if "role" in granted and "member" in granted:
            kind, name = GRANT_TARGETS[address.partition(".")[0]]
            who = granted["member"].removeprefix("serviceAccount:").partition("@")[0]
            what = granted[name].rpartition("/")[2].partition("@")[0]
            only = f" if {granted['condition'][0]['expression']}" if granted.get("condition") else ""
            lines.add(f"{who}  {granted['role']}  {kind} {what}{only}")
    return lines


def unlisted_grants(plan: Plan) -> list[str]:
    """Every grant is on the committed list, and every line of it is granted."""
    allowed = {line for line in ALLOWED_FILE.read_text().splitlines() if line and not line.startswith("#")}
    return [f"not on the list: {line}" for line in sorted(granted_roles(plan) - allowed)] + [
        f"no longer granted: {line}" for line in sorted(allowed - granted_roles(plan))
    ]


def broad_grants(plan: Plan) -> list[str]:
    """Nobody owns or edits the project, and the public gets the API and the page alone."""
    found = []
    for address, granted in plan.resources().items():
        if granted.get("role") in ("roles/owner", "roles/editor", "roles/viewer"):
            found.append(f"{address} grants {granted['role']}")
        if granted.get("member") in ("allUsers", "allAuthenticatedUsers"):
            kind, name = GRANT_TARGETS[address.partition(".")[0]]
            if (f"{kind} {granted[name]}", granted["role"]) not in PUBLIC_GRANTS:
                found.append(f"{address} lets the public in")
    # A policy or binding would take away what others grant; keys can be lost.
    kinds = {each.partition(".")[0] for each in plan.resources()}
    return found + [
        f"{kind} is used"
        for kind in sorted(kinds)
        if kind.endswith(("_iam_policy", "_iam_binding", "_account_key", "_hmac_key", "_api_key"))
    ]


def unbounded_retries(plan: Plan) -> list[str]:
    """Every function ends: its instances, its time, the tries of a message and their pace are bounded."""
    found = []
    functions = plan.resources_by_key("google_cloudfunctions2_function", "this")
    for name, function in functions.items():
        [config] = function["service_config"]
        found += [
            f"{name} has no {bound}"
            for bound in ("max_instance_count", "timeout_seconds", "max_instance_request_concurrency")
            if not config[bound]
        ]
        if name != "api" and config["ingress_settings"] != "ALLOW_INTERNAL_ONLY":
            found.append(f"{name} is open to the internet")
    for name, push in plan.resources_by_key("google_pubsub_subscription", "push").items():
        timeout = functions[name.partition(".")[0]]["service_config"][0]["timeout_seconds"]
        if not timeout < push["ack_deadline_seconds"] <= LONGEST_PUSH_S:
            found.append(
                f"{name} is called again after {push['ack_deadline_seconds']} s, though it may take "
                f"{timeout} s"
            )
        if not push["dead_letter_policy"] or not push["dead_letter_policy"][0]["dead_letter_topic"].endswith(
            "/topics/dead-letters"
        ):
            found.append(f"{name} has no dead letters")
        elif push["dead_letter_policy"][0]["max_delivery_attempts"] != 8:
            found.append(
                f"{name} is tried {push['dead_letter_policy'][0]['max_delivery_attempts']} times, not 8"
            )
        if not push["retry_policy"] or push["retry_policy"][0] != {
            "minimum_backoff": "10s",
            "maximum_backoff": "600s",
        }:
            found.append(f"{name} is retried without a pause")
        if not push["push_config"][0]["oidc_token"] or not push["push_config"][0]["oidc_token"][0][
            "service_account_email"
        ].startswith("revisit-trigger@"):
            found.append(f"{name} is called without a token")
        if push["message_retention_duration"] != "86400s":
            found.append(f"{name} keeps messages for {push['message_retention_duration']}")
    return found


def expiring_subscriptions(plan: Plan) -> list[str]:
    """Subscriptions last, whether or not anything comes."""
    return [
        f"{address} expires"
        for address, values in plan.resources("google_pubsub_subscription").items()
        if not values["expiration_policy"] or values["expiration_policy"][0]["ttl"] != ""
    ]


def exposed_secrets(plan: Plan) -> list[str]:
    """No secret is written out, and what Terraform puts anywhere it forgets: neither plan nor state holds
    it."""
    written = plan.configured_expressions("google_secret_manager_secret_version")
    found = [
        f"{address} keeps a secret in the state"
        for address, given in written.items()
        if "secret_data_wo" not in given or "secret_data" in given
    ]
    found += [
        f"{address} holds a secret"
        for address, values in plan.resources("google_secret_manager_secret_version").items()
        if values.get("secret_data_wo")
    ]
    return found + [
        f"{address} holds what looks like a secret"
        for address, values in plan.resources().items()
        if address.partition(".")[0] != "google_storage_bucket_object" and SECRET.search(json.dumps(values))
    ]


CHECKS = (unlisted_grants, broad_grants, unbounded_retries, expiring_subscriptions, exposed_secrets)
