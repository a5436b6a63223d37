"""What every request passes: authentication, scope, idempotency, audit, errors."""
