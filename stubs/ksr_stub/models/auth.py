"""auth: challenges and the check of digest credentials (Kamailio module auth, RFC 2617)."""

from __future__ import annotations

from ksr_stub import credentials, nameaddr, nonces, pv, uri
from ksr_stub.credentials import Credentials
from ksr_stub.errors import Unpredictable
from ksr_stub.message import Header, ParseError, SipMessage
from ksr_stub.registry import MODELS, model
from ksr_stub.uri import Uri
from ksr_stub.world import World

OK, ERROR, WRONG_PASSWORD, UNKNOWN_USER = 1, -1, -2, -3
STALE, NO_CREDENTIALS, NONCE_REUSED, USER_MISMATCH = -4, -5, -6, -8

WWW, PROXY = "authorization", "proxy-authorization"
QOP_AUTH, QOP_AUTH_INT, MARK_STALE = 1, 2, 16
HA1_GIVEN, CHECK_USER = 1, 1
_NONCE_CODES = {nonces.STALE: STALE, nonces.REUSED: NONCE_REUSED, nonces.BROKEN: ERROR}
_NEVER_CHALLENGED = ("ACK", "CANCEL", "PRACK")


@model("auth")
def auth_challenge(world: World, realm: str, flags: int) -> int:
    """Send 401 to a REGISTER, 407 to anything else.

    Returns:
        1, -3 where no reply can be sent.
    """
    return _challenge(world, realm, flags, WWW if world.msg.method == "REGISTER" else PROXY)


@model("auth")
def www_challenge(world: World, realm: str, flags: int) -> int:
    """Send 401."""
    return _challenge(world, realm, flags, WWW)


@model("auth")
def proxy_challenge(world: World, realm: str, flags: int) -> int:
    """Send 407."""
    return _challenge(world, realm, flags, PROXY)


@model("auth")
def auth_get_www_authenticate(world: World, realm: str, flags: int, destination: str) -> int:
    """Write the challenge into a variable, and send nothing."""
    qop = _qop(flags & QOP_AUTH, flags & QOP_AUTH_INT)
    text = challenge(world, None, realm, WWW, qop, stale=bool(flags & MARK_STALE))
    return 1 if pv.put(world, destination, text) else -1


@model("auth")
def auth_algorithm(world: World, algorithm: str) -> int:
    """Use another algorithm from now on: `MD5` or `SHA-256`."""
    if algorithm not in credentials.HASHES:
        return -1
    world.params["auth", "algorithm"] = algorithm
    return 1


@model("auth")
def pv_auth_check(world: World, realm: str, password: str, flags: int, checks: int) -> int:
    """Check the credentials against a password, or an HA1 with flag 1."""
    message = world.msg
    key = WWW if message.method == "REGISTER" else PROXY
    code = _pv_authenticate(world, realm, password, flags, key, message.method)
    if code != OK or not checks & CHECK_USER:
        return code
    if message.method in _NEVER_CHALLENGED and not message.read_to_end:
        return OK
    header = message.first(PROXY) or message.first(WWW)
    if header is None:
        return OK if message.method in _NEVER_CHALLENGED else ERROR
    if message.method in _NEVER_CHALLENGED:
        raise world.fault(
            Unpredictable(
                f"5.6.3 crashes in pv_auth_check with checks=1 on {message.method} with"
                " credentials that were read and not parsed: ask of other methods only"
            )
        )
    found = _parsed(header)
    user = "" if found is None else found.user
    return user_matches(message, user, world.param("auth", "use_domain", 0) != 0)


@model("auth")
def pv_www_authenticate(world: World, realm: str, password: str, flags: int) -> int:
    """Check Authorization against a password."""
    return _pv_authenticate(world, realm, password, flags, WWW, world.msg.method)


@model("auth")
def pv_www_authenticate_method(
    world: World, realm: str, password: str, flags: int, method: str
) -> int:
    """The same, as if the request had another method."""
    return _pv_authenticate(world, realm, password, flags, WWW, method)


@model("auth")
def pv_proxy_authenticate(world: World, realm: str, password: str, flags: int) -> int:
    """Check Proxy-Authorization against a password."""
    return _pv_authenticate(world, realm, password, flags, PROXY, world.msg.method)


@model("auth")
def has_credentials(world: World, realm: str) -> int:
    """1 if there are credentials for the realm in either header."""
    for key in (PROXY, WWW):
        try:
            if credentials.find(world.msg, key, realm) is not None:
                return 1
        except ParseError:
            continue
    return -1


@model("auth")
def consume_credentials(world: World) -> int:
    """Take the header that was checked out of the request; -1 where none was."""
    message = world.msg
    if message.method in _NEVER_CHALLENGED:
        return -1
    checked = message.notes.get(f"auth.{WWW}") or message.notes.get(f"auth.{PROXY}")
    if not isinstance(checked, Header):
        world.say(-1, "auth: No authorized credentials found (error in scripts)")
        return -1
    message.delete(checked.start, checked.end - checked.start)
    return 1


def algorithm(world: World) -> str:
    """The hash in use."""
    return world.param("auth", "algorithm", "") or "MD5"


