"""Bytes that somebody else wrote down: replies printed in manuals, in makers' libraries, in drivers that run.

A file holds one exchange after another: ``>`` what is sent, ``<`` what comes back, each as it is on the wire with
``\\r`` and ``\\n`` written out. A line that begins with ``#`` says where the exchanges below it come from.
"""

from __future__ import annotations

from pathlib import Path


def transcript(name: str) -> dict[str, tuple[bytes, ...]]:
    """The replies to each request, in the order of the file; a request that has no answer has no reply."""
    replies: dict[str, tuple[bytes, ...]] = {}
    request = ""
    for line in (Path(__file__).parent / f"{name}.txt").read_text("ascii").splitlines():
        mark, _, text = line.partition(" ")
        raw = text.encode("ascii").decode("unicode_escape").encode("ascii")
        if mark == ">":
            request = raw.decode("ascii").rstrip("\r\n")
            replies.setdefault(request, ())
        elif mark == "<":
            replies[request] = (*replies[request], raw)
    return replies
