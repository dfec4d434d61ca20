"""The daemon's figures for Prometheus: read off the wall at each scrape, nothing is counted twice."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from bench.web.office import Office


class _Wall(Collector):
    def __init__(self, office: Office) -> None:
        self._office = office

    def collect(self) -> Iterator[Metric]:
        now = self._office.desk.now()
        states = Counter(channel.state for channel in now.channels)
        channels = GaugeMetricFamily("cellbench_channels", "Channels by their state.", labels=["state"])
        for state, count in sorted(states.items()):
            channels.add_metric([state], count)
        yield channels
        devices = GaugeMetricFamily("cellbench_device_connected", "1: the device answers.", labels=["device"])
        for device in now.devices:
            devices.add_metric([device.name], float(device.connected))
        yield devices
        oldest = GaugeMetricFamily(
            "cellbench_channel_reading_age_seconds", "Age of a channel's oldest shown value.", labels=["channel"]
        )
        for channel in now.channels:
            ages = [value.age_s for value in channel.values if value.age_s is not None]
            if ages:
                oldest.add_metric([channel.name], max(ages))
        yield oldest
        yield GaugeMetricFamily("cellbench_alarms", "Alarms that are not normal.", value=now.alarms)
        yield GaugeMetricFamily("cellbench_prompts", "Questions that wait for a person.", value=now.prompts)
        yield GaugeMetricFamily("cellbench_latched", "1: the bench is latched.", value=float(now.latched))
        yield GaugeMetricFamily("cellbench_held_runs", "Interrupted runs that are held.", value=len(now.held))
        yield CounterMetricFamily("cellbench_events", "Events since the daemon began.", value=now.seq)
        feed = self._office.feed
        yield GaugeMetricFamily("cellbench_event_readers", "Open event streams.", value=feed.readers)
        yield CounterMetricFamily("cellbench_event_readers_dropped", "Readers dropped as too slow.", value=feed.dropped)


def figures(office: Office) -> tuple[bytes, str]:
    """The text and its media type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Wall(office))
    ProcessCollector(pid=lambda: office.daemon, registry=registry)
    if office.daemon != os.getpid():
        ProcessCollector(namespace="cellbench_page", registry=registry)
    PlatformCollector(registry=registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST
