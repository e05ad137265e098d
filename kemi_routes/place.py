"""Places: where a request to somebody would be sent, as `address port`.

A place is only ever compared with another one, so a host name stays a name.
"""

from __future__ import annotations

import re

import KSR

from kemi_routes import settings

NOWHERE = ""
PROFILE = "place"
_BRACKETED = re.compile(r"<([^<>]*)>")
_ALIAS = re.compile(r";alias=([^;?]*)~(\d+)~\d+")
_HOST = re.compile(r"(sips?):(?:[^@]*@)?(\[[^\]]*\]|[^:;?]*)(?::(\d+))?", re.IGNORECASE)


def bodies(name: str) -> str:
    """All headers of a name as one.

    Kamailio's own `[*]` is nothing where they are long: 8 kB on 5.6.
    """
    count = KSR.pv.getvn(f"$hdrc({name})", 0)
    return ", ".join(KSR.pv.gete(f"$(hdr({name})[{i}])") for i in range(count))


def uris(routes: str) -> list[str]:
    """The URIs of Routes or Record-Routes."""
    return _BRACKETED.findall(routes)


def of_uri(uri: str) -> str:
    """The place of a URI: its alias, else its host and port; NOWHERE for what is no SIP URI."""
    alias = _ALIAS.search(uri)
    if alias:
        return _place(alias[1], alias[2])
    found = _HOST.match(uri)
    if found is None:
        return NOWHERE
    encrypted = found[1].lower() == "sips" or ";transport=tls" in uri.lower()
    return _place(found[2], found[3] or ("5061" if encrypted else "5060"))


def of_caller() -> str:
    """The place of who has sent this request: the next proxy on the way back, or his Contact."""
    routes = _record_routes()
    if routes:
        return of_uri(routes[0])
    if KSR.isflagset(settings.active.flt_caller_nated):
        return of_source()
    return of_uri(_contact())


def of_callee(routes: list[str], ours: str, aliased: bool) -> str:
    """The place of who has sent this reply.

    Args:
        routes: the URIs of its Record-Routes.
        ours: the first of them that is ours; those before it are proxies on the way to the callee.
        aliased: its Contact gets the alias of the source.
    """
    before = routes.index(ours)
    if before:
        return of_uri(routes[before - 1])
    return of_source() if aliased else of_uri(_contact())


def of_next_hop() -> str:
    """Where this request is about to go, as Kamailio itself reads the URI; NOWHERE if it can't."""
    host, port = ("$dd", "$dp") if KSR.isdsturiset() else ("$rd", "$rp")
    return _place(KSR.pv.gete(host), str(KSR.pv.get(port))) if KSR.pv.gete(host) else NOWHERE


def of_reply_target() -> str:
    """Where this reply is about to go (RFC 3581)."""
    host = KSR.pv.gete("$via1(received)") or KSR.pv.gete("$via1(host)")
    return _place(host, str(KSR.pv.get("$via1(rport)") or KSR.pv.get("$via1(port)") or 5060))


def is_bound(aor: str, place: str) -> bool:
    """Whether a binding of an address of record is at a place."""
    if KSR.registrar.reg_fetch_contacts(settings.active.location_table, aor, PROFILE) < 0:
        return False
    return any(
        place == of_uri(KSR.pv.gete(f"$(ulc({PROFILE}=>{column})[{i}])").lstrip("<"))
        for i in range(KSR.pv.getvn(f"$ulc({PROFILE}=>count)", 0))
        for column in ("addr", "received", "path")
    )


def _place(host: str, port: str) -> str:
    return f"{host.strip('[]').lower()} {port}"


def of_source() -> str:
    """Where this message comes from."""
    return _place(KSR.pv.gete("$si"), str(KSR.pv.get("$sp")))


def _record_routes() -> list[str]:
    return uris(bodies("Record-Route"))


def _contact() -> str:
    return KSR.pv.gete("$(ct{nameaddr.uri})")
