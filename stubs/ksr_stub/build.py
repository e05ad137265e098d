"""The bytes that leave: requests, replies to requests and relayed replies.

As core/msg_translator.c of Kamailio makes them. Edits that belong to one sending only (our Via,
received and rport) are lumps on a copy, so that the message itself stays as it is.
"""

from __future__ import annotations

import re

import attrs

from ksr_stub import nameaddr, via
from ksr_stub.branches import Branch
from ksr_stub.message import Lump, SipMessage, Socket, Way
from ksr_stub.via import Via
from ksr_stub.world import World

SERVER = "Server: kamailio (5.6.3 (x86_64/linux))"
USER_AGENT = "User-Agent: kamailio (5.6.3 (x86_64/linux))"
MAGIC = "z9hG4bK"
_BOUNDARY = re.compile(r";\s*boundary\s*=\s*(?:\"([^\"]*)\"|([^\s;]+))", re.IGNORECASE)
_RELIABLE = ("tcp", "tls")
_FIELDS = [field.name for field in attrs.fields(SipMessage)]


def copy(message: SipMessage) -> SipMessage:
    """A message with lists of edits and notes of its own: what a branch changes stays in it."""
    made = SipMessage.__new__(SipMessage)
    for name in _FIELDS:
        setattr(made, name, getattr(message, name))
    made.lumps, made.reply_lumps = list(message.lumps), list(message.reply_lumps)
    made.notes = dict(message.notes)
    return made


def build_request(
    world: World,
    message: SipMessage,
    way: Way,
    branch: str,
    *,
    target: Branch | None = None,
    local_via: bool = True,
) -> str:
    """The request as it is sent on.

    Args:
        world: for core parameters.
        message: with its edits.
        way: socket and protocol it leaves by.
        branch: the value of the branch parameter of our Via, with its cookie.
        target: the branch it goes to: its URI and Path come in place of the message's own.
        local_via: False for what msg_apply_changes makes: no Via of ours, none changed.
    """
    sent = copy(message)
    _put_boundaries_right(sent)
    _adjust_content_length(sent, way.proto)
    path = (target.path if target else message.path_vector) or ""
    if local_via:
        _update_via(world, sent, way, branch, path)
    uri = target.uri if target else message.uri
    start = message.buf.index(message.ruri, len(message.method)) if message.ruri else 0
    head = message.buf[:start] + uri
    return head + sent.applied(start + len(message.ruri), way=way)


def build_reply_as_it_is(message: SipMessage, way: Way) -> str:
    """A reply with its edits, no Via taken off: what msg_apply_changes makes of it."""
    sent = copy(message)
    _adjust_content_length(sent, way.proto)
    return sent.applied(way=way)


def mark_multipart(message: SipMessage) -> None:
    """Let the boundaries be put right when the request is sent."""
    message.notes["multipart"] = True


def _put_boundaries_right(sent: SipMessage) -> None:
    """The boundary behind each part, and the one that ends the body (check_boundaries)."""
    header = sent.first("content-type")
    named = None if header is None else _BOUNDARY.search(header.body)
    if not sent.notes.get("multipart") or named is None:
        return
    begin = len(sent.buf) - len(sent.body)
    mark = f"--{named[1] or named[2]}"
    parts = re.split(rf"(?:^|(?<=\r\n)){re.escape(mark)}[^\r]*(?:\r\n|$)", sent.applied(begin))
    if len(parts) < 3:
        return
    kept = "".join(f"{mark}\r\n{part}" for part in parts[1:-1])
    sent.lumps = [lump for lump in sent.lumps if lump.offset < begin]
    sent.replace(begin, len(sent.body), f"{kept}{mark}--\r\n")


def build_forwarded_reply(message: SipMessage, proto: str) -> str:
    """A reply without its top Via, as it goes back to who is in the next one."""
    sent = copy(message)
    _adjust_content_length(sent, proto)
    header = message.first("via")
    assert header is not None  # noqa: S101
    values = via.in_header(message, header)
    if len(values) > 1:
        length = values[1].start - header.body_start
        sent.delete(header.body_start, length, "via")
    else:
        sent.delete(header.start, header.end - header.start, "via")
    return sent.applied(way=Way(message.socket, proto))


