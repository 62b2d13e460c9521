"""The live middle of the dashboard: pools, databases, activity."""
