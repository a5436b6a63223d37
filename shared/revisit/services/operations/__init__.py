"""Use cases of an operator."""
