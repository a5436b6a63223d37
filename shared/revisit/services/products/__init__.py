"""Use cases of products: search, download, backfill, expected passes."""
