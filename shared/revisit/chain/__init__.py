"""What events set in motion: refresh, the life of a job, dispatch of alerts, the outbox sweep."""
