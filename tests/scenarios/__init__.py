"""Whole runs, and what happens when something is broken in the middle of one."""
