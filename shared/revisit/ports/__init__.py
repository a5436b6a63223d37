"""Protocols of the services that Revisit needs, one per ability."""
