# The functions: one folder under functions/ is one function. Its permissions
# are granted beside the resource that they concern.

locals {
  functions = {
    refresh = { memory = "2Gi", timeout = 540, concurrency = 1, max_instances = 2 }
    notify  = { memory = "512Mi", timeout = 120, concurrency = 4, max_instances = 10 }
    extract = { memory = "2Gi", timeout = 540, concurrency = 1, max_instances = var.backlog_max_instances }
    index   = { memory = "2Gi", timeout = 540, concurrency = 1, max_instances = var.backlog_max_instances }
    deliver = { memory = "512Mi", timeout = 300, concurrency = 4, max_instances = 10 }
    api     = { memory = "1Gi", timeout = 120, concurrency = 16, max_instances = 10 }
  }
  public_functions = toset(["api"])

  # Cloud Run's deterministic service URLs, known before the services exist.
  function_urls = {
    for name in keys(local.functions) : name => "https://revisit-${name}-${data.google_project.this.number}.${var.region}.run.app"
  }
  environment = {
    LOG_EXECUTION_ID = "true"
    # No function multiplies matrices: NumPy's threads would only cost CPU time
    # at start-up.
    OPENBLAS_NUM_THREADS = "1"

    REVISIT_BASE_URL  = local.function_urls["api"]
    REVISIT_BUCKET    = google_storage_bucket.results.name
    REVISIT_DATABASE  = google_firestore_database.this.name
    REVISIT_DATASET   = google_bigquery_dataset.catalog.dataset_id
    REVISIT_LOCATION  = var.region
    REVISIT_OPERATORS = join(" ", var.operators)
    REVISIT_PROJECT   = var.project
    REVISIT_SIGNER    = google_service_account.function["api"].email
    REVISIT_SITES     = join(" ", local.origins)
    REVISIT_SOURCES   = join(" ", var.sources)
  }

  _archive = jsondecode(file("${path.module}/archive.json"))
  _shared  = "${path.module}/../shared"
  vendored_files = setsubtract(
    toset(flatten([for pattern in local._archive.include : tolist(fileset(local._shared, pattern))])),
    toset(flatten([for pattern in local._archive.exclude : tolist(fileset(local._shared, pattern))])),
  )
}

resource "google_service_account" "function" {
  for_each     = local.functions
  account_id   = "revisit-${each.key}"
  display_name = "Revisit: runs ${each.key}"
  depends_on   = [google_project_service.this]
}

# --- code

data "archive_file" "function" {
  for_each    = local.functions
  type        = "zip"
  output_path = "${path.module}/build/${each.key}.zip"

  dynamic "source" {
    for_each = toset(["main.py", "requirements.txt"])
    content {
      filename = source.key
      content  = file("${path.module}/../functions/${each.key}/${source.key}")
    }
  }
  dynamic "source" {
    for_each = local.vendored_files
    content {
      filename = source.key
      content  = file("${local._shared}/${source.key}")
    }
  }
}

resource "google_storage_bucket" "code" {
  name                        = "${var.project}-revisit-code"
  location                    = var.region
  force_destroy               = true
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true
  depends_on                  = [google_project_service.this]
}

resource "google_storage_bucket_object" "code" {
  for_each = local.functions
  # Named by its hash, so that changed code is a new object and is deployed.
  name   = "${each.key}-${data.archive_file.function[each.key].output_md5}.zip"
  bucket = google_storage_bucket.code.name
  source = data.archive_file.function[each.key].output_path
}

# --- builds

resource "google_service_account" "build" {
  account_id   = "revisit-build"
  display_name = "Revisit: builds the functions"
  depends_on   = [google_project_service.this]
}

resource "google_artifact_registry_repository" "functions" {
  repository_id = "revisit"
  location      = var.region
  format        = "DOCKER"
  description   = "Images of the functions"
  depends_on    = [google_project_service.this]

  cleanup_policies {
    id     = "keep-the-last"
    action = "KEEP"
    most_recent_versions { keep_count = 3 }
  }
  cleanup_policies {
    id     = "delete-the-rest"
    action = "DELETE"
    condition { older_than = "2592000s" }
  }
}

resource "google_artifact_registry_repository_iam_member" "build" {
  location   = google_artifact_registry_repository.functions.location
  repository = google_artifact_registry_repository.functions.repository_id
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

resource "google_project_iam_member" "build_logs" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = google_service_account.build.member
}

resource "google_project_iam_member" "build_source" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = google_service_account.build.member
  # Cloud Functions copies the archive into a bucket of its own.
  condition {
    title      = "function sources only"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-\") || resource.name.startsWith(\"projects/_/buckets/${google_storage_bucket.code.name}\")"
  }
}

# --- functions

resource "google_cloudfunctions2_function" "this" {
  for_each    = local.functions
  name        = "revisit-${each.key}"
  location    = var.region
  description = "functions/${each.key}"

  build_config {
    runtime           = "python312"
    entry_point       = each.key
    docker_repository = google_artifact_registry_repository.functions.id
    service_account   = google_service_account.build.id
    source {
      storage_source {
        bucket = google_storage_bucket.code.name
        object = google_storage_bucket_object.code[each.key].name
      }
    }
  }

  service_config {
    available_cpu                    = "1"
    available_memory                 = each.value.memory
    environment_variables            = merge(local.environment, { THREADS = tostring(each.value.concurrency) })
    ingress_settings                 = contains(local.public_functions, each.key) ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY"
    max_instance_count               = each.value.max_instances
    max_instance_request_concurrency = each.value.concurrency
    service_account_email            = google_service_account.function[each.key].email
    timeout_seconds                  = each.value.timeout

    dynamic "secret_environment_variables" {
      for_each = contains(local.signing_key_users, each.key) ? [google_secret_manager_secret_version.signing_key.version] : []
      content {
        key        = "REVISIT_SIGNING_KEY"
        project_id = data.google_project.this.number
        secret     = google_secret_manager_secret.signing_key.secret_id
        # Not "latest": instances that started at different times would sign with
        # different keys.
        version = secret_environment_variables.value
      }
    }
    dynamic "secret_environment_variables" {
      for_each = contains(local.cdse_key_users, each.key) ? local.cdse_secrets : {}
      content {
        key        = secret_environment_variables.key
        project_id = data.google_project.this.number
        secret     = secret_environment_variables.value
        # One number for both, so that no instance has the halves of two pairs.
        version = tostring(var.cdse_keys_number)
      }
    }
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.build,
    google_project_iam_member.build_logs,
    google_project_iam_member.build_source,
    google_secret_manager_secret_iam_member.cdse_key_user,
    google_secret_manager_secret_iam_member.signing_key_user,
  ]
}

resource "google_cloud_run_v2_service_iam_member" "public" {
  for_each = local.public_functions
  location = var.region
  name     = google_cloudfunctions2_function.this[each.key].name
  role     = "roles/run.invoker"
  # The API authenticates requests itself, by their token.
  member = "allUsers"
}

# URLs of results are signed through IAM, so that no key file exists.
resource "google_service_account_iam_member" "url_signer" {
  service_account_id = "projects/${var.project}/serviceAccounts/${google_service_account.function["api"].email}"
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.function["api"].member
}

moved {
  from = google_service_account_iam_member.signer
  to   = google_service_account_iam_member.url_signer
}
