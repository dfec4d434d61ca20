"""Drivers and wires against bytes that others wrote and against small far ends of the tests' own."""
