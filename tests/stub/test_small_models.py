"""The smaller modules: pike, ipops, cfgutils, statistics, counters, uuid, rtpengine.

The values come from runs of Kamailio 5.6.3.
"""

from __future__ import annotations

from pathlib import Path

import KSR
import pytest
from ksr_stub import message
from ksr_stub.builders import SDP, invite
from ksr_stub.errors import WrongArguments
from ksr_stub.harness import Ksr
from ksr_stub.message import Address
from ksr_stub.models.permissions import Addresses
from ksr_stub.models.rtpengine import RtpEngine
from ksr_stub.models.sqlops import Sql


def routed(ksr: Ksr, data: bytes) -> message.SipMessage:
    """A request that is being routed."""
    ksr.world.message = message.parse(data, Address("203.0.113.7", 40123), ksr.world.sockets[0])
    return ksr.world.message


def test_pike_blocks_who_sends_too_much(ksr: Ksr) -> None:
    """The 39th request of an address is blocked with -2, all further ones with -1."""
    codes = [KSR.pike.pike_check_ip("192.0.2.1") for _ in range(42)]
    assert codes == [1] * 38 + [-2] + [-1] * 3
    assert KSR.pike.pike_check_ip("198.51.100.1") == 1
    assert KSR.pike.pike_check_ip("nonsense") == -1


@pytest.mark.parametrize(("limit", "first"), [(65536, 5), (65536 + 5, 9), (65536 + 30, 39)])
def test_a_limit_of_pike_has_16_bits(ksr: Ksr, limit: int, first: int) -> None:
    """What is over them is no limit that anybody has asked for."""
    ksr.param("pike", "reqs_density_per_unit", limit)
    codes = [KSR.pike.pike_check_ip("192.0.2.1") for _ in range(100)]
    assert codes.index(-2) + 1 == first


def test_pike_forgives_with_time(ksr: Ksr) -> None:
    """Two sampling units later the address is free again."""
    codes = [KSR.pike.pike_check_ip("192.0.2.1") for _ in range(50)]
    assert codes[-1] == -1
    ksr.clock.advance(4)
    assert KSR.pike.pike_check_ip("192.0.2.1") == 1


@pytest.mark.parametrize(
    ("text", "ip", "pure", "four", "six", "kind"),
    [
        ("192.0.2.1", 1, 1, 1, -1, 1),
        ("[2001:db8::1]", 1, -1, -1, -1, 3),
        ("::ffff:192.0.2.1", 1, 1, -1, 1, 2),
        ("1.2.3", -1, -1, -1, -1, -1),
        ("256.1.1.1", -1, -1, -1, -1, -1),
        ("01.2.3.4", -1, -1, -1, -1, -1),
        ("1::2::3", -1, -1, -1, -1, -1),
        ("", -1, -1, -1, -1, -1),
        ("1::8:", 1, 1, -1, 1, 2),
    ],
)
def test_kinds_of_addresses(
    ksr: Ksr, text: str, ip: int, pure: int, four: int, six: int, kind: int
) -> None:
    """ipops tells addresses from texts."""
    assert KSR.ipops.is_ip(text) == ip
    assert KSR.ipops.is_pure_ip(text) == pure
    assert KSR.ipops.is_ip4(text) == four
    assert KSR.ipops.is_ip6(text) == six
    assert KSR.ipops.ip_type(text) == kind


def test_addresses_are_compared(ksr: Ksr) -> None:
    """The same address in another form is the same; brackets only in compare_ips."""
    assert KSR.ipops.compare_ips("[::1]", "0:0::1") == 1
    assert KSR.ipops.compare_ips("192.0.2.1", "::1") == -1
    assert KSR.ipops.compare_pure_ips("[::1]", "::1") == -1
    assert KSR.ipops.is_in_subnet("192.0.2.1", "10.0.0.0/8, 192.0.2.0/24") == 1
    assert KSR.ipops.is_in_subnet("[2001:db8::1]", "2001:db8::/32") == -1
    assert KSR.ipops.is_in_subnet("192.0.2.1", "192.0.2.0/33") == -1
    assert KSR.ipops.is_ip_rfc1918("172.31.0.1") == 1
    assert KSR.ipops.is_ip_rfc1918("100.64.0.1") == -1


