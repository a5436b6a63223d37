"""HTTP clients, the pinned-address transport and the retry policy."""
