"""The watch over an upgrade tries the way to the broker, and leaves the running agent alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.errors import EXIT_CONFIG, EXIT_OK, EXIT_TEMPORARY
from tests.integration.agent.conftest import FAST, QUICK, name_of

if TYPE_CHECKING:
    from tests.integration.conftest import MakeAgent
    from tests.tools.cloud import LocalAws


def test_the_way_is_tried_beside_an_agent_that_is_connected(
    cloud: LocalAws, make_agent: MakeAgent
) -> None:
    """The exit code says if the broker can be reached, if it cannot, or if nothing can be read."""
    agent = make_agent(sensors=FAST, mqtt=QUICK)
    assert agent.command("reach").returncode == EXIT_TEMPORARY  # it has no certificate yet
    agent.start().wait_online()

    tried = agent.command("reach")

    assert (tried.returncode, tried.stderr) == (EXIT_OK, "")
    assert agent.status()["state"] == "online"
    assert len(cloud.observer.messages(f"{name_of(agent)}/status")) == 1

    assert agent.command("reach", "--session").returncode == EXIT_OK
    cloud.observer.wait(f"{name_of(agent)}/status", count=2)  # it took that of the agent

    cloud.broker.pause()  # TLS is the kernel's and the broker's: neither way is open then
    try:
        tried = agent.command("reach")
    finally:
        cloud.broker.resume()
    assert tried.returncode == EXIT_TEMPORARY

    agent.config.write_text("[nothing]\n")
    assert agent.command("reach").returncode == EXIT_CONFIG
