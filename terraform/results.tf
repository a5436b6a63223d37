locals {
  # Origins whose pages may call the API and read results.
  origins = setunion([local.site_url], var.sites)

  results_roles = {
    api     = "roles/storage.objectViewer"
    extract = "roles/storage.objectUser"
    index   = "roles/storage.objectUser"
  }
}

# No object versioning: names are derived from the content, so that no object is
# overwritten.
resource "google_storage_bucket" "results" {
  name                        = "${var.project}-revisit-results"
  location                    = var.region
  force_destroy               = !var.protected
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true
  depends_on                  = [google_project_service.this]

  dynamic "cors" {
    for_each = jsondecode(file("${path.module}/cors.json"))
    content {
      origin          = sort(setunion(local.origins, try(cors.value.origin, [])))
      method          = cors.value.method
      response_header = cors.value.responseHeader
      max_age_seconds = cors.value.maxAgeSeconds
    }
  }
  lifecycle_rule {
    action { type = "Delete" }
    condition {
      age            = 1
      matches_prefix = ["unfinished/"]
    }
  }
  lifecycle_rule {
    action { type = "Delete" }
    condition { age = var.keep_results_days }
  }
}

resource "google_storage_bucket_iam_member" "results" {
  for_each = local.results_roles
  bucket   = google_storage_bucket.results.name
  role     = each.value
  member   = google_service_account.function[each.key].member
}

# Before it writes, a function checks that the bucket is in the configured region.
resource "google_storage_bucket_iam_member" "results_region" {
  for_each = toset([for name, role in local.results_roles : name if role == "roles/storage.objectUser"])
  bucket   = google_storage_bucket.results.name
  role     = "roles/storage.legacyBucketReader"
  member   = google_service_account.function[each.key].member
}

# Deleting an account deletes its results. Google has no role that deletes but
# does not write.
resource "google_project_iam_custom_role" "remover" {
  role_id     = "revisitRemover"
  title       = "Revisit: deletes results"
  permissions = ["storage.objects.delete"]
}

resource "google_storage_bucket_iam_member" "remover" {
  bucket = google_storage_bucket.results.name
  role   = "projects/${var.project}/roles/${google_project_iam_custom_role.remover.role_id}"
  member = google_service_account.function["api"].member
}
