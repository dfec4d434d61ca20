"""What goes wrong between a simulated device and its wire, for tests and drills.

A fault is a function of one outgoing frame (a whole line with its end, or a whole Modbus frame with its checks) that
gives what really leaves, each part with its delay; an empty tuple is silence. Values that are wrong but well formed
(a stuck reading, an open sensor) belong to the personality, not here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from simulators.servers.frames import crc16

Frames = tuple[tuple[float, bytes], ...]
Fault = Callable[[float, bytes], Frames]


class Faults:
    """The faults of one device, applied to its next replies in the order they were pushed; empty: none.

    ``always`` stands in where nothing was pushed. ``layers`` come after both, one on top of the other, on every part
    that is left: each may be put on and taken off by itself. ``deaf`` so many requests do not even arrive.
    """

    __slots__ = ("_next", "always", "deaf", "layers")

    def __init__(self) -> None:
        self.always: Fault | None = None
        self.layers: list[Fault] = []
        self.deaf = 0
        self._next: deque[Fault] = deque()

    def __bool__(self) -> bool:
        return self.always is not None or bool(self._next) or bool(self.layers)

    def hears(self) -> bool:
        """Whether the request that comes now arrives."""
        if self.deaf > 0:
            self.deaf -= 1
            return False
        return True

    def push(self, fault: Fault, times: int = 1) -> None:
        """Apply ``fault`` to this many of the coming replies, after those already pushed."""
        self._next.extend([fault] * times)

    def clear(self) -> None:
        """Answer properly from now on."""
        self.always = None
        self.layers.clear()
        self.deaf = 0
        self._next.clear()

    def apply(self, delay_s: float, frame: bytes) -> Frames:
        """What leaves in place of ``frame``."""
        if self._next:
            parts = self._next.popleft()(delay_s, frame)
        elif self.always is not None:
            parts = self.always(delay_s, frame)
        else:
            parts = ((delay_s, frame),)
        for layer in self.layers:
            parts = tuple(part for each_s, each in parts for part in layer(each_s, each))
        return parts


def no_reply(_delay_s: float, _frame: bytes) -> Frames:
    """The request is carried out, its answer is lost."""
    return ()


def late(by_s: float) -> Fault:
    """The answer comes this much later, often after the client gave up."""
    return lambda delay_s, frame: ((delay_s + by_s, frame),)


def garbled(delay_s: float, frame: bytes) -> Frames:
    """One bit of every byte but a line's end is flipped: the checks of a frame no longer hold."""
    body = frame.rstrip(b"\r\n")
    return ((delay_s, bytes(byte ^ 0x80 for byte in body) + frame[len(body) :]),)


def noise_before(noise: bytes) -> Fault:
    """Bytes that nobody sent arrive just before the answer."""
    return lambda delay_s, frame: ((delay_s, noise + frame),)


def truncated(length: int) -> Fault:
    """Only the first bytes of the answer leave."""
    return lambda delay_s, frame: ((delay_s, frame[:length]),)


def twice(delay_s: float, frame: bytes) -> Frames:
    """The answer is sent two times."""
    return ((delay_s, frame), (delay_s, frame))


def in_parts(at: int, pause_s: float) -> Fault:
    """The answer is sent in two parts with a pause between them."""
    return lambda delay_s, frame: ((delay_s, frame[:at]), (delay_s + pause_s, frame[at:]))


def instead(frame: bytes) -> Fault:
    """Something else is answered, byte for byte."""
    return lambda delay_s, _frame: ((delay_s, frame),)


def wrong_unit(unit: int) -> Fault:
    """A Modbus RTU answer in another unit's name, with a CRC that fits."""

    def answer(delay_s: float, frame: bytes) -> Frames:
        body = bytes([unit]) + frame[1:-2]
        return ((delay_s, body + crc16(body)),)

    return answer
