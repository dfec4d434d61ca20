"""The physics behind a simulated bench: cells, air, chambers, contactors. No clock, no asyncio: time is handed in."""
