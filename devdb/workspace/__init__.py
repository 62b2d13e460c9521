"""The use cases: what the command line, the dashboard and the Python API ask for.

Each takes values and returns values (or yields Progress); none prints.
"""
