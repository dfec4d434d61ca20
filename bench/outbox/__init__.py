"""What leaves the house: one durable outbox, one module a sink. docs/outbox.md tells what arrives where."""

from bench.config.outbox_table import OutboxTable
from bench.outbox.broker import Broker, broker_of
from bench.outbox.fact import Fact, Kind
from bench.outbox.outbox import Outbox, OutboxStatus

__all__ = ["Broker", "Fact", "Kind", "Outbox", "OutboxStatus", "OutboxTable", "broker_of"]
