"""Settings that make a test quick, and the numbers of the records that arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.agent_process import AgentProcess
    from tests.tools.cloud import LocalAws

FAST = [
    {"name": "motion", "driver": "simulated", "detections_per_s": 2.0},
    {"name": "room", "driver": "simulated", "interval_s": 0.2},
]
QUICK = {"backoff_max_s": 2}
PROTOCOLS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


def name_of(agent: AgentProcess) -> str:
    """The thing's name."""
    return agent.directory.name


def numbers(cloud: LocalAws, agent: AgentProcess) -> list[int]:
    """The seq of every record that arrived, in order of arrival."""
    return [
        message.json()["seq"]
        for message in cloud.observer.messages(f"{name_of(agent)}/#")
        if b'"seq"' in message.payload
    ]
