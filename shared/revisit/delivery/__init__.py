"""Channels that alerts are sent through."""
