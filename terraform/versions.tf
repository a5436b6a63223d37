terraform {
  required_version = ">= 1.11"
  required_providers {
    archive = { source = "hashicorp/archive", version = "~> 2.7" }
    google  = { source = "hashicorp/google", version = "~> 6.50" }
  }
  # The state lies in a versioned bucket of its own (docs/deploy.md); init names
  # it: terraform init -backend-config=bucket=PROJECT-revisit-state
  backend "gcs" {
    prefix = "revisit"
  }
}

provider "google" {
  project = var.project
  region  = var.region
  # Identity Platform and budgets count a person's requests against this
  # project, where the API is enabled, rather than gcloud's own.
  billing_project       = var.project
  user_project_override = true
}

data "google_project" "this" {
  project_id = var.project
}