def build_reply(world: World, message: SipMessage, code: int, reason: str, to_tag: str = "") -> str:
    """A reply to a request.

    Args:
        world: for the signature and force_rport.
        message: the request, with what is to be added to its replies.
        code: the status code.
        reason: the reason phrase.
        to_tag: the tag of To, in place of the request's own; '' leaves To as it is.
    """
    version = message.reason
    if message.is_request:
        version = message.buf[: message.first_line_end].rstrip().rpartition(" ")[2]
    lines = [f"{version} {code:03} {reason}\r\n", *_copied(world, message, code, to_tag)]
    lines += message.reply_lumps
    kind, body = message.reply_body or ("", "")
    if kind:
        lines.append(f"Content-Type: {kind}\r\n")
    if world.param("core", "server_signature", 1):
        header = world.param("core", "server_header", SERVER)
        lines.append(f"{header}\r\n" if header else "")
    lines.append(f"Content-Length: {len(body)}\r\n\r\n{body}")
    return "".join(lines)


def wants_rport(world: World, message: SipMessage) -> bool:
    """Whether answers go to the source port: rport in Via, or force_rport."""
    top = top_via(message)
    forced = message.force_rport or bool(world.param("core", "force_rport", 0))
    return forced or (top is not None and top.param("rport") is not None)


def top_via(message: SipMessage) -> Via | None:
    """The first Via value, with offsets into the buffer."""
    header = message.first("via")
    return None if header is None else via.in_header(message, header)[0]


def wants_received(message: SipMessage, top: Via) -> bool:
    """Whether Via gets `received`: it has one, or rport, or names another address."""
    if top.param("received") is not None or top.param("rport") is not None:
        return True
    return top.bare_host.lower() != message.source.host.lower()


def via_header(world: World, message: SipMessage | None, way: Way, branch: str) -> str:
    """Our own Via header field for a message (None: for a request of our own)."""
    socket = way.socket
    host = socket.shown_host
    advertised = message.notes.get("advertised_address") if message is not None else None
    port = str(socket.shown_port)
    shown = socket.port != 5060 or bool(socket.advertised_port)
    if isinstance(advertised, str) and advertised:
        host = advertised
    changed = message.notes.get("advertised_port") if message is not None else None
    if isinstance(changed, str) and changed:
        port, shown = changed, True
    line = f"Via: SIP/2.0/{way.proto.upper()} {host}"
    line += f":{port}" if shown else ""
    line += f";branch={branch}" if branch else ""
    server = world.param("core", "server_id", 0)
    marked = f";srvid={server}" if message is not None and message.notes.get("srvid") else ""
    if message is not None and message.proto in _RELIABLE:
        line += f";i={_reverse_hex(message.connection)}"
    local = message is not None and message.add_local_rport
    if local or world.param("core", "local_rport", 0):
        line += ";rport"
    return line + (marked if server else "") + "\r\n"


def _reverse_hex(number: int) -> str:
    return f"{number:x}"[::-1]


def _update_via(world: World, sent: SipMessage, way: Way, branch: str, path: str) -> None:
    top = top_via(sent)
    header = sent.first("via")
    if top is None or header is None:
        return
    inserted = via_header(world, sent, way, branch)
    route = sent.first("route")
    if path and route is None:
        inserted += f"Route: {path}\r\n"
    sent.insert(header.start, inserted, "via")
    _received_and_rport(world, sent, top)
    if path and route is not None:
        sent.insert(route.start, f"Route: {path}\r\n", "route")


