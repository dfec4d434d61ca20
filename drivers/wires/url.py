"""The url of a wire, taken apart.

The url is all that a bench file says about a wire. It is taken apart here once, strictly: an unknown option is
refused, since a slip in it (``bauds=19200``) would otherwise show as a device that never answers.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

_EXAMPLES = {
    "tcp": "tcp://192.168.10.20:5025",
    "visa": "visa://TCPIP0::192.168.10.20::5025::SOCKET",
    "serial": "serial:///dev/ttyUSB0?baud=9600",
    "modbus-rtu": "modbus-rtu:///dev/ttyUSB1?baud=9600",
    "modbus-tcp": "modbus-tcp://192.168.10.21:502",
}
_ENDINGS = {"crlf": b"\r\n", "lf": b"\n", "cr": b"\r"}
_SERIAL_OPTIONS = ("baud", "parity", "bits", "stop")
_OPTIONS: dict[str, tuple[str, ...]] = {
    "tcp": ("ending",),
    "visa": ("ending",),
    "serial": (*_SERIAL_OPTIONS, "ending"),
    "modbus-rtu": _SERIAL_OPTIONS,
    "modbus-tcp": (),
}
_VISA_SOCKET = re.compile(r"TCPIP\d*::(?P<host>[^:\[\]]+|\[[0-9A-Fa-f:.]+\])::(?P<port>\d+)::SOCKET\Z", re.IGNORECASE)
_VISA_RESOURCE = re.compile(r"(TCPIP|ASRL|USB|GPIB)[^\s]*::[^\s]+\Z", re.IGNORECASE)
_VISA_SERIAL = re.compile(r"ASRL(?P<path>/[^:]+)::INSTR\Z", re.IGNORECASE)


class UrlError(ValueError):
    """The text is not the url of a wire; the message says what one looks like."""


@dataclass(frozen=True, slots=True)
class WireUrl:
    """A url taken apart. ``host`` and ``port`` for TCP, ``path`` and the line settings for a serial port,
    ``resource`` for VISA; ``ending`` is what ends a line of text on its way out."""

    url: str
    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    resource: str = ""
    baud: int = 9600
    parity: str = "N"
    data_bits: int = 8
    stop_bits: int = 1
    ending: bytes = b"\r\n"

    @property
    def key(self) -> str:
        """What is really held: the port's path with links followed, or ``host:port``."""
        if self.path:
            return os.path.realpath(self.path)
        if self.host:
            return f"{self.host.lower()}:{self.port}"
        return self.resource.upper()


def parse_url(url: str) -> WireUrl:
    """Take a wire's url apart. Raises UrlError with what is wrong and how one is written."""
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in _EXAMPLES:
        raise UrlError(f"{url!r} does not begin with one of {', '.join(_EXAMPLES)}; for example {_EXAMPLES['tcp']}")
    try:
        body, options = _options(scheme, rest)
        if scheme == "visa":
            return _visa(url, body, options)
        if scheme in ("tcp", "modbus-tcp"):
            return _tcp(url, scheme, body, options)
        return _serial(url, scheme, body, options)
    except ValueError as slip:
        raise UrlError(f"{url!r}: {slip}; write it as {_EXAMPLES[scheme]}") from None


def wire_key(url: str) -> str:
    """The identity of the wire behind a url: two urls with the same key cannot be open at once. Raises UrlError."""
    return parse_url(url).key


def _options(scheme: str, rest: str) -> tuple[str, dict[str, str]]:
    body, _, query = rest.partition("?")
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)):
        if name not in _OPTIONS[scheme]:
            raise ValueError(f"unknown option {name!r} (known: {', '.join(_OPTIONS[scheme]) or 'none'})")
        if name in options:
            raise ValueError(f"option {name!r} is given twice")
        options[name] = value
    if "#" in rest:
        raise ValueError("'#' has no meaning here")
    return body, options


def _ending(options: dict[str, str]) -> bytes:
    name = options.get("ending", "crlf")
    if name not in _ENDINGS:
        raise ValueError(f"ending {name!r} is not one of {', '.join(_ENDINGS)}")
    return _ENDINGS[name]


def _tcp(url: str, scheme: str, body: str, options: dict[str, str]) -> WireUrl:
    split = urlsplit(f"{scheme}:{body}")
    if not split.hostname or split.username is not None:
        raise ValueError("no host")
    if split.path not in ("", "/"):
        raise ValueError(f"nothing belongs after the port, found {split.path!r}")
    if not split.port:
        raise ValueError("no port number")
    return WireUrl(url, scheme, host=split.hostname, port=split.port, ending=_ending(options))


def _visa(url: str, body: str, options: dict[str, str]) -> WireUrl:
    resource = body.removeprefix("//")
    if not _VISA_RESOURCE.match(resource):
        raise ValueError(f"{resource!r} is not a VISA resource")
    socket, serial = _VISA_SOCKET.match(resource), _VISA_SERIAL.match(resource)
    if socket and not 0 < int(socket["port"]) < 65536:
        raise ValueError(f"port {socket['port']} is out of range")
    return WireUrl(
        url,
        "visa",
        host=socket["host"].strip("[]") if socket else "",
        port=int(socket["port"]) if socket else 0,
        path=serial["path"] if serial else "",
        resource=resource,
        ending=_ending(options),
    )


def _serial(url: str, scheme: str, body: str, options: dict[str, str]) -> WireUrl:
    path = unquote(body.removeprefix("//"))
    if not path.startswith("/"):
        raise ValueError(f"the port's path must begin with '/', found {path!r}")
    parity = options.get("parity", "N").upper()
    if parity not in ("N", "E", "O"):
        raise ValueError(f"parity {parity!r} is not one of N, E, O")
    return WireUrl(
        url,
        scheme,
        path=path,
        baud=_whole(options, "baud", 9600, range(50, 4_000_001)),
        parity=parity,
        data_bits=_whole(options, "bits", 8, range(7, 9)),
        stop_bits=_whole(options, "stop", 1, range(1, 3)),
        ending=_ending(options),
    )


def _whole(options: dict[str, str], name: str, default: int, allowed: range) -> int:
    text = options.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or int(text) not in allowed:
        raise ValueError(f"{name} {text!r} is not a whole number from {allowed[0]} to {allowed[-1]}")
    return int(text)
