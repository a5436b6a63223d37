locals {
  # The bucket name as host is a separate origin. On the shared host, pages of
  # every other bucket would have the same origin.
  site_url = "https://${var.project}-revisit-site.storage.googleapis.com"

  media_types = {
    css  = "text/css"
    html = "text/html"
    js   = "text/javascript"
    json = "application/json"
    svg  = "image/svg+xml"
    txt  = "text/plain"
  }
  site_files   = setsubtract(fileset("${path.module}/../web", "**"), ["config.js"])
  sign_in_urls = [for key in google_identity_platform_config.this.client[*].api_key : "https://identitytoolkit.googleapis.com/v1/accounts:signInWithPassword?key=${key}"]
}

resource "google_storage_bucket" "site" {
  name                        = "${var.project}-revisit-site"
  location                    = var.region
  public_access_prevention    = "inherited"
  uniform_bucket_level_access = true
  depends_on                  = [google_project_service.this]

  cors {
    origin          = sort(local.origins)
    method          = ["GET", "HEAD"]
    response_header = ["Content-Type", "ETag"]
    max_age_seconds = 3600
  }
  website {
    main_page_suffix = "index.html"
  }
}

resource "google_storage_bucket_iam_member" "site" {
  bucket = google_storage_bucket.site.name
  # Reads objects but cannot list them.
  role   = "roles/storage.legacyObjectReader"
  member = "allUsers"
}

resource "google_storage_bucket_object" "page" {
  for_each      = local.site_files
  name          = each.key
  bucket        = google_storage_bucket.site.name
  source        = "${path.module}/../web/${each.key}"
  content_type  = local.media_types[reverse(split(".", each.key))[0]]
  cache_control = "no-cache"
}

# The only file that differs between deployments.
resource "google_storage_bucket_object" "config" {
  name          = "config.js"
  bucket        = google_storage_bucket.site.name
  content_type  = local.media_types.js
  cache_control = "no-cache"
  content       = <<-EOT
    // The API, the origins of result files, and the sign-in service of this deployment.
    export const api = ${jsonencode("${local.function_urls["api"]}/")};
    export const files = ["https://storage.googleapis.com"];
    export { signIn } from "./sign-in.js";
  EOT
}

# A separate object, since the key is unknown before the first apply.
resource "google_storage_bucket_object" "sign_in" {
  name          = "sign-in.js"
  bucket        = google_storage_bucket.site.name
  content_type  = local.media_types.js
  cache_control = "no-cache"
  content       = <<-EOT
    // The address that exchanges e-mail and password for a token. The key identifies the project and grants nothing.
    export const signIn = ${jsonencode(join("", local.sign_in_urls))};
  EOT
}
