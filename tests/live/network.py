"""A small internet in network namespaces: a public segment, NAT routers, and hosts behind them.

Nothing here touches the machine's own interfaces or routes. Namespaces carry the test run's process
id in their names and disappear when `Network` is left, with the processes and sockets in them.

    with Network() as network:
        server = network.server_host()                        # 203.0.113.10, 2001:db8:113::10
        home = network.nat("home")                            # 203.0.113.20 / 192.168.0.1
        alice = network.host_behind(home, "192.168.0.103")
        alice.run("ping", "-c1", server.address)
"""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import socket
import struct
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

T = TypeVar("T")
H = TypeVar("H", bound="Namespace")

CLEAN_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
SERVER = "203.0.113.10"
SERVER6 = "2001:db8:113::10"
BRIDGED_THROUGH_NETFILTER = Path("/proc/sys/net/bridge")
NAMESPACES = Path("/run/netns")
CLONE_NEWNET = 0x40000000
_serial = itertools.count(1)


class CommandFailed(Exception):
    """A command ended with another status than 0; the message has its output."""


class Namespace:
    """One host. `name=None` is the machine itself, of which tests use only the loopback."""

    def __init__(self, name: str | None = None, address: str = "127.0.0.1") -> None:
        self.name = name
        self.address = address
        self._cleanup = ExitStack()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name or 'loopback'}, {self.address})"

    def _prefix(self) -> list[str]:
        return ["ip", "netns", "exec", self.name] if self.name else []

    def sysctl(self, name: str, value: int) -> None:
        """Set a kernel parameter of this namespace.

        In a container /proc/sys is read-only; `ip netns exec` has a mount namespace of its own,
        where it may be made writable.
        """
        self.run("sh", "-c", f"mount -o remount,rw /proc/sys; sysctl -qw {name}={value}")

    def run(
        self,
        *command: str,
        stdin: str | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 30,
    ) -> str:
        """Run a command here and return its stdout and stderr. Raises CommandFailed."""
        done = subprocess.run(
            [*self._prefix(), *command],
            input=stdin,
            env=environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        if done.returncode:
            raise CommandFailed(f"{command} in {self} gave {done.returncode}:\n{done.stdout}")
        return done.stdout

    def popen(
        self,
        *command: str,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        stdin: int | IO[str] | None = subprocess.DEVNULL,
        stdout: int | IO[str] | None = subprocess.PIPE,
        new_session: bool = False,
    ) -> subprocess.Popen[str]:
        """Start a process here (stderr goes to stdout). It is ended when this host is closed."""
        process = subprocess.Popen(
            [*self._prefix(), *command],
            env=environment(env),
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=new_session,
        )
        self.on_close(lambda: end(process))
        return process

    def inside(self, function: Callable[[], T]) -> T:
        """Call function in a thread of its own that has entered this namespace.

        A socket belongs for life to the namespace in which it was made, so what the function opens
        here the test can use from any thread.
        """
        with ThreadPoolExecutor(1, initializer=self._enter) as thread:
            return thread.submit(function).result()

    def _enter(self) -> None:
        if self.name is None:
            return
        with (NAMESPACES / self.name).open() as namespace:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns({self.name})")

    def socket(self, family: int, kind: int) -> socket.socket:
        """A socket of this host, closed with it."""
        made = self.inside(lambda: socket.socket(family, kind))
        self.on_close(made.close)
        return made

    def on_close(self, action: Callable[[], object]) -> None:
        """Call action when this host goes away; the last one registered is called first."""
        self._cleanup.callback(action)

    def close(self) -> None:
        """End the processes and sockets of this host, then the host. Safe to call twice."""
        with ExitStack() as last:
            if self.name and (NAMESPACES / self.name).exists():
                last.callback(_ip, "netns", "del", self.name)
            self._cleanup.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Nat(Namespace):
    """A home router: every flow leaves from `public` with a random port, strangers are dropped.

    Mappings depend on the destination too (a symmetric NAT), which is the hardest kind for SIP.
    """

    def __init__(self, name: str, address: str, public: str) -> None:
        super().__init__(name, address)
        self.public = public
        self._generation = 0

    def masquerade(self) -> None:
        """Give new flows random ports, of a range that alternates with each rebind."""
        low, high = ((20000, 39999), (40000, 59999))[self._generation % 2]
        self.run("nft", "-f", "-", stdin=MASQUERADE.format(low=low, high=high))

    def rebind(self) -> None:
        """Forget all mappings, as a rebooted router does: the next packet of each flow leaves from
        another public port than before, and packets to the old ones are dropped."""
        self._generation += 1
        self.masquerade()
        self.inside(_flush_conntrack)

    def set_udp_timeout(self, seconds: int) -> None:
        """Close the hole of a UDP flow after this many seconds without a packet (default 30, and
        120 once both sides have sent)."""
        for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
            self.sysctl(f"net.netfilter.{name}", seconds)


class Network:
    """The context manager that makes the hosts. The server's public address is always SERVER."""

    def __init__(self) -> None:
        self.prefix = f"kemi-{os.getpid()}-{next(_serial)}"
        self._hosts = ExitStack()
        self._public = (f"203.0.113.{n}" for n in itertools.count(20))
        self._ports = itertools.count(1)
        self._gateway = ""

    def __enter__(self) -> Self:
        _delete_leftovers()
        self._internet = self._segment("internet")
        return self

    def __exit__(self, *error: object) -> None:
        self._hosts.close()

    def server_host(self) -> Namespace:
        """A host with the server's public address, 203.0.113.10 and 2001:db8:113::10."""
        return self.public_host(SERVER, SERVER6)

    def server_behind_nat(self, private: str = "10.0.0.10", public: str = SERVER) -> Namespace:
        """A server on a private address; its router forwards UDP and TCP 5060-5061 and UDP
        30000-30999 (RTP) of the public one. `.address` is the private address."""
        router = self._router("server-nat", public, f"{private.rpartition('.')[0]}.1")
        router.run("nft", "-f", "-", stdin=FORWARD.format(private=private, public=public))
        return self.host_behind(router, private)

    def server_with_two_interfaces(self, private: str = "10.10.0.10") -> Namespace:
        """A public server (203.0.113.10) with a second interface in a private network, where
        `private_host` puts phones. It does not route between the two; Kamailio must."""
        server = self.server_host()
        self._lan = self._segment("lan")
        self._attach(self._lan, server, "lan", [f"{private}/24"])
        return server

    def private_host(self, address: str) -> Namespace:
        """A host in the private network of `server_with_two_interfaces`, with no way out of it."""
        host = self._namespace(address)
        self._attach(self._lan, host, "eth0", [f"{address}/24"])
        return host

    def public_host(self, address: str, address6: str | None = None) -> Namespace:
        """A host with no NAT, in 203.0.113.0/24 and (if given) in 2001:db8:113::/64."""
        host = self._namespace(address)
        addresses = [f"{address}/24"] + ([f"{address6}/64"] if address6 else [])
        self._attach(self._internet, host, "eth0", addresses)
        self._route(host)
        return host

    def this_machine(self, address: str) -> Namespace:
        """The machine itself, with an interface in the internet: it is the way to the machine's
        other addresses for each `nat` and `public_host` that is made later. These have to be in
        the /24 of this address, of which nothing else on the machine may have need."""
        machine = Namespace(None, address)
        self._attach(self._internet, machine, "kemi-internet", [f"{address}/24"])
        self._gateway = address
        return machine

    def private_network_of_this_machine(self, address: str) -> None:
        """Give the machine itself an interface in another network, with this address of a /24,
        where `private_host` puts phones; it does not route between the two."""
        self._lan = self._segment("lan")
        self._attach(self._lan, Namespace(None, address), "kemi-lan", [f"{address}/24"])

    def nat(self, name: str, public: str | None = None) -> Nat:
        """A router with 192.168.0.1/24 inside; outside 203.0.113.20, .21, ... unless given."""
        nat = self._router(name, public or next(self._public), "192.168.0.1")
        nat.masquerade()
        return nat

    def host_behind(self, nat: Nat, address: str) -> Namespace:
        """A host in the private network of nat. Two NATs may have hosts with one address."""
        host = self._namespace(f"{nat.public}-{address}", address)
        self._attach(nat, host, "eth0", [f"{address}/24"])
        _ip("-n", str(host.name), "route", "add", "default", "via", nat.address)
        return host

    def _router(self, name: str, public: str, private: str) -> Nat:
        nat = self._start(Nat(self._name(name), private, public))
        self._bridge(nat, f"{private}/24")
        self._attach(self._internet, nat, "wan", [f"{public}/24"])
        self._route(nat)
        nat.sysctl("net.ipv4.ip_forward", 1)
        return nat

    def _route(self, host: Namespace) -> None:
        if self._gateway:
            _ip("-n", str(host.name), "route", "add", "default", "via", self._gateway)

    def _segment(self, name: str) -> Namespace:
        segment = self._namespace(name)
        self._bridge(segment)
        return segment

    def _bridge(self, host: Namespace, address: str | None = None) -> None:
        inside = ("-n", str(host.name))
        # An address of its own: else it takes the lowest of its ports', another one with each new
        # host, and what a host sends to the former one is lost.
        _ip(*inside, "link", "add", "br0", "address", "02:00:00:00:00:01", "type", "bridge")
        if address:
            _ip(*inside, "addr", "add", address, "dev", "br0")
        _ip(*inside, "link", "set", "br0", "up")
        if BRIDGED_THROUGH_NETFILTER.exists():
            # Docker has loaded br_netfilter: a frame that the bridge floods would pass the NAT's
            # chains as bridged, and its flow then leave without NAT
            host.sysctl("net.bridge.bridge-nf-call-iptables", 0)

    def _namespace(self, label: str, address: str | None = None) -> Namespace:
        return self._start(Namespace(self._name(label), address or label))

    def _name(self, label: str) -> str:
        return f"{self.prefix}-{re.sub('[^a-z0-9.]+', '-', label.lower())}"

    def _start(self, host: H) -> H:
        _ip("netns", "add", str(host.name))
        self._hosts.callback(host.close)
        _ip("-n", str(host.name), "link", "set", "lo", "up")
        return host

    def _attach(
        self, segment: Namespace, host: Namespace, interface: str, addresses: Iterable[str]
    ) -> None:
        port = f"port{next(self._ports)}"
        outer, inner = ("-n", str(segment.name)), ("-n", host.name) if host.name else ()
        peer = ("peer", "name", interface, "netns", host.name or str(os.getpid()))
        _ip(*outer, "link", "add", port, "type", "veth", *peer)
        _ip(*outer, "link", "set", port, "master", "br0", "up")
        for address in addresses:
            # Duplicate address detection would leave the IPv6 address unusable for a second.
            nodad = ("nodad",) if ":" in address else ()
            _ip(*inner, "addr", "add", address, "dev", interface, *nodad)
        _ip(*inner, "link", "set", interface, "up")


MASQUERADE = """
table ip nat
delete table ip nat
table ip nat {{
    chain postrouting {{
        type nat hook postrouting priority srcnat;
        oifname "wan" meta l4proto {{ tcp, udp }} masquerade to :{low}-{high} fully-random
    }}
    chain input {{
        type filter hook input priority filter;
        iifname "wan" ct state new drop
    }}
}}
"""

FORWARD = """
table ip nat {{
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        iifname "wan" ip daddr {public} meta l4proto {{ tcp, udp }} th dport 5060-5061 \
dnat to {private}
        iifname "wan" ip daddr {public} udp dport 30000-30999 dnat to {private}
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat;
        oifname "wan" snat to {public}
    }}
}}
"""


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of started programs: ours with the PATH of a plain Debian system."""
    return {**os.environ, "PATH": CLEAN_PATH, **(extra or {})}


def end(process: subprocess.Popen[str], patience: float = 5) -> int:
    """Terminate a process, kill it after patience seconds, and return its exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def _ip(*arguments: str) -> None:
    done = subprocess.run(
        ["ip", *arguments], env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CommandFailed(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _flush_conntrack() -> None:
    """Delete every entry of the connection tracking table (nfnetlink, IPCTNL_MSG_CT_DELETE)."""
    delete, request_and_ack, netfilter = 0x0102, 0x0005, 12
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netfilter) as kernel:
        kernel.send(struct.pack("=IHHIIBBH", 20, delete, request_and_ack, 1, 0, 0, 0, 0))
        error: int = struct.unpack_from("=i", kernel.recv(4096), 16)[0]
    if error:
        raise OSError(-error, "the kernel does not flush its connection tracking table")


def _delete_leftovers() -> None:
    """Remove namespaces of test runs that were killed before they could do it themselves."""
    for path in NAMESPACES.glob("kemi-*"):
        owner = path.name.split("-")[1]
        if owner.isdigit() and not Path("/proc", owner).exists():
            _ip("netns", "del", path.name)
