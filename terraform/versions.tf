terraform {
  required_version = ">= 1.11"
  required_providers {
    archive = { source = "hashicorp/archive", version = "~> 2.7" }
    google  = { source = "hashicorp/google", version = "~> 6.50" }
  }
  # The state is in a versioned bucket of its own (docs/deploy.md), given to init: terraform init -backend-config=bucket=PROJECT-revisit-state
  backend "gcs" {
    prefix = "revisit"
  }
}

provider "google" {
  project = var.project
  region  = var.region
  # Charge requests to Identity Platform and budgets to this project, where those
  # APIs are enabled, instead of gcloud's default project.
  billing_project       = var.project
  user_project_override = true
}

data "google_project" "this" {
  project_id = var.project
}
