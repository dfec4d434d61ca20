"""The daemon: many runs at once on one simulated bench, in virtual time."""
