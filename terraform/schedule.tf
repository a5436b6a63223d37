locals {
  schedules = {
    "catalog.refresh" = { schedule = "*/15 * * * *", description = "lists new products of every source" }
    "deliveries.due"  = { schedule = "* * * * *", description = "retries due deliveries and publishes outbox events left by a crash" }
  }
}

resource "google_cloud_scheduler_job" "schedule" {
  for_each    = local.schedules
  name        = replace("revisit-${each.key}", ".", "-")
  description = "Revisit: ${each.value.description}"
  region      = var.region
  schedule    = each.value.schedule
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = "${local.topic_path}/${google_pubsub_topic.event[each.key].name}"
    # The event's time is its publish time.
    data       = base64encode(jsonencode({ data = {}, type = "io.revisit.${each.key}" }))
    attributes = { lane = "live", type = "io.revisit.${each.key}" }
  }
}

moved {
  from = google_cloud_scheduler_job.tick
  to   = google_cloud_scheduler_job.schedule
}
