"""The ports on Google Cloud: Firestore, Pub/Sub, BigQuery, Cloud Storage; the only importers of google.*."""
