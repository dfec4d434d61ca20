"""One module a simulated model: what it answers, byte for byte, and what it does by itself.

Each is written from the maker's documents alone, never from a driver's table, so that a slip on one side shows.
"""
