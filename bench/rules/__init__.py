"""What the guard holds readings to beyond plain limits, one module a rule.

A rule is made from frozen data (``bench.rules.shapes``), hears the good readings of its channels one by one, and gives
a :class:`~bench.rules.shapes.Found` when what it looks for is there. It knows no device, no loop and no clock: time is
that of the readings. None gives energy or a command.
"""
