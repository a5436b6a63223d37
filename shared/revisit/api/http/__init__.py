"""What every request passes: security headers, CORS, authentication, audit, errors, scope, idempotency."""
