locals {
  ticks = {
    "catalog.refresh" = { schedule = "*/15 * * * *", about = "asks every source what is new" }
    "deliveries.due"  = { schedule = "* * * * *", about = "tries again what waits, and publishes what a crash left" }
  }
}

resource "google_cloud_scheduler_job" "tick" {
  for_each    = local.ticks
  name        = replace("revisit-${each.key}", ".", "-")
  description = "Revisit: ${each.value.about}"
  region      = var.region
  schedule    = each.value.schedule
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = "${local.topic_path}/${google_pubsub_topic.event[each.key].name}"
    # The moment of the tick is that of its publishing.
    data       = base64encode(jsonencode({ data = {}, type = "io.revisit.${each.key}" }))
    attributes = { lane = "live", type = "io.revisit.${each.key}" }
  }
}
