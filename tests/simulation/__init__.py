"""Deterministic simulation testing: whole runs in which a seed breaks things, judged by the plant's truth.

``python -m tests.simulation --seed 7`` replays one; docs/simulation.md explains the rest.
"""
