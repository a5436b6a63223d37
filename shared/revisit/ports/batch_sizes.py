"""Batch sizes of commits and publish requests, and the limits that they stay below."""

MAX_RECORDS_PER_COMMIT = 150
"""Records written or deleted in one commit.

Firestore accepts 500 writes per commit, and a record may bring up to two more: an event in the outbox, and an
index entry or a counter.
"""
MAX_OUTBOX_ROWS_PER_COMMIT = 400
"""Outbox rows read, published and deleted together; each is one of the 500 writes."""
MAX_EVENTS_PER_REQUEST = 500
"""Events in one publish request; Pub/Sub accepts 1,000 messages and 10 MB."""
