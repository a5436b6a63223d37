output "api_url" {
  description = "Where the API is."
  value       = local.function_urls["api"]
}

output "buckets" {
  description = "Buckets by what they hold."
  value = {
    code    = google_storage_bucket.code.name
    results = google_storage_bucket.results.name
    site    = google_storage_bucket.site.name
  }
}

output "dashboard_url" {
  description = "Where the dashboard is."
  value       = "https://console.cloud.google.com/monitoring/dashboards/builder/${reverse(split("/", google_monitoring_dashboard.this.id))[0]}?project=${var.project}"
}

output "database" {
  description = "Firestore database of the records."
  value       = google_firestore_database.this.name
}

output "dataset" {
  description = "BigQuery dataset of the catalog."
  value       = google_bigquery_dataset.catalog.dataset_id
}

output "functions" {
  description = "Addresses of the functions; all but the API's answer Pub/Sub alone."
  value       = local.function_urls
}

output "project" {
  description = "Project that all of it lies in."
  value       = var.project
}

output "service_accounts" {
  description = "Accounts that the functions run as."
  value       = { for name, account in google_service_account.function : name => account.email }
}

output "sign_in_key" {
  description = "Key by which programs sign users in at Identity Platform; it tells the project and opens nothing."
  value       = one(google_identity_platform_config.this.client[*].api_key)
  sensitive   = true
}

output "site_url" {
  description = "Where the page is."
  value       = "${local.site_url}/index.html"
}
