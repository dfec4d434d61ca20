"""Load: many channels at once, in real time beside people who look on, or in virtual time for as long as is given."""
