"""Getting the programs of the native engine where they are missing, without touching the system."""
