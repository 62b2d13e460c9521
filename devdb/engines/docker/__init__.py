"""The docker engine: instances as containers on a network of their own, data in a named volume."""