def test_locks_need_a_set(ksr: Ksr) -> None:
    """Without lock_set_size every lock fails; with it trylock fails on what is locked."""
    assert KSR.cfgutils.lock("a") == -1
    ksr.param("cfgutils", "lock_set_size", 4)
    assert KSR.cfgutils.lock("a") == 1
    assert KSR.cfgutils.trylock("a") == -1
    assert KSR.cfgutils.unlock("a") == 1
    assert KSR.cfgutils.trylock("a") == 1


@pytest.mark.ksr(version="6.0")
def test_a_lock_of_6_0_has_a_key_of_two_parts(ksr: Ksr) -> None:
    """Of the two functions of this name in 6.0.1 the second one is left."""
    ksr.param("cfgutils", "lock_set_size", 4)
    assert KSR.cfgutils.lock("a", "b") == 1
    assert KSR.cfgutils.trylock("a", "b") == -1
    assert KSR.cfgutils.trylock("a", "c") == 1


def test_chance_can_be_set(ksr: Ksr) -> None:
    """0 and 100 percent are certain."""
    assert KSR.cfgutils.rand_get_prob() == 10
    KSR.cfgutils.rand_set_prob(100)
    assert {int(KSR.cfgutils.rand_event()) for _ in range(20)} == {1}
    KSR.cfgutils.rand_set_prob(0)
    assert {int(KSR.cfgutils.rand_event()) for _ in range(20)} == {-1}


def test_core_hash_is_kamailios(ksr: Ksr) -> None:
    """The hash is from 1 to 2 to the power of its size."""
    assert KSR.cfgutils.core_hash("abc", "", 0) == 1
    assert KSR.cfgutils.core_hash("abc", "def", 8) == 114
    assert KSR.cfgutils.core_hash("abc", "def", -1) == 2
    assert KSR.cfgutils.core_hash("", "x", 3) == 8


def test_only_known_counters_count(ksr: Ksr) -> None:
    """A statistic or counter that no modparam made gives -1."""
    ksr.param("statistics", "variable", "reg_count")
    ksr.param("counters", "script_counter", "calls")
    assert KSR.statistics.update_stat("reg_count", 2) == 1
    assert KSR.statistics.update_stat("nope", 2) == -1
    assert KSR.counters.inc("calls") == 1
    assert KSR.counters.inc("nope") == -1


def test_a_counter_with_a_group_damages_its_name(ksr: Ksr) -> None:
    """Strict mode refuses `group.name`: Kamailio writes into Python's string."""
    ksr.param("counters", "script_counter", "my.calls")
    with pytest.raises(WrongArguments, match="with its group"):
        KSR.counters.inc("my.calls")


def test_a_uuid_is_one(ksr: Ksr) -> None:
    """Two UUIDs differ."""
    assert len(KSR.uuid.get()) == 36
    assert KSR.uuid.get() != KSR.uuid.get()


def test_rtpengine_relays_media(ksr: Ksr) -> None:
    """An offer leaves with the relay's address and ports, and the relay knows its flags."""
    request = routed(ksr, invite())
    assert KSR.rtpengine.rtpengine_offer("replace-origin ICE=remove") == 1
    sdp = request.applied()[-len(SDP) :]
    assert "c=IN IP4 198.51.100.200" in sdp
    assert "m=audio 30000 RTP/AVP" in sdp
    assert "192.168.0.103" not in sdp.partition("v=0")[2]
    relay = ksr.world.part(RtpEngine)
    assert relay.commands[0].flag_list == ["replace-origin", "ICE=remove"]
    assert relay.sessions == {request.get("call-id")}
    assert KSR.rtpengine.rtpengine_delete0() == 1
    assert relay.sessions == set()


