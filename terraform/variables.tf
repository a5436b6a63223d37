variable "alert_email" {
  description = "Address that operational alerts are mailed to; null mails nobody."
  type        = string
  default     = null
}

variable "backlog_max_instances" {
  description = "Most instances of extract, and of index, that work at once; it bounds what a flood of jobs can cost."
  type        = number
  default     = 20
  validation {
    condition     = var.backlog_max_instances >= 1 && var.backlog_max_instances <= 1000
    error_message = "backlog_max_instances is ${var.backlog_max_instances}: give a number from 1 to 1000."
  }
}

variable "billing_account" {
  description = "Billing account (012345-678901-ABCDEF) that a budget is set on; null sets none."
  type        = string
  default     = null
}

variable "database" {
  description = "Name of the Firestore database."
  type        = string
  default     = "(default)"
}

variable "google_sign_in" {
  description = "Client id of the OAuth client for signing in with Google; null offers e-mail only."
  type        = string
  default     = null
}

variable "keep_results_days" {
  description = "Days after which files that jobs made are deleted."
  type        = number
  default     = 90
  validation {
    condition     = var.keep_results_days >= 2
    error_message = "keep_results_days is ${var.keep_results_days}: give 2 or more, since a first alert may take a day to be delivered."
  }
}

variable "monthly_budget" {
  description = "Spending a month, in the billing account's currency, of which 50, 90 and 100 % are announced."
  type        = number
  default     = 50
}

variable "operators" {
  description = "Verified e-mail addresses of those who may look after the whole: dead letters, sources."
  type        = set(string)
  default     = []
}

variable "project" {
  description = "Id of the project to deploy into, such as revisit-lakes."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project ${jsonencode(var.project)} is no project id (6 to 30 small letters, digits, hyphens): see `gcloud projects list`, column PROJECT_ID."
  }
}

variable "protected" {
  description = "Whether database, tables and buckets with content are kept from being destroyed."
  type        = bool
  default     = true
}

variable "region" {
  description = "Region that everything lies in."
  type        = string
  default     = "europe-west1"
  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region ${jsonencode(var.region)} is no region, such as europe-west1: see `gcloud compute regions list`."
  }
}

variable "signing_key_number" {
  description = "Number of the key that webhooks are signed with; with another number it is another key, and every webhook's secret is another."
  type        = number
  default     = 1
}

variable "sites" {
  description = "Further origins whose pages may ask the API and read results, such as https://fields.example."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for site in var.sites : can(regex("^https://[^/*]+$|^http://localhost(:[0-9]+)?$", site))])
    error_message = "sites are exact origins, https://NAME without a path: a * would let any page ask."
  }
}

variable "sources" {
  description = "Where products are found (SPECs, see README.md), asked every 15 minutes."
  type        = list(string)
  default     = ["stac:https://earth-search.aws.element84.com/v1#sentinel-2-l2a"]
  validation {
    condition     = length(var.sources) > 0 && alltrue([for spec in var.sources : can(regex("^(google-index|stac):\\S+$", spec))])
    error_message = "sources are SPECs without blanks, google-index:gs://BUCKET/NAME, google-index:URL or stac:URL#collection; there is no folder in the cloud."
  }
}
