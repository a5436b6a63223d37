"""Use cases of orders."""
