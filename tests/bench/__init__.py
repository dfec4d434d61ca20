"""The room of run time."""
