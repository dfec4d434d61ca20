"""The parts of binding, one module each: points, polling, limits, steps, estimates. ``bench.plan`` puts them together.

None of them touches a device; each adds to one list of faults, so that a person sees all of them at once.
"""
