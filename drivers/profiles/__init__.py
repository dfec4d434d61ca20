"""Register profiles that come with Cellbench, as package data: ``<name>.toml``. docs/register-profiles.md."""
