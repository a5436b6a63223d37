# Tests that need applied addresses; tests/terraform tests the plan.

mock_provider "archive" {}

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  mock_resource "google_cloudfunctions2_function" {
    defaults = { service_config = { uri = "https://mocked.a.run.app" } }
  }
  mock_resource "google_service_account" {
    defaults = {
      email  = "mocked@revisit-lakes.iam.gserviceaccount.com"
      member = "serviceAccount:mocked@revisit-lakes.iam.gserviceaccount.com"
    }
  }
  mock_resource "google_monitoring_dashboard" {
    defaults = { id = "projects/123456789012/dashboards/abcd" }
  }
}

variables {
  project = "revisit-lakes"
}

run "pubsub_calls_each_function_at_its_own_address" {
  assert {
    condition = alltrue([
      for name, push in google_pubsub_subscription.push : push.push_config[0].push_endpoint
      == "${google_cloudfunctions2_function.this[local.subscriptions[name].function].service_config[0].uri}/projects/revisit-lakes/topics/${local.subscriptions[name].topic}"
    ])
    error_message = "A push goes elsewhere than to the function of its topic."
  }
  assert {
    condition = alltrue([
      for push in google_pubsub_subscription.push : startswith(push.push_config[0].push_endpoint, push.push_config[0].oidc_token[0].audience)
    ])
    error_message = "The token's audience is another service than the one called."
  }
}

run "the_page_knows_the_api" {
  assert {
    condition     = strcontains(google_storage_bucket_object.config.content, "\"${output.api_url}/\"")
    error_message = "config.js names another API than the one deployed."
  }
  assert {
    condition     = output.dashboard_url == "https://console.cloud.google.com/monitoring/dashboards/builder/abcd?project=revisit-lakes"
    error_message = "The dashboard is linked by another id than its own."
  }
}

run "functions_that_sign_get_the_generated_key_and_the_state_has_none" {
  assert {
    condition = toset([
      for function in google_cloudfunctions2_function.this : function.service_config[0].secret_environment_variables[0].version
      if length(function.service_config[0].secret_environment_variables) > 0
    ]) == toset([google_secret_manager_secret_version.signing_key.version])
    error_message = "A function signs with another version of the key than the generated one."
  }
  assert {
    condition     = google_secret_manager_secret_version.signing_key.secret_data_wo == null && google_secret_manager_secret_version.signing_key.secret_data == null
    error_message = "The key is in the state."
  }
}

run "no_alert_channel_or_budget_exists_by_default" {
  assert {
    condition     = length(google_monitoring_notification_channel.email) + length(google_billing_budget.month) == 0
    error_message = "A channel or a budget exists although neither an address nor an account was given."
  }
}

run "an_empty_project_is_rejected" {
  command = plan
  variables {
    project = ""
  }
  expect_failures = [var.project]
}

run "an_invalid_region_is_rejected" {
  command = plan
  variables {
    region = "EU"
  }
  expect_failures = [var.region]
}

run "a_folder_source_is_rejected" {
  command = plan
  variables {
    sources = ["folder:/data"]
  }
  expect_failures = [var.sources]
}

run "no_key_of_another_service_is_expected_by_default" {
  assert {
    condition = length(google_secret_manager_secret_iam_member.cdse_key_user) == 0 && alltrue([
      for variable in google_cloudfunctions2_function.this["extract"].service_config[0].secret_environment_variables : false
    ])
    error_message = "extract needs S3 keys of CDSE although no version of them was given."
  }
}

run "a_version_that_is_no_number_of_one_is_rejected" {
  command = plan
  variables {
    cdse_keys_number = 0
  }
  expect_failures = [var.cdse_keys_number]
}

run "a_wildcard_site_is_rejected" {
  command = plan
  variables {
    sites = ["*"]
  }
  expect_failures = [var.sites]
}