def test_a_dead_rtpengine_fails(ksr: Ksr) -> None:
    """Every command gives -1, and the SDP stays."""
    request = routed(ksr, invite())
    ksr.world.part(RtpEngine).alive = False
    assert KSR.rtpengine.rtpengine_offer0() == -1
    assert KSR.rtpengine.rtpengine_manage0() == -1
    assert KSR.rtpengine.rtpengine_delete0() == -1
    assert KSR.rtpengine.play_media("file=x") == -1
    assert request.lumps == []


def test_rtpengine_needs_sdp(ksr: Ksr) -> None:
    """An offer without a body is an error."""
    routed(ksr, invite(sdp=""))
    assert KSR.rtpengine.rtpengine_offer0() == -1
    assert ksr.world.part(RtpEngine).commands == []


def test_sql_from_a_route(ksr: Ksr) -> None:
    """A query succeeds with 0, also without rows; a wrong one, or no database, gives -1."""
    ksr.param("sqlops", "sqlcon", "db=>sqlite:///x")
    sql = ksr.world.part(Sql)
    sql.connection.executescript("CREATE TABLE t (a INT, b TEXT); INSERT INTO t VALUES (7, NULL);")
    assert KSR.sqlops.sql_query("db", "SELECT a, b FROM t", "r") == 0
    assert KSR.sqlops.sql_num_rows("r") == 1
    assert KSR.sqlops.sql_result_get("r", 0, 0) == 7
    assert KSR.sqlops.sql_is_null("r", 0, 1) == 1
    assert KSR.sqlops.sql_result_gete("r", 0, 1) == ""
    assert KSR.sqlops.sql_query("db", "SELECT a FROM t WHERE a > 7", "r") == 0
    assert KSR.sqlops.sql_num_rows("r") == 0
    assert KSR.sqlops.sql_query("db", "SELECT nonsense", "r") == -1
    assert KSR.sqlops.sql_query("other", "SELECT 1", "r") == -1
    sql.unavailable = True
    assert KSR.sqlops.sql_query("db", "SELECT 1", "r") == -1


def test_kx_reads_without_names_of_variables(ksr: Ksr) -> None:
    """Each getter gives what its variable gives, null in three ways."""
    routed(ksr, invite("sip:bob@example.test", headers={"User-Agent": "Phone/1"}))
    assert KSR.kx.get_ruri() == "sip:bob@example.test"
    assert KSR.kx.get_ua() == "Phone/1"
    assert KSR.kx.get_srcport() == 40123
    assert (KSR.kx.get_duri(), KSR.kx.gete_duri(), KSR.kx.getw_duri()) == (None, "", "<null>")
    assert KSR.kx.get_status() == -1
    assert KSR.kx.get_bodylen() == len(KSR.kx.get_body())


def test_kx_reads_defines(ksr: Ksr) -> None:
    """A define keeps its quotes; an undefined one is '' and 0."""
    ksr.define(FOO='"a b"', NUM=5, EMPTY="")
    names = ("FOO", "NUM", "EMPTY", "NOPE")
    assert [KSR.kx.get_def(name) for name in names] == ['"a b"', "5", "", ""]
    assert [KSR.kx.get_defn(name) for name in names] == [0, 5, 0, 0]
    assert [KSR.kx.ifdef(name) for name in names] == [True, True, True, False]
    assert KSR.kx.ifndef("NOPE") is True


