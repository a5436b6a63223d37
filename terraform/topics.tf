# A topic carries one kind of event (shared/revisit/domain/events.py); a push
# subscription delivers it to one function (shared/revisit/ports/topology.py).

locals {
  topics = {
    "catalog.refresh" = { functions = ["refresh"], publishers = ["api"] }
    "deliveries.due"  = { functions = ["deliver"], publishers = [] }
    "job.extracted"   = { functions = ["index"], publishers = ["extract"] }
    "job.finished"    = { functions = ["deliver"], publishers = ["api", "extract", "index"] }
    "job.started"     = { functions = ["extract"], publishers = ["api", "notify", "refresh"] }
    "order.created"   = { functions = ["refresh"], publishers = ["api"] }
    "product.new"     = { functions = ["notify"], publishers = ["refresh"] }
  }

  # Backfill jobs have a subscription of their own: new jobs do not wait behind
  # them, and the oldest message of the live one shows how late alerts are.
  subscriptions = merge([
    for topic, of in local.topics : merge([
      for function in of.functions : startswith(topic, "job.") ? {
        "${function}.${topic}"          = { function = function, topic = topic, filter = "attributes.lane != \"backfill\"" }
        "${function}.${topic}.backfill" = { function = function, topic = topic, filter = "attributes.lane = \"backfill\"" }
        } : {
        "${function}.${topic}" = { function = function, topic = topic, filter = null }
      }
    ]...)
  ]...)

  # deliver sweeps the outbox, so it publishes events of every topic.
  publishers = merge([
    for topic, of in local.topics : { for function in toset(concat(of.publishers, ["deliver"])) : "${function}.${topic}" => { function = function, topic = topic } }
  ]...)

  topic_path   = "projects/${var.project}/topics"
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic" "event" {
  for_each = local.topics
  name     = each.key
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publishers
  topic    = google_pubsub_topic.event[each.value.topic].name
  role     = "roles/pubsub.publisher"
  member   = google_service_account.function[each.value.function].member
}

# --- the caller

resource "google_service_account" "trigger" {
  account_id   = "revisit-trigger"
  display_name = "Revisit: calls the functions on behalf of Pub/Sub"
  depends_on   = [google_project_service.this]
}

resource "google_cloud_run_v2_service_iam_member" "trigger" {
  for_each = toset([for each in local.subscriptions : each.function])
  location = var.region
  name     = google_cloudfunctions2_function.this[each.key].name
  role     = "roles/run.invoker"
  member   = google_service_account.trigger.member
}

resource "google_pubsub_subscription" "push" {
  for_each = local.subscriptions
  name     = each.key
  topic    = google_pubsub_topic.event[each.value.topic].name
  filter   = each.value.filter
  # Longer than the function's timeout, or the message would be redelivered while
  # it is processed.
  ack_deadline_seconds       = local.functions[each.value.function].timeout + 60
  message_retention_duration = "86400s"

  push_config {
    # functions-framework reads the topic from the path.
    push_endpoint = "${google_cloudfunctions2_function.this[each.value.function].service_config[0].uri}/projects/${var.project}/topics/${each.value.topic}"
    oidc_token {
      audience              = google_cloudfunctions2_function.this[each.value.function].service_config[0].uri
      service_account_email = google_service_account.trigger.email
    }
  }
  dead_letter_policy {
    dead_letter_topic     = "${local.topic_path}/${google_pubsub_topic.dead_letters.name}"
    max_delivery_attempts = 8
  }
  expiration_policy {
    ttl = "" # never
  }
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  depends_on = [google_cloud_run_v2_service_iam_member.trigger]
}

resource "google_pubsub_subscription_iam_member" "forwarder" {
  for_each     = local.subscriptions
  subscription = google_pubsub_subscription.push[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

# --- dead letters

resource "google_pubsub_topic" "dead_letters" {
  name = "dead-letters"
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic_iam_member" "forwarder" {
  topic  = google_pubsub_topic.dead_letters.name
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

# deliver stores them in the records every minute, where `revisit dead-letters`
# lists and replays them.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "dead-letters"
  topic                      = google_pubsub_topic.dead_letters.name
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"
  expiration_policy {
    ttl = "" # never
  }
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  subscription = google_pubsub_subscription.dead_letters.name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.function["deliver"].member
}
