# Terraform makes the drawers and says who may open them. What lies in them is
# put there by `gcloud secrets versions add` (docs/deploy.md) and never known to
# Terraform, so that it is in no state and no plan.

locals {
  secrets = {
    mail         = { about = "How the mail server is reached: address, name, password", readers = ["deliver"] }
    webhook-keys = { about = "Key that the signing secrets of webhooks are encrypted with", readers = ["api", "deliver"] }
  }
  secret_readers = merge([
    for secret, of in local.secrets : { for function in of.readers : "${function}.${secret}" => { function = function, secret = secret } }
  ]...)
}

resource "google_secret_manager_secret" "this" {
  for_each            = local.secrets
  secret_id           = "revisit-${each.key}"
  annotations         = { about = each.value.about }
  deletion_protection = var.protected
  depends_on          = [google_project_service.this]
  replication {
    user_managed {
      replicas { location = var.region }
    }
  }
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each  = local.secret_readers
  secret_id = google_secret_manager_secret.this[each.value.secret].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.value.function].member
}
