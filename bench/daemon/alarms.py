"""Alarms by the states of ISA-18.2: what is wrong stays on the list until it is right again and somebody knows.

One alarm a rule and channel. It is unacknowledged while it is there and nobody has said that they know; acknowledged
while it is there still; returned, unacknowledged, when it went away before anybody did; and off the list once both have
happened. A shelved one is silent for a while and then back as it was; a safety alarm is never shelved.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bench.daemon.alarm_texts import Meaning
from bench.daemon.desk import DeskRefused
from bench.daemon.views import AlarmState, AlarmView, Words

#: So many that are off the list are still shown.
CLOSED_KEPT = 200
#: An alarm is shelved for no longer than a shift.
LONGEST_SHELF_S = 8 * 3600.0

Key = tuple[str, str | None]


@dataclass(slots=True)
class _Alarm:
    alarm_id: str
    rule: str
    channel: str | None
    run_id: str | None
    meaning: Meaning
    text: Words
    begun_utc_s: float
    returned_utc_s: float | None = None
    acknowledged_by: str | None = None
    shelved_until_utc_s: float | None = None

    def state(self, utc_s: float) -> AlarmState:
        if self.returned_utc_s is not None and self.acknowledged_by is not None:
            return "normal"
        if self.shelved_until_utc_s is not None and utc_s < self.shelved_until_utc_s:
            return "shelved"
        if self.acknowledged_by is not None:
            return "acknowledged"
        return "unacknowledged" if self.returned_utc_s is None else "returned_unacknowledged"

    def view(self, utc_s: float) -> AlarmView:
        shelved = self.shelved_until_utc_s
        return AlarmView(
            alarm_id=self.alarm_id,
            rule=self.rule,
            channel=self.channel,
            run_id=self.run_id,
            priority=self.meaning.priority,
            safety=self.meaning.safety,
            state=self.state(utc_s),
            text=self.text,
            cause=self.meaning.cause,
            consequence=self.meaning.consequence,
            action=self.meaning.action,
            begun_utc_s=self.begun_utc_s,
            returned_utc_s=self.returned_utc_s,
            acknowledged_by=self.acknowledged_by,
            shelved_until_utc_s=shelved if shelved is not None and utc_s < shelved else None,
        )


class Alarms:
    """``utc_s`` is the bench's clock; ``changed`` is told of every alarm that is another now."""

    def __init__(self, utc_s: Callable[[], float], changed: Callable[[AlarmView], object]) -> None:
        self._utc_s = utc_s
        self._changed = changed
        self._open: dict[Key, _Alarm] = {}
        self._closed: deque[_Alarm] = deque(maxlen=CLOSED_KEPT)
        self._numbers = itertools.count(1)

    def begin(
        self, rule: str, meaning: Meaning, text: Words, *, channel: str | None = None, run_id: str | None = None
    ) -> AlarmView:
        """Something is wrong. If it is on the list it is there again, and has to be acknowledged anew."""
        key = (rule, channel)
        known = self._open.get(key)
        if known is not None and known.returned_utc_s is None:
            return known.view(self._utc_s())
        if known is not None:
            self._closed.append(known)
        alarm = _Alarm(f"a{next(self._numbers)}", rule, channel, run_id, meaning, text, self._utc_s())
        self._open[key] = alarm
        return self._tell(alarm)

    def end(self, rule: str, channel: str | None = None) -> None:
        """It is right again. Idempotent."""
        alarm = self._open.get((rule, channel))
        if alarm is not None and alarm.returned_utc_s is None:
            alarm.returned_utc_s = self._utc_s()
            self._settle(alarm)

    def end_of_run(self, run_id: str) -> None:
        """What only a run can have wrong is right again with its end."""
        for alarm in tuple(self._open.values()):
            if alarm.run_id == run_id:
                self.end(alarm.rule, alarm.channel)

    def acknowledge(self, alarm_id: str, *, by: str) -> AlarmView:
        """Somebody knows. Raises DeskRefused."""
        alarm = self._of(alarm_id)
        alarm.acknowledged_by = alarm.acknowledged_by or by
        alarm.shelved_until_utc_s = None
        return self._settle(alarm)

    def shelve(self, alarm_id: str, *, for_s: float) -> AlarmView:
        """Silent for a while. Raises DeskRefused."""
        alarm = self._of(alarm_id)
        if alarm.meaning.safety:
            raise DeskRefused("safety-alarm", "a safety alarm is not shelved", "acknowledge it and mend its cause")
        if not 0.0 < for_s <= LONGEST_SHELF_S:
            raise DeskRefused("out-of-limits", f"{for_s:g} s is no time to shelve for", "up to 8 h")
        alarm.shelved_until_utc_s = self._utc_s() + for_s
        return self._tell(alarm)

    def views(self, *, closed: bool = False) -> tuple[AlarmView, ...]:
        """Those on the list, the newest first; with ``closed`` those that no longer are, too."""
        utc_s = self._utc_s()
        alarms = [*self._open.values(), *(self._closed if closed else ())]
        return tuple(alarm.view(utc_s) for alarm in sorted(alarms, key=lambda it: it.begun_utc_s, reverse=True))

    def counts(self) -> tuple[dict[str, int], int]:
        """How many call for somebody, by channel and in all: neither acknowledged nor shelved."""
        utc_s, by_channel, total = self._utc_s(), dict[str, int](), 0
        for alarm in self._open.values():
            if alarm.state(utc_s) in ("unacknowledged", "returned_unacknowledged"):
                total += 1
                if alarm.channel is not None:
                    by_channel[alarm.channel] = by_channel.get(alarm.channel, 0) + 1
        return by_channel, total

    def _of(self, alarm_id: str) -> _Alarm:
        for alarm in self._open.values():
            if alarm.alarm_id == alarm_id:
                return alarm
        raise DeskRefused("unknown", "no alarm of this id is on the list", "look at the list again")

    def _settle(self, alarm: _Alarm) -> AlarmView:
        if alarm.state(self._utc_s()) == "normal":
            del self._open[alarm.rule, alarm.channel]
            self._closed.append(alarm)
        return self._tell(alarm)

    def _tell(self, alarm: _Alarm) -> AlarmView:
        view = alarm.view(self._utc_s())
        self._changed(view)
        return view
