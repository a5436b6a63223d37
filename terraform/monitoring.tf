# Alert policies, the dashboard and the budget. The functions write one
# structured log line per event (runtime.py), which the metric `handled` counts.

locals {
  _handled_metric       = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.handled.name}\" AND resource.type=\"cloud_run_revision\""
  _subscription_metric  = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription"
  _live_subscriptions   = "^(${join("|", [for name, of in local.subscriptions : replace(name, ".", "\\\\.") if !endswith(name, ".backfill")])})$"
  _request_count_metric = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_count\" AND resource.label.service_name=monitoring.regex.full_match(\"revisit-.*\")"

  alert_policies = {
    dead-letters = {
      summary   = "Messages failed 8 delivery attempts and became dead letters."
      remedy    = "Run `revisit dead-letters list` for the messages and reasons; fix the cause, then run `revisit dead-letters replay`."
      severity  = "ERROR"
      filter    = "${local._subscription_metric}/dead_letter_message_count\""
      aligner   = "ALIGN_DELTA", reducer = "REDUCE_SUM", group_by = ["resource.label.subscription_id"]
      threshold = 0, duration = "0s"
    }
    dead-letters-waiting = {
      summary   = "Dead letters are not stored in the records: deliver does not run."
      remedy    = "Check the log of revisit-deliver and the Scheduler job revisit-deliveries-due."
      severity  = "CRITICAL"
      filter    = "${local._subscription_metric}/num_undelivered_messages\" AND resource.label.subscription_id=\"${google_pubsub_subscription.dead_letters.name}\""
      aligner   = "ALIGN_MIN", reducer = "REDUCE_SUM", group_by = []
      threshold = 0, duration = "600s"
    }
    failed-events = {
      summary   = "A function failed events permanently."
      remedy    = "Run `revisit dead-letters list`, and see the reasons of failed jobs in `revisit status`."
      severity  = "WARNING"
      filter    = "${local._handled_metric} AND metric.label.outcome=\"failed\""
      aligner   = "ALIGN_DELTA", reducer = "REDUCE_SUM", group_by = ["metric.label.function"]
      threshold = 0, duration = "0s"
    }
    late = {
      summary   = "A message has been waiting for 15 minutes: alerts are late."
      remedy    = "Check in its log whether the function is at max_instances or fails."
      severity  = "ERROR"
      filter    = "${local._subscription_metric}/oldest_unacked_message_age\" AND resource.label.subscription_id=monitoring.regex.full_match(\"${local._live_subscriptions}\")"
      aligner   = "ALIGN_MAX", reducer = "REDUCE_MAX", group_by = ["resource.label.subscription_id"]
      threshold = 900, duration = "60s"
    }
  }
}

resource "google_logging_metric" "handled" {
  name        = "revisit_handled"
  description = "Events handled, by function and outcome (done, repeated, retried, failed)"
  filter      = "resource.type=\"cloud_run_revision\" AND jsonPayload.function:* AND jsonPayload.result:*"
  label_extractors = {
    function = "EXTRACT(jsonPayload.function)"
    outcome  = "EXTRACT(jsonPayload.result)"
  }
  depends_on = [google_project_service.this]

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    labels { key = "function" }
    labels { key = "outcome" }
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each     = toset(var.alert_email == null ? [] : [var.alert_email])
  display_name = "Revisit: operations"
  type         = "email"
  labels       = { email_address = each.key }
  depends_on   = [google_project_service.this]
}

locals {
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]
}

resource "google_monitoring_alert_policy" "threshold" {
  for_each              = local.alert_policies
  display_name          = "Revisit: ${each.key}"
  combiner              = "OR"
  notification_channels = local.notification_channels
  severity              = each.value.severity

  conditions {
    display_name = each.value.summary
    condition_threshold {
      filter          = each.value.filter
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.threshold
      duration        = each.value.duration
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
        group_by_fields      = each.value.group_by
      }
    }
  }
  documentation {
    content = "${each.value.summary} ${each.value.remedy}"
  }
  depends_on = [google_project_service.this]
}

