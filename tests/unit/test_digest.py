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
PHONE = 'username="1111",realm="example.test", nonce="abc=" ,uri="sip:example.test", nc=00000001'


@given(st.one_of(st.lists(PIECE).map("".join), st.lists(FIELD).map(", ".join)))
@example(PHONE)
@example('username="1111",USERNAME="2222"')
@example('username="1111",')
@example(" é=username")
def test_the_quick_way_reads_what_the_careful_one_reads_or_nothing(text: str) -> None:
    """In particular it reads nothing where the careful one refuses. Blanks go with the scheme."""
    rest = text.lstrip()
    quick = digest._read_plain(rest)
    if quick is not None:
        assert quick == digest._read_any(rest, 0)


def test_what_a_usual_phone_writes_is_read_the_quick_way() -> None:
    assert digest._read_plain(PHONE) == {
        "username": "1111",
        "realm": "example.test",
        "nonce": "abc=",
        "uri": "sip:example.test",
        "nc": "00000001",
    }


@pytest.mark.parametrize("text", ['username="1111" x, nc=1', 'a="b"c', "a=b=c", 'a "b"'])
def test_what_is_unusual_is_left_to_the_careful_way(text: str) -> None:
    assert digest._read_plain(text) is None
