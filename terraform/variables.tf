variable "alert_email" {
  description = "E-mail address for operational alerts; null for none."
  type        = string
  default     = null
}

variable "backlog_max_instances" {
  description = "Maximum instances of extract and of index each; bounds the cost of a large backlog."
  type        = number
  default     = 20
  validation {
    condition     = var.backlog_max_instances >= 1 && var.backlog_max_instances <= 1000
    error_message = "backlog_max_instances is ${var.backlog_max_instances}: give a number from 1 to 1000."
  }
}

variable "billing_account" {
  description = "Billing account (012345-678901-ABCDEF) for a budget; null for none."
  type        = string
  default     = null
}

variable "cdse_keys_number" {
  description = "Version of the secrets revisit-cdse-access-key and revisit-cdse-secret-key (S3 keys of the Copernicus Data Space); null for none."
  type        = number
  default     = null
  validation {
    condition     = var.cdse_keys_number == null ? true : var.cdse_keys_number >= 1 && floor(var.cdse_keys_number) == var.cdse_keys_number
    error_message = "cdse_keys_number is ${coalesce(var.cdse_keys_number, 0)}: give the number of a version of both secrets, such as 1."
  }
}

variable "database" {
  description = "Name of the Firestore database."
  type        = string
  default     = "(default)"
}

variable "google_sign_in" {
  description = "Client id of the OAuth client for sign-in with Google; null for sign-in by e-mail only."
  type        = string
  default     = null
}

variable "keep_results_days" {
  description = "Days after which result files are deleted."
  type        = number
  default     = 90
  validation {
    condition     = var.keep_results_days >= 2
    error_message = "keep_results_days is ${var.keep_results_days}: use 2 or more, since delivery of a first alert may take a day."
  }
}

variable "monthly_budget" {
  description = "Monthly budget in the billing account's currency; alerts are sent at 50, 90 and 100 %."
  type        = number
  default     = 50
}

variable "operators" {
  description = "Verified e-mail addresses of operators, who may manage dead letters and sources."
  type        = set(string)
  default     = []
}

variable "project" {
  description = "Id of the project to deploy into, such as revisit-lakes."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project ${jsonencode(var.project)} is not a project id (6 to 30 lower-case letters, digits, hyphens): see `gcloud projects list`, column PROJECT_ID."
  }
}

variable "protected" {
  description = "Whether the database, tables and non-empty buckets are protected from deletion."
  type        = bool
  default     = true
}

variable "region" {
  description = "Region of all resources."
  type        = string
  default     = "europe-west1"
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region ${jsonencode(var.region)} is not a region such as europe-west1: see `gcloud compute regions list`."
  }
}

variable "signing_key_number" {
  description = "Number of the webhook signing key; a new number generates a new key and changes the secret of every webhook."
  type        = number
  default     = 1
}

variable "sites" {
  description = "Further origins whose pages may call the API and read results, such as https://fields.example."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for site in var.sites : can(regex("^https://[^/*]+$|^http://localhost(:[0-9]+)?$", site))])
    error_message = "sites are exact origins, https://NAME without a path; * would allow every page."
  }
}

variable "sources" {
  description = "Product sources (SPECs, see README.md), checked every 15 minutes."
  type        = list(string)
  default     = ["stac:https://earth-search.aws.element84.com/v1#sentinel-2-c1-l2a"]
  validation {
    condition     = length(var.sources) > 0 && alltrue([for spec in var.sources : can(regex("^(google-index|stac):\\S+$", spec))])
    error_message = "sources are SPECs without spaces: google-index:gs://BUCKET/NAME, google-index:URL or stac:URL#collection; a folder works on one computer only."
  }
}