def pre_auth(world: World, realm: str, key: str) -> Credentials | int:
    """Find credentials, and look at everything but the password.

    Returns:
        The credentials, or the return code that ends the check.
    """
    message = world.msg
    if message.method in _NEVER_CHALLENGED:
        return OK
    try:
        found = credentials.find(message, key, without_prefix(world, realm))
    except ParseError as error:
        world.say(-1, f"auth: error while parsing credentials: {error}")
        return ERROR
    if found is None:
        return NO_CREDENTIALS
    message.notes[f"auth.{key}"] = found.header
    if not found.complete:
        world.say(-1, "auth: Credentials are not filled properly")
        return ERROR
    outcome = nonces.check(world, message, found.get("nonce"), found.fields.get("nc"))
    return _NONCE_CODES.get(outcome, found)


def check_response(world: World, found: Credentials, ha1: str, method: str) -> int:
    """Compare the response with what HA1 gives: 1, -2, or -1 for one of another length."""
    hash_name = algorithm(world)
    if len(found.get("response")) != len(credentials.hashed("", hash_name)):
        return ERROR
    if not found.answers(ha1, method, hash_name):
        return WRONG_PASSWORD
    if world.param("auth", "add_authinfo_hdr", 0):
        _add_authentication_info(world, found, ha1)
    return OK


def user_matches(
    message: SipMessage, user: str, with_domain: bool, skip_forwarded: bool = False
) -> int:
    """Whether the digest user is the one in From, and To of a REGISTER or PUBLISH.

    Returns:
        1, -8, or -1 where From or To can't be parsed.
    """
    sender, to = _address(message, "from"), _address(message, "to")
    own = message.method in ("REGISTER", "PUBLISH")
    if sender is None or (own and to is None):
        return ERROR
    compared = to if own and to is not None else sender
    forwarded = message.method in ("INVITE", "BYE", "PRACK", "UPDATE", "MESSAGE")
    if user != compared.user and not (skip_forwarded and forwarded):
        return USER_MISMATCH
    if not own:
        return OK
    others = [to]
    if message.method == "PUBLISH":
        others.append(uri.parse(message.uri))
    for other in others:
        if other is None:
            return ERROR
        if other.user != sender.user or (with_domain and other.host != sender.host):
            return USER_MISMATCH
    return OK


def without_prefix(world: World, realm: str) -> str:
    """The realm without `realm_prefix`."""
    prefix = world.param("auth", "realm_prefix", "")
    return realm.removeprefix(prefix) if prefix else realm


def challenge(
    world: World, message: SipMessage | None, realm: str, key: str, qop: str, *, stale: bool
) -> str:
    """The header field with a challenge."""
    kind, default = ("www", "WWW-Authenticate") if key == WWW else ("proxy", "Proxy-Authenticate")
    name = world.param("auth", f"{kind}_challenge_header", default)
    nonce = nonces.make(world, message)
    text = f'{name}: Digest realm="{without_prefix(world, realm)}", nonce="{nonce}"'
    text += f', qop="{qop}"' if qop else ""
    text += ", stale=true" if stale else ""
    named = world.param("auth", "algorithm", "") or ("" if world.version == "5.6" else "MD5")
    return text + (f", algorithm={named}" if named else "") + "\r\n"


def _challenge(world: World, realm: str, flags: int, key: str) -> int:
    message = world.msg
    qop = _qop(flags & QOP_AUTH, flags & QOP_AUTH_INT)
    text = challenge(world, message, realm, key, qop, stale=bool(flags & MARK_STALE))
    message.reply_lumps.append(text)
    code, reason = (401, "Unauthorized") if key == WWW else (407, "Proxy Authentication Required")
    stateless = world.param("auth", "force_stateless_reply", 0)
    send = MODELS["sl", "sl_send_reply" if stateless else "send_reply"]
    return 1 if int(str(send(world, code, reason))) >= 0 else -3


def _qop(auth: int, auth_int: int) -> str:
    return "auth-int" if auth_int else ("auth" if auth else "")


def _pv_authenticate(
    world: World, realm: str, password: str, flags: int, key: str, method: str
) -> int:
    found = pre_auth(world, realm, key)
    if isinstance(found, int):
        code = found
    else:
        ha1 = password
        if not flags & HA1_GIVEN:
            plain = f"{found.get('username')}:{without_prefix(world, realm)}:{password}"
            ha1 = credentials.hashed(plain, algorithm(world))
        code = check_response(world, found, ha1, method)
    if code < 0 and flags & 14:
        text = challenge(world, world.msg, realm, key, _qop(flags & 4, flags & 8), stale=False)
        pv.put(world, "$avp(digest_challenge)", text)
    return code


def _add_authentication_info(world: World, found: Credentials, ha1: str) -> None:
    hash_name = algorithm(world)
    middle = found.get("nonce")
    if found.get("qop"):
        middle += f":{found.get('nc')}:{found.get('cnonce')}:{found.get('qop')}"
    a2 = credentials.hashed(f":{found.get('uri')}", hash_name)
    answer = credentials.hashed(f"{ha1}:{middle}:{a2}", hash_name)
    one_time = world.param("auth", "one_time_nonce", 0)
    following = nonces.make(world, world.msg) if one_time else found.get("nonce")
    world.msg.reply_lumps.append(
        f'Authentication-Info: nextnonce="{following}", qop={found.get("qop")},'
        f' rspauth="{answer}", cnonce="{found.get("cnonce")}", nc={found.get("nc")}\r\n'
    )


def _parsed(header: Header) -> Credentials | None:
    try:
        return credentials.parse(header)
    except ParseError:
        return None


def _address(message: SipMessage, key: str) -> Uri | None:
    found = nameaddr.of(message, key)
    return None if found is None else uri.parse(found.uri)
