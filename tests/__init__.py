"""The tests mirror the rooms; golden/ holds bytes from manuals, contracts/ one suite for every driver of a kind."""