resource "google_monitoring_alert_policy" "errors" {
  display_name          = "Revisit: errors"
  combiner              = "OR"
  notification_channels = local.notification_channels
  severity              = "ERROR"

  conditions {
    display_name = "More than 5 % of a function's requests fail."
    condition_threshold {
      filter             = "${local._request_count_metric} AND metric.label.response_code_class=\"5xx\""
      denominator_filter = local._request_count_metric
      comparison         = "COMPARISON_GT"
      threshold_value    = 0.05
      duration           = "600s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_RATE"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.service_name"]
      }
      denominator_aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_RATE"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.service_name"]
      }
    }
  }
  documentation {
    content = "A function answers with errors, so its messages are redelivered. The reason is in its log."
  }
  depends_on = [google_project_service.this]
}

# A refresh that fails for one source is not "done", so done means all sources. A
# source that answers without new products is reported below (chain/refresh.py).
resource "google_monitoring_alert_policy" "source_stale" {
  display_name          = "Revisit: source stale"
  combiner              = "OR"
  notification_channels = local.notification_channels
  severity              = "WARNING"

  conditions {
    display_name = "No refresh of all sources has succeeded for 3 hours."
    condition_absent {
      filter   = "${local._handled_metric} AND metric.label.function=\"refresh\" AND metric.label.outcome=\"done\""
      duration = "10800s"
      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }
  documentation {
    content = "A source does not answer, or its format has changed. `revisit status` shows each source and its latest product; `revisit doctor` checks each source."
  }
  depends_on = [google_project_service.this]
}

resource "google_monitoring_alert_policy" "source_silent" {
  display_name          = "Revisit: source silent"
  combiner              = "OR"
  notification_channels = local.notification_channels
  severity              = "WARNING"

  conditions {
    display_name = "A source answers, but its latest product was sensed more than 48 hours ago."
    condition_matched_log {
      filter           = "resource.type=\"cloud_run_revision\" AND jsonPayload.silent_hours>48"
      label_extractors = { source = "EXTRACT(jsonPayload.source)" }
    }
  }
  alert_strategy {
    auto_close = "86400s"
    # Each refresh logs it again.
    notification_rate_limit {
      period = "86400s"
    }
  }
  documentation {
    content = "A source has stopped publishing without an error. `revisit status` shows its latest product; configure another source in the variable `sources`."
  }
  depends_on = [google_project_service.this]
}

# GET /status shows the backlog of Pub/Sub, which only Monitoring reports.
resource "google_project_iam_member" "status" {
  project = var.project
  role    = "roles/monitoring.viewer"
  member  = google_service_account.function["api"].member
}

resource "google_monitoring_dashboard" "this" {
  dashboard_json = file("${path.module}/dashboard.json")
  depends_on     = [google_logging_metric.handled]
}

resource "google_billing_budget" "month" {
  for_each        = toset(var.billing_account == null ? [] : [var.billing_account])
  billing_account = each.key
  display_name    = "Revisit in ${var.project}"
  depends_on      = [google_project_service.this]

  budget_filter {
    calendar_period = "MONTH"
    projects        = ["projects/${data.google_project.this.number}"]
  }
  amount {
    specified_amount {
      units = tostring(var.monthly_budget)
    }
  }
  dynamic "threshold_rules" {
    for_each = toset([0.5, 0.9, 1])
    content {
      threshold_percent = threshold_rules.value
    }
  }
  dynamic "all_updates_rule" {
    for_each = var.alert_email == null ? [] : [local.notification_channels]
    content {
      monitoring_notification_channels = all_updates_rule.value
    }
  }
}

moved {
  from = google_monitoring_alert_policy.threshold["given-up"]
  to   = google_monitoring_alert_policy.threshold["failed-events"]
}
