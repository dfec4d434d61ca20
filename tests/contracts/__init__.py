"""One suite for every driver of a kind. A model that registers itself is held to the suite of its kind."""
