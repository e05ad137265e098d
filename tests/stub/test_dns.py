"""Names that a test can resolve: addresses and SRV records (core/dns_cache.c of Kamailio)."""

from __future__ import annotations

import pytest
from ksr_stub import sending
from ksr_stub.builders import invite
from ksr_stub.harness import Ksr
from ksr_stub.message import Address


@pytest.fixture
def named(ksr: Ksr) -> Ksr:
    ksr.listen("udp:203.0.113.10:5060", "tcp:203.0.113.10:5060", "tls:203.0.113.10:5061")
    ksr.dns.add("gw.test", "192.0.2.1")
    ksr.dns.add("one.test", "192.0.2.11")
    ksr.dns.add("two.test", "192.0.2.12")
    return ksr


def test_a_name_has_an_address(named: Ksr) -> None:
    """With its port, or the usual one; a name that nobody knows leads nowhere."""
    assert sending.destination(named.world, "sip:gw.test") == (Address("192.0.2.1", 5060), "udp")
    assert sending.destination(named.world, "sip:GW.test:7;transport=tcp") == (
        Address("192.0.2.1", 7),
        "tcp",
    )
    assert sending.destination(named.world, "sip:no.test") is None


def test_srv_records_name_host_port_and_protocol(named: Ksr) -> None:
    """The lowest priority first, then the greatest weight; a port in the URI asks for none."""
    named.dns.add_service("gw.test", "tcp", "one.test", 5080, priority=2)
    named.dns.add_service("gw.test", "tcp", "one.test", 5081, priority=1, weight=1)
    named.dns.add_service("gw.test", "tcp", "two.test", 5082, priority=1, weight=9)
    named.dns.add_service("gw.test", "tls", "one.test", 5083)
    found = {
        text: sending.destination(named.world, text)
        for text in ("sip:gw.test", "sip:gw.test:5060", "sips:gw.test", "sip:gw.test;transport=udp")
    }
    assert found == {
        "sip:gw.test": (Address("192.0.2.12", 5082), "tcp"),
        "sip:gw.test:5060": (Address("192.0.2.1", 5060), "udp"),
        "sips:gw.test": (Address("192.0.2.11", 5083), "tls"),
        "sip:gw.test;transport=udp": (Address("192.0.2.1", 5060), "udp"),
    }


def test_a_target_without_address_is_passed_over(named: Ksr) -> None:
    """The next record counts."""
    named.dns.add_service("gw.test", "udp", "no.test", 5090)
    named.dns.add_service("gw.test", "udp", "two.test", 5091, priority=5)
    assert sending.destination(named.world, "sip:gw.test") == (Address("192.0.2.12", 5091), "udp")


def test_a_call_goes_where_the_name_leads(
    named: Ksr, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """t_relay resolves the R-URI; -478 where that fails."""
    path = tmp_path_factory.mktemp("script") / "dns_routes.py"
    path.write_text(
        "import sys\nimport KSR\nCODES = []\n"
        "def mod_init(): return sys.modules[__name__]\n"
        "def child_init(rank): return 0\n"
        "def ksr_onsend_route(msg): return 1\n"
        "def ksr_request_route(msg):\n"
        "    CODES.append(int(KSR.tm.t_relay()))\n    return 1\n"
    )
    script = named.load(path)
    result = named.receive(invite("sip:bob@gw.test"))
    assert [(one.to.host, one.to.port) for one in result.requests] == [("192.0.2.1", 5060)]
    named.receive(invite("sip:bob@no.test"))
    assert script.CODES == [1, -478]
