"""The safe plan: everything that is needed to make a bench safe, as data that another process can be handed.

It names the devices with what their drivers are made from, the steps and their order, the feedbacks that prove a
contactor open, and what is owed to a sample that a stimulus has reached. The run's own safe state and the guardian's
carry out the same steps.

Order. Every cycler at once and beside each other: currents to 0, output off, so that the contactor opens without
current. A module that drives contactors follows when all of them have confirmed, and in any case ``ISOLATE_BY_S``
after the beginning: opening under current is the way out that is left, and its contacts are rated for it. Rigs,
chambers and the rest begin at once.

The number behind ``ISOLATE_BY_S``. A stop is on the wire within 0.75 s although every other device hangs. On a line
that several units share, the stop may find an exchange with a hung one under way (0.5 s at most), and must then let the
line fall silent (0.05 s): 0.15 s + 0.5 s + 0.05 s leaves 0.05 s for the machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from drivers.capabilities import DeviceKind
from drivers.errors import ConfigError, Fault

SCHEMA = "cellbench/safe-plan/1"

#: How long each kind of device may take to confirm. A chamber's controller wants 0.2 to 0.5 s of quiet a command.
CYCLER_DEADLINE_S = 2.0
SWITCHES_DEADLINE_S = 2.0
RIG_DEADLINE_S = 3.0
OTHER_DEADLINE_S = 6.0
#: How long a feedback may take to say open, and its last exchange on top of that.
FEEDBACK_DEADLINE_S = 2.0
FEEDBACK_EXCHANGE_S = 1.0
#: The fresh look at each fire detector's device.
DETECTOR_S = 1.0

#: A module that drives contactors does not wait for the cyclers any longer than this.
ISOLATE_BY_S = 0.15

_WHAT = {
    DeviceKind.CYCLER: "currents 0, output off",
    DeviceKind.SWITCHES: "all outputs on their safe side",
    DeviceKind.RIG: "nothing moves but a stroke in contact",
    DeviceKind.CHAMBER: "setpoint to ambient, or off after fire",
    DeviceKind.INPUTS: "nothing to switch",
}
_DEADLINE_S = {
    DeviceKind.CYCLER: CYCLER_DEADLINE_S,
    DeviceKind.SWITCHES: SWITCHES_DEADLINE_S,
    DeviceKind.RIG: RIG_DEADLINE_S,
}


@dataclass(frozen=True, slots=True)
class SafeStep:
    """One device made safe: begun when every step of ``after`` is confirmed, at the latest ``latest_s`` after the
    beginning (0.0 where it waits for nothing), and given ``deadline_s`` from then on."""

    device: str
    what: str
    deadline_s: float
    after: tuple[str, ...] = ()
    latest_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SafeDevice:
    """What one device's driver is made from, as in :class:`drivers.capabilities.DeviceSettings`; ``profile`` is the
    text of its registers' page, read from ``profile_where``."""

    name: str
    model: str
    url: str
    unit: int = 1
    serial: str | None = None
    rating: Mapping[str, float] | None = None
    points: tuple[str, ...] = ()
    mains_hz: int = 50
    profile: str | None = None
    profile_where: str = ""


@dataclass(frozen=True, slots=True)
class OwedObservation:
    """What a sample is owed once the stimulus has reached it: so long at least, and until every ``surface`` channel is
    low and hardly moves, but no longer than ``at_most_s``."""

    duration_s: float
    at_most_s: float
    until_c: float
    rate_k_s: float


@dataclass(frozen=True, slots=True)
class SafePlan:
    """``contactors`` are the modules that drive the sample's contactors, that of the start place first; ``detectors``
    the channels that read 0 when they see smoke, flame or gas; ``distributions`` third-party packages whose drivers the
    bench may use."""

    bench: str
    channel: str
    devices: tuple[SafeDevice, ...]
    steps: tuple[SafeStep, ...]
    feedbacks: tuple[str, ...]
    contactors: tuple[str, ...]
    detectors: tuple[str, ...] = ()
    surfaces: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    observation: OwedObservation | None = None
    mode: str = "live"

    def document(self) -> dict[str, Any]:
        """As plain JSON data, for the way through a pipe and for the record."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> SafePlan:
        """The plan of a document, as :meth:`document` gave it. Raises ConfigError for one of another schema or form."""
        try:
            if document["schema"] != SCHEMA:
                raise ValueError(f"its schema is {document['schema']!r}, not {SCHEMA!r}")
            fields = {key: value for key, value in document.items() if key != "schema"}
            owed = fields.pop("observation")
            fields["devices"] = tuple(
                SafeDevice(**{**device, "points": tuple(device["points"])}) for device in fields["devices"]
            )
            fields["steps"] = tuple(SafeStep(**{**step, "after": tuple(step["after"])}) for step in fields["steps"])
            for name in ("feedbacks", "contactors", "detectors", "surfaces", "distributions"):
                fields[name] = tuple(fields[name])
            return cls(**fields, observation=None if owed is None else OwedObservation(**owed))
        except (LookupError, TypeError, ValueError) as error:
            fix = "the run and its guardian must be of one version"
            raise ConfigError([Fault(f"this is no safe plan ({error})", "safe plan", fix)]) from None

    def text(self) -> str:
        """The document as one line of JSON."""
        return json.dumps(self.document(), ensure_ascii=False)


def steps_for(kinds: Mapping[str, DeviceKind]) -> tuple[SafeStep, ...]:
    """The steps for devices of these kinds, in their order."""
    cyclers = tuple(name for name, kind in kinds.items() if kind is DeviceKind.CYCLER)
    return tuple(
        SafeStep(
            device=name,
            what=_WHAT[kind],
            deadline_s=_DEADLINE_S.get(kind, OTHER_DEADLINE_S),
            after=cyclers if kind is DeviceKind.SWITCHES else (),
            latest_s=ISOLATE_BY_S if kind is DeviceKind.SWITCHES and cyclers else 0.0,
        )
        for name, kind in kinds.items()
    )


def longest_s(steps: tuple[SafeStep, ...], *, detectors: int = 0) -> float:
    """The longest that these steps may take with every feedback, one more look at it, every detector's look, and the
    chambers once more."""
    ends_s = [step.latest_s + step.deadline_s for step in steps]
    feedback_s = FEEDBACK_DEADLINE_S + FEEDBACK_EXCHANGE_S
    isolated_s = ISOLATE_BY_S + SWITCHES_DEADLINE_S + feedback_s
    return max([*ends_s, isolated_s]) + FEEDBACK_EXCHANGE_S + detectors * DETECTOR_S + OTHER_DEADLINE_S
