"""Tables and fits the plant is made of; PROVENANCE.md says where each comes from."""
