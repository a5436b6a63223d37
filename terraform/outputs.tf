output "api_url" {
  description = "URL of the API."
  value       = local.function_urls["api"]
}

output "buckets" {
  description = "Names of the buckets, by content."
  value = {
    code    = google_storage_bucket.code.name
    results = google_storage_bucket.results.name
    site    = google_storage_bucket.site.name
  }
}

output "dashboard_url" {
  description = "URL of the dashboard."
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
  description = "URLs of the functions; all but the API accept requests from Pub/Sub only."
  value       = local.function_urls
}

output "project" {
  description = "Id of the project."
  value       = var.project
}

output "service_accounts" {
  description = "Service accounts of the functions."
  value       = { for name, account in google_service_account.function : name => account.email }
}

output "sign_in_key" {
  description = "API key with which programs sign users in at Identity Platform; it identifies the project and grants nothing."
  value       = one(google_identity_platform_config.this.client[*].api_key)
  sensitive   = true
}

output "site_url" {
  description = "URL of the website."
  value       = "${local.site_url}/index.html"
}
