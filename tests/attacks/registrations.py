"""What REGISTER can be used for: to aim calls at somebody, and with what somebody else has sent."""

from __future__ import annotations

import re
from functools import partial

from attrs import frozen

from bench.database import DOMAIN, password
from tests.live.challenges import answer, challenge_of, make, register, repeat
from tests.live.digest import credentials
from tests.live.message import Message
from tests.live.phone import Phone

from .scene import (
    ATTEMPTS,
    FOREIGN,
    NEIGHBOUR,
    PHONE,
    URI,
    VICTIM,
    Finding,
    Probe,
    Scene,
    at,
    hears,
    refused,
    status,
)

TARGETS, REPLAYS, NAMES = "plants call targets", "accepts replays", "takes names on trust"


# Call targets


@frozen
class Target:
    """A Contact with {user}, {phone}, {server} and {victim}; a Path where it has one."""

    name: str
    contact: str
    path: str = ""


AIMED = (
    Target("Contact with ;alias= of somebody else",
           "<sip:{user}@{phone};alias={victim_host}~{victim_port}~1>"),
    Target("Contact with ;received= of somebody else",
           '<sip:{user}@{phone}>;received="sip:{victim}"'),
    Target("Contact at somebody else's address", "<sip:{user}@{victim}>"),
    Target("Contact at 255.255.255.255", "<sip:{user}@255.255.255.255>"),
    Target("Contact at the server's own address", "<sip:{user}@{server}>"),
    Target("Path from a phone", "<sip:{user}@{phone}>", "<sip:{victim};lr>"),
)  # fmt: skip


def planted(target: Target, scene: Scene) -> Finding:
    """Whether a call to the user goes anywhere but to where the REGISTER came from."""
    phone, victim = scene.phone(), scene.stranger(VICTIM)
    host, port = victim.local
    names = {
        "user": phone.user, "phone": at(phone), "server": f"127.0.0.1:{scene.server.port}",
        "victim": at(victim), "victim_host": host, "victim_port": port,
    }  # fmt: skip
    path = {"Path": target.path.format(**names), "Supported": "path"} if target.path else {}
    answered = phone.register(contact=target.contact.format(**names), headers=path)
    if refused(answered.status):
        return Finding(True, str(answered.status))
    for _ in range(ATTEMPTS):
        scene.stranger().request("MESSAGE", phone.aor)
        if hears(victim):
            return Finding(False, "calls go there")
        if phone.has_request("MESSAGE"):
            return Finding(True, "calls go to the phone")
    return Finding(False, "bound")


# Replays


def captured(scene: Scene) -> tuple[Phone, Message, Message]:
    """A phone that has registered, its challenge, and the REGISTER as somebody has seen it."""
    phone = scene.phone()
    secret, phone.password = phone.password or "", None
    challenge = register(phone)
    proof = answer(challenge, phone.user, secret, URI)
    request = make(phone, "REGISTER", URI, proof, to=f"<{phone.aor}>")
    assert status(phone, request) == 200
    return phone, challenge, request


def changed(request: Message, sender: Phone, **headers: str) -> Message:
    """The captured request as another one would send it."""
    given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    given["via"] = make(sender, "REGISTER", URI)["Via"]
    number = int(request["CSeq"].split()[0])
    given["cseq"] = f"{number + 100} REGISTER"
    fields = [(name, given.get(name.lower(), value)) for name, value in request.fields]
    return Message(request.start_line, fields)


def accepted(sender: Phone, request: Message) -> Finding:
    """Whether a replayed REGISTER has bound something."""
    found = status(sender, request)
    return Finding(True, str(found)) if refused(found) else Finding(False, "accepted")


def from_another_address(scene: Scene) -> Finding:
    """The thief's own Contact."""
    phone, _, request = captured(scene)
    thief = scene.another(phone, NEIGHBOUR)
    return accepted(thief, changed(request, thief, contact=thief.contact))


def with_another_call_id(scene: Scene) -> Finding:
    """From behind the phone's own NAT."""
    phone, _, request = captured(scene)
    thief = scene.another(phone, PHONE)
    return accepted(thief, changed(request, thief, contact=thief.contact, call_id="another"))


def with_another_contact(scene: Scene) -> Finding:
    """From the phone's own address and port, forged."""
    phone, _, request = captured(scene)
    return accepted(
        phone, changed(request, phone, contact=f"<sip:{phone.user}@{phone.local[0]}:9>")
    )


def again(scene: Scene) -> Finding:
    """The very bytes, after the phone has left."""
    phone, challenge, request = captured(scene)
    secret = password(int(phone.user[1:]))
    proof = credentials(challenge_of(challenge), "REGISTER", URI, phone.user, secret, nc=2)
    leave = changed(request, phone, authorization=proof)
    leave.fields.append(("Expires", "0"))
    left = status(phone, leave)
    assert left == 200, left
    found = repeat(phone, request).status
    return Finding(True, str(found)) if refused(found) else Finding(False, "accepted")


def without_qop(scene: Scene) -> Finding:
    """qop, nc and cnonce are gone, where there were any."""
    phone, _, request = captured(scene)
    bare = re.sub(r', (qop|nc|cnonce)=("[^"]*"|[^,]+)', "", request["Authorization"])
    thief = scene.another(phone, NEIGHBOUR)
    return accepted(thief, changed(request, thief, contact=thief.contact, authorization=bare))


# Names


def another_domain(scene: Scene) -> Finding:
    """The realm is From's domain, and the password is right."""
    phone = scene.phone()
    secret, phone.password = phone.password or "", None
    sender = f"<sip:{phone.user}@{FOREIGN}>"
    parts = {"sender": f"{sender};tag=1", "to": sender}
    answered = register(phone, **parts)
    if answered.status == 401:
        answered = register(phone, answer(answered, phone.user, secret, URI), **parts)
    if refused(answered.status):
        return Finding(True, str(answered.status))
    return Finding(False, "bound")


def asserted_identity(scene: Scene) -> Finding:
    """A stranger says that he is the bank."""
    phone = scene.phone()
    assert phone.register().status == 200
    claims = {
        "P-Asserted-Identity": f"<sip:bank@{DOMAIN}>",
        "Remote-Party-ID": f"<sip:bank@{DOMAIN}>",
        "Diversion": f"<sip:bank@{DOMAIN}>",
    }
    scene.stranger().request("MESSAGE", phone.aor, headers=claims)
    message = phone.expect_request("MESSAGE").message
    kept = [name for name in claims if name in message]
    return Finding(not kept, f"{len(kept)} of {len(claims)} passed on" if kept else "removed")


def no_credentials(scene: Scene) -> Finding:
    """A request in the name of our user."""
    phone = scene.phone()
    assert phone.register().status == 200
    liar = scene.another(phone, NEIGHBOUR)
    found = status(liar, liar.make_request("MESSAGE", phone.aor))
    return Finding(refused(found), str(found))


PROBES = (
    *(Probe(TARGETS, target.name, partial(planted, target)) for target in AIMED),
    Probe(REPLAYS, "a captured REGISTER from another address", from_another_address),
    Probe(REPLAYS, "with another Call-ID", with_another_call_id),
    Probe(REPLAYS, "with another Contact", with_another_contact),
    Probe(REPLAYS, "once more, after the phone has left", again),
    Probe(REPLAYS, "without qop", without_qop),
    Probe(NAMES, "REGISTER for a domain that is not ours", another_domain),
    Probe(NAMES, "P-Asserted-Identity and the like of a stranger", asserted_identity),
    Probe(NAMES, "From of our user without credentials", no_credentials),
)
