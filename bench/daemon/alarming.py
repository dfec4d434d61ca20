"""From what happens on a bench to its alarms: the events of runs' logs, and what is looked at now and then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.cause import EndKind
from bench.daemon import alarm_texts as texts
from bench.daemon.alarms import Alarms
from bench.daemon.feed import Quiet
from bench.daemon.views import RunView, Words

#: Rules of the bench as a whole.
LATCHED = "latched"
HELD = "held"
#: Ends that are no alarm.
_QUIET = (EndKind.COMPLETED, EndKind.PERSON)


class Alarming(Quiet):
    """A :class:`bench.daemon.feed.Feed` that raises alarms."""

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms

    def event(self, run: RunView, kind: str, data: Mapping[str, Any]) -> None:
        match kind:
            case "trip" | "stop" | "sample_event" | "bench_event":
                rule, said = str(data.get("rule") or kind), _seen(data)
                meaning = texts.of_trip(str(data.get("cause")), data.get("rule"))
                self._begin(run, rule, meaning, f"{rule}{said}", f"{rule}{said}")
            case "safe_state_failed":
                what = f"{data.get('device')}: {data.get('error')}"
                self._begin(
                    run,
                    f"safe state {data.get('device')}",
                    texts.UNSAFE,
                    f"not confirmed safe: {what}",
                    f"未确认安全：{what}",
                )
            case "warning":
                rule, said = str(data.get("rule")), _seen(data)
                self._begin(
                    run,
                    rule,
                    texts.WARNING,
                    f"{rule} of {data.get('channel')}{said}",
                    f"{data.get('channel')} {rule}{said}",
                )
            case "reading_lost":
                what = f"{data.get('device')}: {data.get('error')}"
                self._begin(run, f"reading {data.get('device')}", texts.LOST, f"no readings: {what}", f"无读数：{what}")
            case "reading_recovered":
                self._alarms.end(f"reading {data.get('device')}", run.channel)
            case "line_degraded" | "wrong_unit" | "local_echo" | "port_shared":
                said = kind.replace("_", " ")
                self._begin(
                    run,
                    f"line {data.get('wire')}",
                    texts.LINE,
                    f"{data.get('wire')}: {said}",
                    f"{data.get('wire')}：{said}",
                )
            case "line_recovered":
                self._alarms.end(f"line {data.get('wire')}", run.channel)
            case "low_water":
                self._begin(run, "disk", texts.DISK, "the disk is nearly full", "磁盘将满")
            case "ending" if data.get("cause") not in _QUIET:
                self._ended(run, data)
            case "latched":
                self.latched(str(data.get("rule") or data.get("cause")))

    def changed(self, run: RunView) -> None:
        if run.state == "closed":
            self._alarms.end_of_run(run.run_id)

    def latched(self, why: str) -> None:
        self._alarms.begin(LATCHED, texts.LATCHED, Words(en=f"the bench is latched: {why}", zh=f"台架已锁定：{why}"))

    def unlatched(self) -> None:
        self._alarms.end(LATCHED)

    def held(self, channel: str, why: str, run_id: str) -> None:
        self._alarms.begin(f"{HELD} {run_id}", texts.HELD, Words(en=why, zh=f"保持：{why}"), channel=channel)

    def released(self, channel: str, run_id: str) -> None:
        self._alarms.end(f"{HELD} {run_id}", channel)

    def _ended(self, run: RunView, data: Mapping[str, Any]) -> None:
        """What no trip told: a device that refused, a record that cannot be kept."""
        rule, said = str(data.get("rule") or data.get("cause")), _seen(data)
        disk = rule.startswith("record")
        meaning = texts.DISK if disk else texts.of_trip(str(data.get("cause")), data.get("rule"))
        self._begin(run, "disk" if disk else rule, meaning, f"{rule}{said}", f"{rule}{said}")

    def _begin(self, run: RunView, rule: str, meaning: texts.Meaning, en: str, zh: str) -> None:
        self._alarms.begin(rule, meaning, Words(en=en, zh=zh), channel=run.channel, run_id=run.run_id)


def _seen(data: Mapping[str, Any]) -> str:
    value, limit = data.get("value"), data.get("limit")
    if not isinstance(value, float | int) or not isinstance(limit, float | int):
        return ""
    return f" ({value:.4g}, limit {limit:.4g})"