def test_sdp_is_looked_into(ksr: Ksr) -> None:
    """The values of Kamailio 5.6.3 for SDP with an audio and a video stream."""
    video = "m=video 40002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=inactive\r\n"
    request = routed(ksr, invite(sdp=SDP.format(host="192.168.0.5") + video))
    sdpops = KSR.sdpops
    assert sdpops.sdp_content() == 1
    assert [sdpops.sdp_with_media(kind) for kind in ("audio", "VIDEO", "text")] == [1, 1, 0]
    assert [sdpops.sdp_with_active_media(kind) for kind in ("audio", "video")] == [1, 0]
    assert sdpops.sdp_with_transport("rtp/avp") == 1
    assert sdpops.sdp_with_transport_like("SAVP") == -1
    assert sdpops.sdp_with_ice() == -1
    assert sdpops.remove_media("video") == 1
    assert sdpops.remove_media("text") == 0
    assert "m=video" not in request.applied()


def test_a_message_without_sdp(ksr: Ksr) -> None:
    """Without SDP there is no content, and no media."""
    routed(ksr, invite(sdp=""))
    assert KSR.sdpops.sdp_content() == -1
    assert KSR.sdpops.sdp_with_media("audio") == 0
    assert KSR.sdpops.sdp_with_transport("RTP/AVP") == -1


def test_trusted_addresses(ksr: Ksr) -> None:
    """A single address counts before a network; port 0 is any port."""
    routed(ksr, invite())
    table = ksr.world.part(Addresses)
    assert KSR.permissions.allow_source_address(1) == -1
    table.add("203.0.113.0/24", group=2)
    table.add("203.0.113.7", group=1, port=40123)
    assert KSR.permissions.allow_source_address(1) == 1
    assert KSR.permissions.allow_source_address_group() == 1
    assert KSR.permissions.allow_address_group("203.0.113.7", 5060) == 2
    assert KSR.permissions.allow_address(1, "203.0.113.7", 5060) == -1
    assert KSR.permissions.allow_address_group("nonsense", 5060) == -1


def test_corex_looks_at_messages(ksr: Ksr) -> None:
    """Whether there is a user in the R-URI, and a User-Agent."""
    routed(ksr, invite("sip:bob@example.test", headers={"User-Agent": "x"}))
    assert (KSR.corex.has_ruri_user(), KSR.corex.has_user_agent()) == (1, 1)
    routed(ksr, invite("sip:example.test"))
    assert (KSR.corex.has_ruri_user(), KSR.corex.has_user_agent()) == (-1, -1)


def test_peers_are_trusted_by_address_protocol_and_uri(ksr: Ksr) -> None:
    """allow_trusted takes the first row that fits, with peer_tag_mode all of them."""
    request = routed(ksr, invite("sip:bob@example.test"))
    ksr.param("permissions", "peer_tag_avp", "$avp(peer)")
    table = ksr.world.part(Addresses)
    assert KSR.permissions.allow_trusted() == -1
    table.add_peer("203.0.113.7", "tcp", tag="tcp")
    table.add_peer("203.0.113.7", from_pattern="^sip:nobody@", tag="nobody")
    table.add_peer(
        "203.0.113.7", "UDP", ruri_pattern="sip:\\(bob\\|al\\)@", tag="second", priority=2
    )
    table.add_peer(request.source.host, tag="first", priority=1)
    assert KSR.permissions.allow_trusted() == 1
    assert KSR.pv.get("$(avp(peer)[*])") == "first"
    ksr.param("permissions", "peer_tag_mode", 1)
    assert KSR.permissions.allow_trusted() == 2


def test_host_names_and_files_of_addresses(ksr: Ksr, tmp_path: Path) -> None:
    """address_file is read; a host name is trusted where it is asked for by its name."""
    listed = tmp_path / "addresses"
    listed.write_text("# group address mask port tag\n4 192.0.2.0 24 5060 net\n5 gw.test\n")
    ksr.param("permissions", "address_file", str(listed))
    ksr.param("permissions", "peer_tag_avp", "$avp(peer)")
    routed(ksr, invite())
    assert KSR.permissions.allow_address(4, "192.0.2.9", 5060) == 1
    assert KSR.pv.get("$avp(peer)") == "net"
    assert KSR.permissions.allow_address(5, "gw.test", 1) == 1
    assert KSR.permissions.allow_address_group("GW.test", 1) == -1
