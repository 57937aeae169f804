"""The exchange's REST operations."""
