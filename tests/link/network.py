"""Networks that fail without a word, in network namespaces: device, router and broker.

The router drops what it is told to: packets vanish, and nobody hears of it.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.link import wire
from tests.link.advisor import SLACK_S
from tests.link.bench import NotHereError, case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.link.bench import Bench
    from tests.link.broker import Broker
    from tests.link.device import Device

SPACES = Path("/run/netns")

DEVICE, BROKER = "10.99.1.2", "10.99.2.2"
CLONE_NEWNET = 0x40000000
KEEPALIVE_S = 5
MQTT, HTTPS = 8883, 443


class Network:
    """Three namespaces in a row; `drop` and `restore` act on the router between the other two."""

    def __init__(self, name: str) -> None:
        self._spaces = {role: f"{name}-{role}" for role in ("device", "router", "broker")}

    def make(self) -> None:
        """Make them, with addresses and routes."""
        for space in self._spaces.values():
            _ip("netns", "add", space)
            _ip("-n", space, "link", "set", "lo", "up")
        for number, (role, address) in enumerate((("device", DEVICE), ("broker", BROKER))):
            gateway = address[:-1] + "1"
            space, router, far = self._spaces[role], self._spaces["router"], f"far{number}"
            _ip("-n", space, "link", "add", "near", "type", "veth", "peer", far, "netns", router)
            for where, link, own in ((space, "near", address), (router, far, gateway)):
                _ip("-n", where, "address", "add", f"{own}/30", "dev", link)
                _ip("-n", where, "link", "set", link, "up")
            _ip("-n", space, "route", "add", "default", "via", gateway)
        forward = "echo 1 > /proc/sys/net/ipv4/ip_forward"
        _ip("netns", "exec", self._spaces["router"], "sh", "-c", forward)

    def remove(self) -> None:
        """Remove them, as far as they are there."""
        _remove(self._spaces.values())

    def drop(self, *addresses: str) -> None:
        """Drop all packets to these from now on, without an answer to who sends them."""
        for address in addresses:
            _ip("-n", self._spaces["router"], "route", "add", "blackhole", f"{address}/32")

    def restore(self, *addresses: str) -> None:
        """Let them through again."""
        for address in addresses:
            _ip("-n", self._spaces["router"], "route", "del", "blackhole", f"{address}/32")

    def enter(self, role: str) -> None:
        """Move the calling thread there: the sockets that it makes belong to that namespace."""
        with (SPACES / self._spaces[role]).open() as space:
            if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def listen(self, port: int) -> socket.socket:
        """A listener at the broker's place."""
        made: list[socket.socket] = []

        def make() -> None:
            self.enter("broker")
            made.append(socket.create_server((BROKER, port)))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)  # noqa: S607


def _remove(spaces: Iterable[str]) -> None:
    for space in spaces:
        subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)  # noqa: S607


def remove_all(pid: int) -> None:
    """Remove what a run with this process id has left behind, if it was killed."""
    if SPACES.is_dir():
        _remove(space.name for space in SPACES.glob(f"pia-{pid}-*"))


@contextmanager
def _network(bench: Bench) -> Iterator[Network]:
    if os.geteuid() != 0:
        raise NotHereError("only root may make network namespaces")
    if shutil.which("ip") is None:
        raise NotHereError("there is no ip command: install iproute2")
    network = Network(f"pia-{os.getpid()}-{bench.directory.name}")
    try:
        network.make()
        yield network
    except subprocess.CalledProcessError as error:
        raise NotHereError(f"no namespaces here: {error.stderr.decode()}") from error
    finally:
        network.remove()


def _broker(bench: Bench, network: Network, port: int) -> Broker:
    context = bench.certificates.context(hosts=(BROKER,))
    return bench.broker(context, listener=network.listen(port))


def _device(bench: Bench, network: Network, **options: float) -> Device:
    return bench.device(
        MQTT,
        endpoint=BROKER,
        enter=lambda: network.enter("device"),
        keepalive_s=KEEPALIVE_S,
        **options,
    )


def _survives(
    broker: Broker, device: Device, network: Network, addresses: tuple[str, ...], down_s: float
) -> None:
    """Silence is detected in 1.5 keep-alives, and over once packets pass again."""
    began_s = time.monotonic()
    network.drop(*addresses)
    device.wait(lambda: device.fact("state") != "online", 1.5 * KEEPALIVE_S + SLACK_S)
    device.count(3)
    time.sleep(max(0.0, began_s + down_s - time.monotonic()))
    network.restore(*addresses)
    device.wait_online(timeout_s=10)
    device.wait_empty()
    arrived = {json.loads(one.payload)["seq"] for one in broker.seen(wire.PUBLISH, topic="/count")}
    assert arrived == set(range(1, device.store.newest_seq + 1))


@case("a minute without any packet", long=True)
def _minute(bench: Bench) -> None:
    with _network(bench) as network:
        broker = _broker(bench, network, MQTT)
        device = _device(bench, network)
        device.wait_online()
        device.count(3)
        _survives(broker, device, network, (DEVICE, BROKER), 60)
        device.stop()


@case("packets dropped to the device, to the broker, both ways", long=True)
def _one_way(bench: Bench) -> None:
    with _network(bench) as network:
        broker = _broker(bench, network, MQTT)
        device = _device(bench, network)
        device.wait_online()
        for addresses in ((DEVICE,), (BROKER,), (DEVICE, BROKER)):
            _survives(broker, device, network, addresses, 0)
        device.stop()


@case("packets vanish: timed out")
def _timed_out(bench: Bench) -> None:
    with _network(bench) as network:
        network.drop(BROKER)
        device = _device(bench, network, connect_timeout_s=1)
        said = device.wait_condition("offline", "port 8883 cannot be reached: timed out after 1 s")
        assert "port 443 cannot be reached" in said
        assert "firewall" in said
        network.restore(BROKER)
        broker = _broker(bench, network, MQTT)
        broker.wait(wire.CONNECT)
        device.stop()


@case("half open: the broker has forgotten us", long=True)
def _half_open(bench: Bench) -> None:
    with _network(bench) as network:
        broker = _broker(bench, network, MQTT)
        device = _device(bench, network)
        device.wait_online()
        network.drop(DEVICE, BROKER)
        broker.peers[0].close()
        time.sleep(0.5)
        network.restore(DEVICE, BROKER)
        broker.wait(wire.CONNECT, 2, timeout_s=1.5 * KEEPALIVE_S + SLACK_S)
        device.stop()


@case("8883 blocked: the detour by 443")
def _detour(bench: Bench) -> None:
    with _network(bench) as network:
        firewall = _broker(bench, network, MQTT)
        firewall.on_accept = lambda _: time.sleep(30)
        broker = _broker(bench, network, HTTPS)
        device = _device(bench, network, connect_timeout_s=1)
        device.wait_online()
        hello = broker.peers[0].hello
        assert hello
        assert hello.alpn == ("x-amzn-mqtt-ca",)
        broker.peers[0].close()
        broker.wait(wire.CONNECT, 2)
        assert len(firewall.peers) == 1  # 443 is remembered
        device.stop()
