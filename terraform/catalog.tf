locals {
  # Each schema file is one table.
  tables             = toset([for file in fileset("${path.module}/schemas", "*.json") : trimsuffix(file, ".json")])
  partitioned_tables = { product = { field = "sensing_time", clustering = ["tile", "source", "level"] } }

  # Functions that add products: refresh, and the API for those an order fetches from a source.
  catalog_users = toset(["api", "refresh"])
}

resource "google_bigquery_dataset" "catalog" {
  dataset_id                 = "revisit"
  location                   = var.region
  description                = "The product catalog of Revisit"
  delete_contents_on_destroy = !var.protected
  depends_on                 = [google_project_service.this]
}

resource "google_bigquery_table" "this" {
  for_each            = local.tables
  dataset_id          = google_bigquery_dataset.catalog.dataset_id
  table_id            = each.key
  clustering          = try(local.partitioned_tables[each.key].clustering, null)
  deletion_protection = var.protected
  schema              = file("${path.module}/schemas/${each.key}.json")

  dynamic "time_partitioning" {
    for_each = contains(keys(local.partitioned_tables), each.key) ? [local.partitioned_tables[each.key]] : []
    content {
      type  = "MONTH"
      field = time_partitioning.value.field
    }
  }
}

resource "google_bigquery_dataset_iam_member" "catalog" {
  for_each   = local.catalog_users
  dataset_id = google_bigquery_dataset.catalog.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.function[each.key].member
}

# Running a query needs a role on the project, not on the dataset.
resource "google_project_iam_member" "catalog" {
  for_each = local.catalog_users
  project  = var.project
  role     = "roles/bigquery.jobUser"
  member   = google_service_account.function[each.key].member
}
