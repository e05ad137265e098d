"""The fields of credentials are the same, however they are read."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kemi_routes import digest

SIGNS = ('"', "=", ",", " ", "\t", "\r\n ", ";", "\\", "é", "-", "_", "'")
WORDS = ("username", "realm", "nonce", "NC", "qop", "00000001", "MD5-sess", '"a=b,c"', '"x"')
PIECE = st.sampled_from((*SIGNS, *WORDS))
FIELD = st.builds(
    "{}={}".format,
    st.sampled_from(["username", "realm", "nonce", "uri", "Nc", "x-y", "qop"]),
    st.sampled_from(['"1111"', '""', '"a,b"', '"a=b"', "auth", "auth-int", "0a", '"', "", "é"]),
)
PHONE = 'username="1111",realm="example.test", nonce="abc=" ,uri="sip:example.test",response="0a"'


def careful(header: str) -> digest.Credentials | None:
    try:
        return digest._read_any(header)
    except digest.Malformed:
        return None


@given(st.one_of(st.lists(PIECE).map("".join), st.lists(FIELD).map(", ".join)), st.booleans())
@example(f"{PHONE}, nc=00000001", False)
@example('USERNAME="2222"', True)
@example("", True)
@example(" \xe9=username", True)
@example('algorithm="MD5"', True)
@example('opaque="', True)
def test_the_quick_way_reads_what_the_careful_one_reads_or_nothing(text: str, whole: bool) -> None:
    """In particular it reads nothing where the careful one refuses."""
    header = f"Digest {PHONE}, {text}" if whole else f"Digest {text}"
    quick = digest._read_plain(header)
    if quick is not None:
        assert quick == careful(header)


def test_what_a_usual_phone_writes_is_read_the_quick_way() -> None:
    read = digest._read_plain(f'digest {PHONE}, algorithm=md5, nc=00000001,cnonce="",qop=auth')
    assert read == ("1111", "example.test", "abc=", "sip:example.test", "0a", "MD5")


@pytest.mark.parametrize(
    "text",
    [
        f"Digest {PHONE} x, nc=1",
        f'Digest {PHONE}, a="b"c',
        f'Digest {PHONE}, a "b"',
        f'Digest {PHONE}, a="\t"',
        f'Digest {PHONE}, a="',
        f'Digest {PHONE}, algorithm="MD5"',
        f"Digest {PHONE}, username=1111",
        f"Digest {PHONE}".replace('"1111"', "1111"),
        f"Digest {PHONE}".replace('"1111"', "11"),
        "Digest " + PHONE.partition(",")[2],
        f"Basic {PHONE}",
    ],
)
def test_what_is_unusual_is_left_to_the_careful_way(text: str) -> None:
    assert digest._read_plain(text) is None
