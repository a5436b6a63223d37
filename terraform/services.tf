locals {
  services = toset([
    "artifactregistry", "bigquery", "billingbudgets", "cloudbuild", "cloudfunctions", "cloudresourcemanager", "cloudscheduler", "firebaserules",
    "firestore", "iam", "iamcredentials", "identitytoolkit", "logging", "monitoring", "pubsub", "run", "secretmanager", "storage",
  ])
}

resource "google_project_service" "this" {
  for_each = local.services
  service  = "${each.key}.googleapis.com"
  # Other software in the project may use them, and its data would be lost.
  disable_on_destroy = false
}
