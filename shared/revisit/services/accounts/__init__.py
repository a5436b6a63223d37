"""Use cases of an account: keys, limits, quotas, export, erasure."""
