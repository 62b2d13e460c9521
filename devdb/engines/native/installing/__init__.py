"""Getting the programs of the native engine where they are missing, or not good enough."""
