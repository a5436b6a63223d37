resource "google_identity_platform_config" "this" {
  # Google's sign-in handler and the websites.
  authorized_domains = sort(setunion(
    ["${var.project}.firebaseapp.com"],
    [for origin in local.origins : split(":", trimprefix(trimprefix(origin, "https://"), "http://"))[0]],
  ))
  autodelete_anonymous_users = true
  depends_on                 = [google_project_service.this]

  sign_in {
    allow_duplicate_emails = false
    email {
      enabled           = true
      password_required = false # a sign-in link by e-mail is enough
    }
  }
}

# The client secret is added to Secret Manager by hand (docs/deploy.md). The
# provider also stores it in the state, so the state has a bucket of its own.
data "google_secret_manager_secret_version" "google_sign_in" {
  for_each = toset(var.google_sign_in == null ? [] : ["revisit-google-sign-in"])
  secret   = each.key
}

resource "google_identity_platform_default_supported_idp_config" "google" {
  for_each      = data.google_secret_manager_secret_version.google_sign_in
  idp_id        = "google.com"
  enabled       = true
  client_id     = var.google_sign_in
  client_secret = each.value.secret_data
  depends_on    = [google_identity_platform_config.this]
}
