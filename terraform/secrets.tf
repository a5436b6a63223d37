# The key that webhook secrets are derived from. It is generated in a write-only
# argument, so that it is in no state and no plan. Functions get it from Secret
# Manager at start-up.

locals {
  signing_key_users = toset(["api", "deliver"])

  # S3 keys of the Copernicus Data Space, by the variable that holds each. They
  # are added to Secret Manager by hand (docs/deploy.md), so they are in no state.
  cdse_key_users = toset(["extract"])
  cdse_secrets = var.cdse_keys_number == null ? {} : {
    REVISIT_CDSE_ACCESS_KEY = "revisit-cdse-access-key"
    REVISIT_CDSE_SECRET_KEY = "revisit-cdse-secret-key"
  }
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

resource "google_secret_manager_secret_iam_member" "cdse_key_user" {
  for_each = {
    for pair in setproduct(local.cdse_key_users, values(local.cdse_secrets)) : "${pair[0]} ${pair[1]}" => pair
  }
  secret_id  = each.value[1]
  role       = "roles/secretmanager.secretAccessor"
  member     = google_service_account.function[each.value[0]].member
  depends_on = [google_project_service.this]
}

moved {
  from = google_secret_manager_secret_iam_member.signer
  to   = google_secret_manager_secret_iam_member.signing_key_user
}
