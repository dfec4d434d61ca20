"""Runs in .venv-sparkplug, with pysparkplug: somebody else's reading of the same specification.

    python sparkplug_oracle.py decode < LINES     each line {"topic": ..., "payload": HEX}; prints what they say
    python sparkplug_oracle.py rebirth            prints the payload of a rebirth command, in hex

It is started as a program by test_sparkplug.py and imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any


def decoded() -> None:
    other: Any = import_module("pysparkplug")  # not in our own environment

    births: dict[str, Any] = {}
    kinds = {
        "NBIRTH": other.NBirth, "DBIRTH": other.DBirth, "DDATA": other.DData, "DDEATH": other.DDeath,
        "NDEATH": other.NDeath,
    }  # fmt: skip
    for line in sys.stdin:
        said = json.loads(line)
        raw, topic = bytes.fromhex(said["payload"]), other.Topic.from_str(said["topic"])
        kind, device = topic.message_type.value, topic.device_id or ""
        payload = kinds[kind].decode(raw, birth=births.get(device) if kind == "DDATA" else None)
        if kind in ("NBIRTH", "DBIRTH"):
            births[device] = payload
        metrics = (payload.bd_seq_metric,) if kind == "NDEATH" else getattr(payload, "metrics", ())
        row = {
            "kind": kind,
            "group": topic.group_id,
            "edge": topic.edge_node_id,
            "device": device,
            "seq": getattr(payload, "seq", None),
            "metrics": {
                metric.name: [metric.value, metric.datatype.name, bool(metric.is_historical), metric.timestamp]
                for metric in metrics
            },
        }
        print(json.dumps(row))


def rebirth() -> None:
    other: Any = import_module("pysparkplug")  # not in our own environment

    asked = other.Metric(timestamp=1, name="Node Control/Rebirth", datatype=other.DataType.BOOLEAN, value=True)
    print(other.NCmd(timestamp=1, metrics=(asked,)).encode(include_dtypes=True).hex())


if __name__ == "__main__":
    {"decode": decoded, "rebirth": rebirth}[sys.argv[1]]()
