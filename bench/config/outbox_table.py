"""``[outbox]`` of a bench file: what leaves the house, where to, and how much of it may wait on the disk."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from bench.config.loading import Strict
from bench.config.quantities import AsTuple, Time, refuse

#: One level of a topic: no wildcard, no separator, nothing that a shell or a broker reads otherwise.
TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
SinkName = Literal["json", "sparkplug"]
PORTS = {"mqtt": 1883, "mqtts": 8883}
SCHEME_EXAMPLE = 'write it as "mqtt://127.0.0.1:1883" or "mqtts://broker.plant:8883"'


def _url(value: object) -> object:
    if not isinstance(value, str):
        raise refuse(f"{value!r} is no address of a broker", SCHEME_EXAMPLE)
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise refuse(f"{value!r} is no address of a broker", SCHEME_EXAMPLE) from None
    if parts.scheme not in PORTS or not parts.hostname or port == 0:
        raise refuse(f"{value!r} is no address of a broker", SCHEME_EXAMPLE)
    if parts.username is not None or parts.password is not None:
        fix = "write `user` and `password_file`, or set $CELLBENCH_MQTT_PASSWORD"
        raise refuse("a password does not stand in an address, where logs would show it", fix)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise refuse(f"{value!r} has more than a host and a port", SCHEME_EXAMPLE)
    return value


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise refuse(f"a sink is named twice in {', '.join(names)}", "name each once")
    return names


class BrokerTable(Strict):
    """``[outbox.mqtt]``: one broker. The password is never in this file."""

    url: Annotated[str, BeforeValidator(_url)] = Field(examples=['"mqtt://127.0.0.1:1883"'])
    user: str | None = Field(default=None, min_length=1, max_length=200, examples=['"bench-2"'])
    password_file: str | None = Field(
        default=None,
        min_length=1,
        max_length=400,
        description="its first line is the password; without it $CELLBENCH_MQTT_PASSWORD",
        examples=['"/etc/cellbench/mqtt-password"'],
    )
    ca: str | None = Field(
        default=None, max_length=400, description="PEM; without it the system's", examples=['"/etc/cellbench/ca.pem"']
    )
    certificate: str | None = Field(default=None, max_length=400, examples=['"/etc/cellbench/bench.pem"'])
    key: str | None = Field(default=None, max_length=400, examples=['"/etc/cellbench/bench.key"'])


class SparkplugTable(Strict):
    """``[outbox.sparkplug]``: the names under which a Sparkplug host sees this bench."""

    group: TopicName = Field(default="cellbench", examples=['"plant-1"'])
    edge: TopicName | None = Field(default=None, description="without it the bench's name", examples=['"bench-2"'])


class OutboxTable(Strict):
    """Without ``[outbox.mqtt]`` nothing leaves the house and nothing is stored."""

    site: TopicName = Field(default="site", description="the first name of every topic", examples=['"plant-1"'])
    cap_mib: int = Field(default=512, ge=1, le=65536, description="what may wait on the disk, in MiB")
    reading_every_s: Time = Field(default=5.0, alias="reading_every", examples=['"5 s"'])
    sinks: Annotated[tuple[SinkName, ...], AsTuple, AfterValidator(_once)] = Field(
        default=("json",), min_length=1, examples=['["json", "sparkplug"]']
    )
    mqtt: BrokerTable | None = None
    sparkplug: SparkplugTable = Field(default_factory=SparkplugTable)


def broker_address(url: str) -> tuple[str, int, bool]:
    """Host, port and whether TLS is spoken, of an address that was found fine."""
    parts = urlsplit(url)
    assert parts.hostname is not None, "checked when the file was read"
    return parts.hostname, parts.port or PORTS[parts.scheme], parts.scheme == "mqtts"


def topic_level(name: str) -> str:
    """Any text as one level of a topic: never empty, never a wildcard, at most 63 characters."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:63] or "_"