def _received_and_rport(world: World, sent: SipMessage, top: Via) -> None:
    at = _params_start(sent.buf, top)
    received = f";received={sent.source.host}" if wants_received(sent, top) else ""
    rport = f";rport={sent.source.port}" if wants_rport(world, sent) else ""
    old_received, old_rport = top.param("received"), top.param("rport")
    if received and old_received is not None:
        span = (old_received.start - 1, old_received.end - old_received.start + 1)
        text = received if old_rport is not None or not rport else rport + received
        sent.replace(*span, text, "via")
    elif received:
        sent.insert(at, received if old_rport is not None else rport + received, "via")
    elif rport:
        sent.insert(at, rport, "via")
    if rport and old_rport is not None:
        sent.replace(old_rport.start - 1, old_rport.end - old_rport.start + 1, rport, "via")


def _params_start(buf: str, top: Via) -> int:
    if not top.params:
        return top.sent_by_end
    return buf.index(";", top.sent_by_end)


def _copied(world: World, message: SipMessage, code: int, to_tag: str) -> list[str]:
    lines = []
    first_via = message.first("via")
    for header in message.headers:
        if header.key == "via":
            text = message.buf[header.start : header.end].rstrip("\r\n")
            if header is first_via:
                text = _answered_via(world, message, text, header.start)
            lines.append(text + "\r\n")
        elif header.key == "to" and to_tag:
            lines.append(_tagged(message, to_tag))
        elif header.key in ("to", "from", "call-id", "cseq") or (
            header.key == "record-route" and 180 <= code < 300
        ):
            lines.append(message.buf[header.start : header.end])
    return lines


def _answered_via(world: World, message: SipMessage, text: str, start: int) -> str:
    top = top_via(message)
    assert top is not None  # noqa: S101
    rport = f";rport={message.source.port}" if wants_rport(world, message) else ""
    received = f";received={message.source.host}" if wants_received(message, top) else ""
    old, branch = top.param("rport"), top.param("branch")
    place = len(text)
    if rport and old is not None:
        place = old.start - start - 1
        text = text[:place] + text[old.end - start :]
    elif branch is not None and world.version != "5.6":
        place = branch.end - start
    if world.version != "5.6":
        return text[:place] + rport + received + text[place:]
    return text[:place] + rport + text[place:] + received


def _tagged(message: SipMessage, tag: str) -> str:
    header = message.first("to")
    assert header is not None  # noqa: S101
    value = message.once(nameaddr.parse_lone, header)
    old = value.param("tag")
    if old is not None and old.value:
        place = old.end - len(old.value)
        return message.buf[header.start : place] + tag + message.buf[old.end : header.end]
    end = header.body_start + len(header.body)
    return f"{message.buf[header.start : end]};tag={tag}{message.buf[end : header.end]}"


def _adjust_content_length(sent: SipMessage, proto: str) -> None:
    """Put the length of the body as edited where it is wrong; udp without a header stays so."""
    if sent.unreadable():
        return
    begin = sent.headers_end + (2 if sent.buf[sent.headers_end :].startswith("\r\n") else 1)
    in_body = [lump for lump in sent.lumps if lump.offset >= begin]
    counted = sent
    if not all(lump.counted for lump in in_body):
        counted = copy(sent)
        counted.lumps = [lump for lump in sent.lumps if lump.counted]
    length = len(counted.applied(begin))
    changed = any(lump.counted for lump in in_body)
    header = sent.first("content-length")
    if header is None:
        if proto in _RELIABLE or (changed and proto != "udp"):
            sent.insert(sent.headers_end, f"Content-Length: {length}\r\n", "content-length")
        return
    if not changed and proto not in _RELIABLE:
        return
    digits = header.body.strip()
    if changed or not digits.isdigit() or int(digits) != length:
        sent.lumps.append(Lump(header.body_start, len(header.body), str(length), "content-length"))


def same_way(message: SipMessage, way: Way) -> bool:
    """Whether a message leaves by the socket and protocol it came by (one Record-Route serves)."""
    there: Socket = way.socket
    here = message.socket
    return (here.port, here.proto, message.proto, here.host) == (
        there.port, there.proto, way.proto, there.host,
    )  # fmt: skip
