"""Nobody without an account makes the server send to a third party."""

from __future__ import annotations

from functools import partial

from attrs import frozen

from bench.database import DOMAIN, user
from tests.live.message import wire

from .scene import STRANGER, VICTIM, Finding, Probe, Scene, at, hears

GROUP = "relays for strangers"
OURS, THEIRS = "<sip:{server};lr>", "<sip:{victim};lr>"


@frozen
class Lookalike:
    """A request that looks as if we had to pass it on: {server} and {victim} are addresses."""

    name: str
    method: str
    uri: str = "sip:x@{victim}"
    routes: tuple[str, ...] = ()
    dialog: bool = True


LOOKALIKES = (
    Lookalike("BYE with a To tag and our Route", "BYE", routes=(OURS,)),
    Lookalike("the same with parameters that we might have put there", "BYE",
              routes=("<sip:{server};lr;nat=yes;ftag=1;did=1.2>",)),
    Lookalike("INFO with a second Route", "INFO", "sip:x@{server}", (OURS, THEIRS)),
    Lookalike("INFO with ;alias= in the R-URI", "INFO",
              "sip:x@192.0.2.1;alias={victim_host}~{victim_port}~1", (OURS,)),
    Lookalike("INFO with ;maddr= in the R-URI", "INFO",
              "sip:x@192.0.2.1:{victim_port};maddr={victim_host}", (OURS,)),
    Lookalike("INFO as a strict router sends it", "INFO", "sip:{server}", ("<sip:x@{victim}>",)),
    Lookalike("ACK with our Route", "ACK", routes=(OURS,)),
    Lookalike("ACK without a Route", "ACK"),
    Lookalike("ACK without a To tag", "ACK", dialog=False),
    Lookalike("PRACK with our Route", "PRACK", routes=(OURS,)),
    Lookalike("CANCEL of nothing", "CANCEL", routes=(OURS,), dialog=False),
    Lookalike("MESSAGE with preloaded Routes", "MESSAGE", f"sip:{user(0)}@{DOMAIN}",
              (OURS, THEIRS), dialog=False),
    Lookalike("INVITE to a foreign R-URI", "INVITE", dialog=False),
    Lookalike("MESSAGE to our domain with ;maddr=", "MESSAGE",
              f"sip:{user(0)}@{DOMAIN}:{{victim_port}};maddr={{victim_host}}", dialog=False),
)  # fmt: skip


def relayed(lookalike: Lookalike, scene: Scene) -> Finding:
    """Whether the victim hears anything of it."""
    attacker, victim = scene.stranger(), scene.stranger(VICTIM)
    host, port = victim.local
    server = f"127.0.0.1:{scene.server.port}"
    names = {"server": server, "victim": at(victim), "victim_host": host, "victim_port": port}
    uri = lookalike.uri.format(**names)
    fields = [("Route", route.format(**names)) for route in lookalike.routes]
    fields += [("Contact", attacker.contact)]
    to = f"<{uri}>" + (";tag=2" if lookalike.dialog else "")
    request = attacker.make_request(lookalike.method, uri, fields=fields, to=to, sender=STRANGER)
    for _ in range(2):  # the stock script may lose one
        attacker.send_raw(bytes(request))
        if hears(victim):
            return Finding(False, "relays")
    answers = [m.status for way, m in attacker.log if way == "<"]
    return Finding(True, str(answers[-1]) if answers else "dropped")


def reply_relayed(scene: Scene) -> Finding:
    """A reply to nothing, whose second Via is the victim."""
    attacker, victim = scene.stranger(), scene.stranger(VICTIM)
    attacker.send_raw(
        wire(f"""
            SIP/2.0 200 OK
            Via: SIP/2.0/UDP 127.0.0.1:{scene.server.port};branch=z9hG4bK1234.abcd.0
            Via: SIP/2.0/UDP {at(victim)};branch=z9hG4bK5678
            From: <sip:a@{DOMAIN}>;tag=1
            To: <sip:b@{DOMAIN}>;tag=2
            Call-ID: nothing-of-yours
            CSeq: 1 INVITE
            Content-Length: 0

            """)
    )
    return Finding(False, "relays") if hears(victim) else Finding(True, "dropped")


PROBES = (
    *(Probe(GROUP, lookalike.name, partial(relayed, lookalike)) for lookalike in LOOKALIKES),
    Probe(GROUP, "a reply to nothing, with a second Via", reply_relayed),
)
