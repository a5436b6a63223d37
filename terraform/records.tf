locals {
  # In the format of Firebase's tools. A test compares it with the queries of
  # the code.
  _firestore = jsondecode(file("${path.module}/firestore.indexes.json"))
  firestore_fields = {
    for field in local._firestore.fieldOverrides : "${field.collectionGroup}.${field.fieldPath}" => field
  }
  firestore_indexes = {
    for index in local._firestore.indexes :
    "${index.collectionGroup}.${join(".", [for field in index.fields : try(field.order, "") == "DESCENDING" ? "${field.fieldPath}-desc" : field.fieldPath])}" => index
  }
}

resource "google_firestore_database" "this" {
  name                              = var.database
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "PESSIMISTIC"
  delete_protection_state           = var.protected ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.protected ? "ABANDON" : "DELETE"
  point_in_time_recovery_enablement = var.protected ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"
  depends_on                        = [google_project_service.this]
}

# Firestore has no role for a single database, so a condition restricts it.
resource "google_project_iam_member" "records" {
  for_each = local.functions
  project  = var.project
  role     = "roles/datastore.user"
  member   = google_service_account.function[each.key].member
  condition {
    title      = "Revisit database only"
    expression = "resource.name == \"projects/${var.project}/databases/${google_firestore_database.this.name}\""
  }
}

resource "google_firestore_index" "this" {
  for_each    = local.firestore_indexes
  database    = google_firestore_database.this.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path   = fields.value.fieldPath
      array_config = try(fields.value.arrayConfig, null)
      order        = try(fields.value.order, null)
    }
  }
}

resource "google_firestore_field" "this" {
  for_each   = local.firestore_fields
  database   = google_firestore_database.this.name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  dynamic "index_config" {
    for_each = can(each.value.indexes) ? [each.value.indexes] : []
    content {
      dynamic "indexes" {
        for_each = index_config.value
        content {
          array_config = try(indexes.value.arrayConfig, null)
          order        = try(indexes.value.order, null)
          query_scope  = try(indexes.value.queryScope, "COLLECTION")
        }
      }
    }
  }
  dynamic "ttl_config" {
    for_each = try(each.value.ttl, false) ? [true] : []
    content {}
  }
}

# --- what a page may read directly

resource "google_firebaserules_ruleset" "records" {
  source {
    files {
      name    = "firestore.rules"
      content = file("${path.module}/firestore.rules")
    }
  }
  depends_on = [google_firestore_database.this]
}

resource "google_firebaserules_release" "records" {
  name         = var.database == "(default)" ? "cloud.firestore" : "cloud.firestore/${var.database}"
  ruleset_name = google_firebaserules_ruleset.records.name
}
