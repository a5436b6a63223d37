# The key that webhook secrets are derived from. It is generated in a write-only
# argument, so that it is in no state and no plan. Functions get it from Secret
# Manager at start-up.

locals {
  signing_key_users = toset(["api", "deliver"])
}

resource "google_secret_manager_secret" "signing_key" {
  secret_id           = "revisit-signing-key"
  annotations         = { about = "Key that webhook signing secrets are derived from" }
  deletion_protection = var.protected
  depends_on          = [google_project_service.this]
  replication {
    user_managed {
      replicas { location = var.region }
    }
  }
}

resource "google_secret_manager_secret_version" "signing_key" {
  secret = google_secret_manager_secret.signing_key.id
  # 32 bytes, hashed from 384 random bits, in base64. A new key is generated only
  # when the number changes; the previous version is kept for a rollback.
  secret_data_wo         = base64sha256("${uuid()}${uuid()}${uuid()}")
  secret_data_wo_version = var.signing_key_number
  deletion_policy        = var.protected ? "DISABLE" : "DELETE"
}

resource "google_secret_manager_secret_iam_member" "signing_key_user" {
  for_each  = local.signing_key_users
  secret_id = google_secret_manager_secret.signing_key.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.key].member
}

moved {
  from = google_secret_manager_secret_iam_member.signer
  to   = google_secret_manager_secret_iam_member.signing_key_user
}
