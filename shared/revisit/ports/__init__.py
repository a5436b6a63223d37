"""Protocols of what the suite needs of its environment."""
