"""From, To and the asserted identities: `$fu`, `$tU`, `$ft`, `$ai`, `$pu` (modules/pv/pv_core.c).

Writing one edits what is sent; what is read stays as it came.
"""

from __future__ import annotations

from collections.abc import Callable

from ksr_stub import nameaddr, tobody
from ksr_stub import uri as uris
from ksr_stub.message import ParseError
from ksr_stub.pv.spec import Index
from ksr_stub.pv.table import Setter, provide
from ksr_stub.pv.values import Value, no_value
from ksr_stub.tobody import ToBody
from ksr_stub.uri import Uri
from ksr_stub.world import World


def _uri_part(letter: str, uri: Uri) -> Value:
    if letter == "Ul":
        return len(uri.user)
    return (uri.user if letter == "U" else uri.host) or None


def _attribute(world: World, body: ToBody, letter: str) -> Value:
    if letter == "u":
        return body.uri
    if letter == "t":
        return body.tag or None
    if letter == "n":
        return body.display or None
    uri = uris.parse(body.uri)
    if uri is None:
        world.say(-1, f"pv: cannot parse the URI <{body.uri}>")
        return None
    return _uri_part(letter, uri)


def _getter(key: str, letter: str) -> Callable[[World, object, Index], Value]:
    def getter(world: World, inner: object, index: Index) -> Value:
        body = tobody.of(world.msg, key)
        if body is None:
            world.say(-1, f"pv: cannot parse the {key} header")
            return None
        return _attribute(world, body, letter)

    return getter


def _setter(key: str, letter: str) -> Setter:
    def setter(world: World, inner: object, index: Index, value: Value) -> bool:
        body = tobody.of(world.msg, key)
        uri = None if body is None else uris.parse(body.uri)
        if body is None or uri is None:
            world.say(-1, f"pv: cannot parse the {key} header")
            return False
        if isinstance(value, int):
            world.say(-1, f"pv: attempt to assign non-str value to the {key} header")
            return False
        _edit(world, body, uri, letter, None if value is None else str(value))
        return True

    return setter


def _edit(world: World, body: ToBody, uri: Uri, letter: str, value: str | None) -> None:
    message = world.msg
    if letter in ("u", "d") and value is None:
        world.say(0, "pv: From and To URI and domain cannot be deleted")
        return
    at, length, joint = _place(body, uri, letter)
    if not length and letter in ("U", "n"):
        if value is not None:
            message.insert(at, value + joint)
        return
    if value is None:
        length += message.buf[at + length : at + length + 1] == joint
    message.replace(at, length, value or "")


def _place(body: ToBody, uri: Uri, letter: str) -> tuple[int, int, str]:
    """Offset and length of a part, and the byte that joins it to what follows."""
    if letter == "u":
        return body.uri_start, len(body.uri), ""
    if letter == "n":
        return body.display_start, len(body.display), " "
    user_at = body.uri_start + body.uri.index(":") + 1
    secret = len(uri.user) + (1 + len(uri.password) if uri.password else 0)
    if letter == "U":
        return user_at, len(uri.user), "@"
    return user_at + (secret + 1 if uri.user else 0), len(uri.host), ""


for _key, _prefix, _long in (("from", "f", "from"), ("to", "t", "to")):
    for _letter in ("u", "U", "d", "n"):
        provide(f"{_prefix}{_letter}", _getter(_key, _letter), _setter(_key, _letter))
    provide(f"{_prefix}t", _getter(_key, "t"))
    provide(f"{_prefix}Ul", _getter(_key, "Ul"))
    provide(_long, _getter(_key, "u"), _setter(_key, "u"))
    provide(f"{_long}.user", _getter(_key, "U"), _setter(_key, "U"))
    provide(f"{_long}.domain", _getter(_key, "d"), _setter(_key, "d"))


def _identity(key: str, letter: str) -> Callable[[World, object, Index], Value]:
    def getter(world: World, inner: object, index: Index) -> Value:
        try:
            found = nameaddr.all_of(world.msg, key)
        except ParseError:
            return None
        if found and world.msg.unreadable():
            # looking for more of them fails, and the next time nobody looks again
            before = world.msg.notes.get(key)
            world.msg.notes[key] = found
            if before is None:
                return None
        number, every = index.resolve(world)
        if found and every:
            raise no_value(world, "unable to return 'all' identities")
        if not number < len(found):
            return None
        one = found[max(number, 0)]
        if letter in "un":
            return one.uri if letter == "u" else one.display or None
        uri = uris.parse(one.uri)
        return None if uri is None else _uri_part(letter, uri)

    return getter


provide("ai", _identity("p-asserted-identity", "u"), indexed=True)
for _letter in ("u", "n", "U", "d"):
    provide(f"p{_letter}", _identity("p-preferred-identity", _letter), indexed=True)


def _diversion(name: str) -> Callable[[World, object, Index], Value]:
    def getter(world: World, inner: object, index: Index) -> Value:
        try:
            found = nameaddr.all_of(world.msg, "diversion")
        except ParseError:
            return None
        if not found:
            return None
        return found[0].get(name) if name else found[0].uri

    return getter


for _suffix, _name in (("", ""), ("r", "reason"), ("p", "privacy"), ("c", "counter")):
    provide(f"di{_suffix}", _diversion(_name))
