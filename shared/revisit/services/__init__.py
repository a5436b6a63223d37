"""Use cases: what a user can ask for, behind the API and the command line."""
