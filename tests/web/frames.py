"""Requests as they are written, byte for byte: what no client would send."""

from __future__ import annotations

import socket

from bench.web.roles import Role
from tests.web.conftest import House


def viewer(house: House) -> str:
    return house.secret(Role.VIEWER)


def raw(
    house: House, line: str, *headers: str, body: bytes = b"", host: bool = True
) -> tuple[int, dict[str, str], bytes]:
    """A request as it is written here, and its answer: status, headers, body. Status 0: the line was cut."""
    head = [line, *([f"host: 127.0.0.1:{house.port}"] if host else []), "connection: close", *headers]
    with socket.create_connection(("127.0.0.1", house.port), timeout=20.0) as line_:
        line_.sendall("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)
        answer = b""
        try:
            while piece := line_.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    if not answer:
        return 0, {}, b""
    top, _, rest = answer.partition(b"\r\n\r\n")
    first, *fields = top.decode("latin-1").split("\r\n")
    kept = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    return int(first.split(" ")[1]), kept, rest
