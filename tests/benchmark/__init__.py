"""The benchmark behind ``scripts/benchmark``: ratios to what was measured beside them, never bare microseconds."""
