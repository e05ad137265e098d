"""Generated calls: each strategy gives a list of KSR calls on one message.

What crashes a real Kamailio 5.6.3 or makes it read memory that it never filled is not asked: the
stub's `Unpredictable` names those.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from . import texts

Calls = st.SearchStrategy[list[list[Any]]]

_URI = [
    "user",
    "host",
    "passwd",
    "port",
    "params",
    "headers",
    "transport",
    "ttl",
    "uparam",
    "maddr",
    "method",
    "lr",
    "scheme",
    "tosocket",
    "param,x",
    "param,lr",
]
_TO_BODY = ["uri", "tag", "display", "user", "host", "params"]
_PARAM = [
    "value,a",
    "value,b",
    "in,x",
    "count",
    "name,0",
    "valueat,1",
    "name,-1",
    "value,b,&",
    "count,&",
    "value,x",
]
_STRING = [
    "len",
    "int",
    "md5",
    "tolower",
    "toupper",
    "trim",
    "ltrim",
    "rtrim",
    "substr,1,2",
    "substr,-2,0",
    "substr,0,3",
    "encode.hexa",
    "escape.common",
    "unescape.common",
    "escape.user",
    "unescape.user",
    "escape.param",
    "unescape.param",
    "select,0,,",
    "select,-1,,",
    "select,1,:",
    "strip,1",
    "striptail,2",
    "prefixes",
    "numeric",
    "rm,a",
    "reverse",
    "encode.base64",
    "decode.base64",
    "replace,a,bb",
    "ftrim,x",
    "rfc2047",
    "count,a",
    "prefixes,2",
    "escape.csv",
]
_VARIABLES = [
    "rm",
    "rs",
    "rr",
    "rv",
    "ru",
    "rU",
    "rd",
    "rp",
    "rP",
    "rz",
    "ou",
    "oU",
    "od",
    "op",
    "oP",
    "oz",
    "fu",
    "fU",
    "fd",
    "ft",
    "fn",
    "tu",
    "tU",
    "td",
    "tt",
    "tn",
    "ct",
    "ci",
    "cs",
    "csb",
    "ua",
    "si",
    "sp",
    "pr",
    "proto",
    "Ri",
    "Rp",
    "su",
    "sut",
    "rb",
    "bs",
    "cT",
    "cl",
    "mf",
    "ml",
    "mt",
    "du",
    "dd",
    "dp",
    "ds",
    "pU",
    "pu",
    "pd",
    "pn",
    "ai",
    "ad",
    "aU",
    "ar",
    "au",
    "br",
    "re",
    "rt",
    "rT",
    "di",
    "dir",
    "dip",
    "dic",
    "hu",
    "ho",
    "hl",
    "bf",
    "sf",
    "mF",
    "sas",
    "af",
    "Au",
    "adu",
    "hdr(X-A)",
    "hdr(x-a)",
    "hdr(Supported)",
    "hdr(k)",
    "hdr(User-Agent)",
    "hdr(None)",
    "hdrc(X-A)",
    "hdrc(Via)",
    "hdrc(Contact)",
    "hdrc(None)",
    "nh(u)",
    "nh(U)",
    "nh(d)",
    "nh(p)",
    "nh(P)",
    "expires(min)",
    "expires(max)",
    "rpl(dhost)",
    "via0(host)",
    "via0(port)",
    "via0(branch)",
    "via0(rport)",
    "via0(received)",
    "via1(host)",
    "via0(proto)",
    "viaZ(host)",
    "msg(len)",
    "msg(hdrs)",
    "msg(body)",
    "msg(lpart)",
    "msg(buf)",
    "msg(fline)",
    "cnt(hdr(X-A))",
    "C(rg)",
    "def(x)",
    "env(NONE)",
    "ctn",
    "T_req($ru)",
    "rc",
    "prid",
    "route_uri",
    "Rn",
    "Ru",
    "Rut",
    "cnt(avp(x))",
    "cnt($avp(s:x))",
    "cnt($xavp(a))",
    "cnt($xavp(a=>b))",
    "cnt($xavp(a[0]=>b[*]))",
    "cnt($xavp(a[-1]))",
    "cnt($xavp(a[5]))",
    "cnt($xavp(a[*]=>b[-2]))",
    "cnt($xavp(a[1]=>b[0]))",
    "_s($rm-$fU)",
    "fsn",
    "mbu",
    "msgbuf(3)",
    "msgbuf(99999)",
    "msgbuf(-1)",
    "msgbuf($rc)",
    "msgbuf(x)",
    "sndfrom(ip)",
    "rcv(buf)",
    "stat(nothing)",
    "C(xx)",
    "C(Rw)",
    "C(xX)",
    "C(Xx)",
    "ltt(t)",
    "lsock(i/0/l)",
    "lsock(i/0/lx)",
    "lsock(l/udp:127.0.0.1/nx)",
    "lsock(nope)",
    "lsock(n/x/ix)",
    "rr_count",
    "rr_top_count",
    "hflc(Via)",
    "hflc(Contact)",
    "hflc(Route)",
    "hflc(Record-Route)",
    "hflc(X-A)",
    "hflc(From)",
    "dsv(code)",
]
_INDEXED = [
    *(
        "$(hdr(X-A)[1])",
        "$(hdr(X-A)[-1])",
        "$(hdr(X-A)[*])",
        "$(hdr(X-A)[-3])",
        "$(ct{nameaddr.uri})",
    ),
    *("$(ru{uri.host}{s.len})", "$(fu{uri.user}{s.toupper})", "$(tu{uri.param,x})", "$(rm{s.len})"),
    *(
        f"$(hfl({name})[{index}])"
        for name in ("Via", "Contact", "Route", "Record-Route", "X-A", "From", "*", "m")
        for index in (0, 1, -1, -2, "*", "$cs")
    ),
    *("$(hdr(Via){param.value,branch})", "$(ct{tobody.params})", "$(ua{s.select,0,/})"),
]
_NAMES = ["$" + name for name in _VARIABLES] + _INDEXED
_HEADER_NAMES = [
    "X-A",
    "x-a",
    "Supported",
    "k",
    "From",
    "f",
    "To",
    "Via",
    "Contact",
    "m",
    "Route",
    "None",
    "Max-Forwards",
    "X-B",
]


# Kamailio remembers the last name-addr that it took apart, and if it was broken
_FORGET: list[list[Any]] = [
    ["pv.sets", "$var(x)", "<sip:a@b>"],
    ["pv.get", "$(var(x){nameaddr.uri})"],
]


def _transformed(text: str, group: str, names: list[str]) -> list[list[Any]]:
    wanted = [["pv.get", f"$(var(x){{{group}.{name}}})"] for name in names]
    return [["pv.sets", "$var(x)", text], *wanted]


def _uri_calls(one: str, other: str) -> list[list[Any]]:
    ru = [["pv.get", f"${name}"] for name in ("ru", "rU", "rd", "rp", "rP", "rz", "nh(u)")]
    return [
        ["siputils.is_uri", one],
        *_transformed(one, "uri", _URI),
        ["pv.get", "$(var(x){urialias.encode})"],
        ["is_myself", one],
        ["siputils.cmp_uri", one, other],
        ["siputils.cmp_aor", one, other],
        ["pv.sets", "$ru", one],
        *ru,
        ["is_myself_ruri"],
        *(["siputils.uri_param", "x"], ["siputils.uri_param_value", "lr", "on"]),
        *(["siputils.uri_param_any", "x"], ["siputils.is_gruu"], ["corex.has_ruri_user"]),
        *(["pv.sets", "$rU", "n"], ["pv.sets", "$rd", "h"], ["pv.sets", "$rp", "9"]),
        *(["pv.get", "$ru"], ["pv.sets", "$du", other], ["pv.get", "$du"], ["pv.get", "$dd"]),
        *(["pv.get", "$dp"], ["pv.get", "$nh(d)"], ["is_myself_duri"], ["is_myself_nhuri"]),
    ]


def uri_calls() -> Calls:
    """All that takes a URI apart, compares it or makes it the Request-URI."""
    return st.builds(_uri_calls, texts.uris(), texts.uris())


def name_calls() -> Calls:
    """The transformations of From, To and Contact bodies and of parameters."""

    def calls(name: str, params: str) -> list[list[Any]]:
        return [
            *_FORGET,
            *_transformed(name, "tobody", _TO_BODY),
            *([["pv.get", "$(var(x){nameaddr.uri})"]] * 2),
            *_transformed(name, "nameaddr", ["name", "len"]),
            *_transformed(params, "param", _PARAM),
        ]

    return st.builds(calls, texts.names(), texts.param_lists())


def text_calls() -> Calls:
    """Text: transformations of strings, comparisons, numbers, addresses."""

    def calls(one: str, other: str, pattern: str) -> list[list[Any]]:
        comparing = ["cmp_str", "cmp_istr", "starts_with", "ends_with", "str_find", "str_ifind"]
        return [
            *_transformed(one, "s", _STRING),
            *[[f"textops.{name}", one, other] for name in comparing],
            ["textops.search_str", one, pattern],
            ["textops.in_list", other, one, ","],
            ["textops.in_list_prefix", other, one, ","],
            *[[f"siputils.{name}", one] for name in ("is_tel_number", "is_numeric", "is_alphanum")],
            *(["siputils.cmp_hdr_name", one, other], ["siputils.is_alphanumex", one, other]),
            *(["textopsx.fnmatch", one, f"{other}*"], ["nathelper.is_rfc1918", one]),
            *[[f"ipops.{name}", one] for name in ("is_ip", "is_ip4", "is_ip6", "ip_type")],
        ]

    return st.builds(calls, texts.words(), texts.words(), texts.patterns())


_LISTS: list[list[Any]] = [
    *(["pv.sets", "$avp(x)", "1"], ["pv.seti", "$avp(x)", 2], ["pv.sets", "$xavp(a)", "lone"]),
    *(["pv.sets", "$xavp(a=>b)", "1"], ["pv.sets", "$xavp(a[0]=>b)", "2"]),
    *(["pv.sets", "$xavp(a=>c)", "3"], ["pv.sets", "$xavp(a=>b)", "4"]),
]


def newer_calls() -> Calls:
    """What 6.0 has added; what it crashes on without a Contact is asked now and then."""

    def calls(
        folded: str, one: str, other: str, pattern: str, contact: list[list[Any]]
    ) -> list[list[Any]]:
        names = ["escape.crlf", "unescape.crlf", "rmhdws", "rmhlws"]
        return [
            *_transformed(folded, "s", names),
            *_transformed(one, "s", names),
            *(["pv.getl", "$var(x)"], ["pv.getl", "$cs"], ["pv.getl", "$hdr(X-A)"]),
            *(["pv.setl", "$var(x)", 1 << 40], ["pv.getl", "$var(x)"], ["pv.get", "$var(x)"]),
            ["pvx.evalx", "$var(y)", "$En$Er$Es$Et$Ec$Eq$Ek$Ei$Ej$Eb$Ev"],
            ["pv.get", "$var(y)"],
            ["textops.str_any_in", one, other],
            ["pv.sets", "$var(z)", ""],
            ["textops.subst_v", one, f"/{pattern}/<{other}>/g", "$var(z)"],
            ["pv.get", "$var(z)"],
            ["siputils.sip_parse_headers"],
            *contact,
        ]

    folded = st.text("ab \t\r\n\\nr", max_size=12)
    contact = st.sampled_from([[], [["pv.get", "$ctu"], ["pv.get", "$cts"]]])
    return st.builds(calls, folded, texts.words(), texts.words(), texts.patterns(), contact)


def reading_calls() -> Calls:
    """What is read from a message: variables and headers, in every form of `get`."""
    readers = st.sampled_from(["get", "gete", "getw", "is_null", "geti"])
    variables = st.builds(
        lambda reader, name: [f"pv.{reader}", name], readers, st.sampled_from(_NAMES)
    )
    defaults = st.sampled_from(_NAMES).map(lambda name: ["pv.getvs", name, "default"])
    header = st.builds(
        lambda reader, name: [f"hdr.{reader}", name],
        st.sampled_from(["get", "gete", "getw", "is_present"]),
        st.sampled_from(_HEADER_NAMES),
    )
    indexed = st.builds(
        lambda reader, name, index: [f"hdr.{reader}_idx", name, index],
        st.sampled_from(["get", "gete", "getw"]),
        st.sampled_from(_HEADER_NAMES),
        st.integers(-3, 3),
    )
    every = variables | defaults | header | indexed
    return st.lists(every, min_size=20, max_size=30).map(
        lambda chosen: [*_FORGET, *_LISTS, *chosen]
    )


_CHECKS: list[list[Any]] = [
    *([f"siputils.{name}"] for name in ["is_request", "is_reply", "has_totag", "is_first_hop"]),
    *(["textops.has_body"], ["textops.has_body_type", "application/sdp"]),
    *(["textops.is_privacy", "id"], ["textops.is_audio_on_hold"], ["maxfwd.is_maxfwd_lt", 5]),
    *([f"is_myself_{which}"] for which in ("ruri", "furi", "turi", "suri", "srcip")),
    *(["is_method", names] for names in ("INVITE", "REGISTER")),
    *(["is_method_in", letters] for letters in ("IABC", "R", "SO")),
    *(["rr.is_direction", way] for way in ("downstream", "upstream")),
    *(["isflagset", 3], ["isdsturiset"], ["is_proto", "U"], ["is_proto", "T"]),
    *(["kx.get_bodylen"], ["kx.get_body"], ["kx.gets_status"], ["kx.get_msgtype"]),
    *(["textops.search", "One"], ["textops.search_body", "a"], ["corex.has_user_agent"]),
    *(["textops.is_present_hf", "X-A"], ["textops.is_present_hf_re", "^[Xx]-"]),
]


_REPLIES = [(200, "OK"), (404, "Not here"), (302, "Moved"), (180, "Ringing"), (500, ""), (99, "x")]


def checking_calls() -> Calls:
    """What routes ask of a message before they do anything, and the replies they give."""

    def calls(
        mask: int, checks: int, uri_checks: int, limit: int, reply: tuple[int, str], function: str
    ) -> list[list[Any]]:
        sanity = [["sanity.sanity_check", checks, uri_checks]] if checks else []
        return [
            ["nathelper.nat_uac_test", mask],
            *_CHECKS,
            ["maxfwd.process_maxfwd", limit],
            *sanity,
            [f"sl.{function}", *reply],
        ]

    return st.builds(
        calls,
        st.integers(1, 127),
        st.integers(0, 4095),
        st.integers(0, 7),
        st.integers(1, 70),
        st.sampled_from(_REPLIES),
        st.sampled_from(["send_reply", "sl_send_reply"]),
    )


_EDITS: list[list[Any]] = [
    *(["hdr.append", "X-New: 1\r\n"], ["hdr.insert", "X-First: 2\r\n"], ["hdr.remove", "X-A"]),
    *(["hdr.append_after", "X-C: 3\r\n", "From"], ["hdr.insert_before", "X-D: 4\r\n", "To"]),
    *(["hdr.rmappend", "X-A", "X-A: new\r\n"], ["textops.remove_hf", "Supported"]),
    *(
        ["textops.remove_hf_re", "^[XR]"],
        ["textops.subst", "/One/Two/g"],
        ["textops.replace", "a", "z"],
    ),
    *(["textops.replace_all", "One", "b"], ["textops.subst_uri", "/^sip:(.*)@/sip:x@/"]),
    *(["textops.subst_user", "/b/c/"], ["textops.subst_body", "/a/b/"], ["textopsx.remove_body"]),
    *(["textops.set_body", "new body", "text/x"], ["nathelper.fix_nated_contact"]),
    *(["nathelper.add_contact_alias"], ["nathelper.set_contact_alias"], ["rr.record_route"]),
    *(["nathelper.fix_nated_sdp", 3], ["force_rport"], ["textopsx.keep_hf_re", "^[XC]"]),
    *(["nathelper.fix_nated_register"], ["siputils.add_uri_param", "new=1"], ["setuser", "u"]),
    *(["nathelper.handle_ruri_alias"], ["siputils.uri_param_rm", "x"], ["sethost", "h.test"]),
    *(["pv.sets", "$fu", "sip:new@from.test"], ["textopsx.exclude_hf_value", "Supported", "path"]),
    *(["textopsx.include_hf_value", "Supported", "gruu"], ["pv.sets", "$rU", "set"]),
    *(["textops.replace_all", "c=IN", "c=INN"], ["textops.search_append", "^v=0", "NEW"]),
    *(["textops.replace_str", "10.0.0.5", "1.2.3.4", "a"], ["textops.replace", "s=-", ""]),
    *(["textops.search_append_body", "t=0", "1"], ["textops.replace_body", "m=", "m=x"]),
    *(["textops.subst", "/hi/hello/"], ["textops.has_body"], ["pv.get", "$hdr(None)"]),
    *(["hdr.is_present", "From"], ["pv.get", "$rb"], ["pv.get", "$ct"], ["pv.get", "$bs"]),
    *(["textops.remove_hf_idx", "X-A", 0], ["rr.loose_route"], ["setdsturi", "sip:d.test"]),
]


def editing_calls() -> Calls:
    """A few edits, applied, and what the message is then."""
    after = [
        ["textopsx.msg_apply_changes"],
        ["pv.get", "$mb"],
        ["pv.get", "$ru"],
        ["pv.get", "$du"],
    ]
    after += [["pv.get", "$hdr(X-A)"], ["pv.get", "$ct"], ["pv.get", "$fu"], ["pv.get", "$rb"]]
    edits = st.lists(st.sampled_from(_EDITS), min_size=1, max_size=3, unique_by=lambda e: e[0])
    return edits.map(lambda chosen: [*chosen, *after])


def table_calls() -> Calls:
    """A hash table that is empty at first."""
    keys, one = st.sampled_from(["a", "b", "A"]), "htable."
    named = {"sht_get": (), "sht_gete": (), "sht_getw": (), "sht_is_null": (), "sht_rm": ()}
    plain = st.builds(lambda name, key: [one + name, "t", key], st.sampled_from(list(named)), keys)
    counted = st.builds(
        lambda name, key: [one + name, "t", key], st.sampled_from(["sht_inc", "sht_dec"]), keys
    )
    texts_ = st.builds(lambda key, value: [one + "sht_sets", "t", key, value], keys, texts.words())
    numbers = st.builds(
        lambda key, value: [one + "sht_seti", "t", key, value], keys, st.integers(-9, 9)
    )
    variables = keys.map(lambda key: ["pv.get", f"$sht(t=>{key})"])
    empty = [[one + "sht_rm_name_re", "t", ".*"]]
    every = plain | counted | texts_ | numbers | variables
    return st.lists(every, min_size=15, max_size=25).map(lambda chosen: empty + chosen)
