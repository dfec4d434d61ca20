"""Register profiles that come with the program: whose registers mean what, as TOML pages."""

from __future__ import annotations

from importlib.resources import files


def names() -> tuple[str, ...]:
    """The profiles that a bench file may name without a path."""
    pages = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in pages if name.endswith(".toml")))


def builtin(name: str) -> str:
    """The text of one of :func:`names`. Raises KeyError for any other name."""
    if name not in names():
        raise KeyError(name)
    return files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
