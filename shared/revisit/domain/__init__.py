"""The domain model: values and rules without clients, files or clock."""
