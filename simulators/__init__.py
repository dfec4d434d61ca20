"""The simulated side of a bench: physics, personalities, servers that speak the real bytes, virtual time.

Nothing here imports a driver, a wire, a sequence or the bench. The doors are :mod:`simulators.spec` (what to simulate),
:mod:`simulators.scene` (a whole bench), :mod:`simulators.models` (the registry) and :mod:`simulators.virtual_time`.
"""
