"""The bench PC's program: many channels and runs at once over shared devices, seen and asked through a desk."""
