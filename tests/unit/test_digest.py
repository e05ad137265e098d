"""Credentials that we read ourselves: where a request has those of several realms or schemes."""

from __future__ import annotations

import pytest

from kemi_routes import digest

PHONE = 'username="1111",realm="example.test", nonce="abc=" ,uri="sip:example.test",response="0a"'
READ = ("1111", "example.test", "abc=", "sip:example.test", "0a")


@pytest.mark.parametrize(
    ("header", "algorithm"),
    [
        (f'digest {PHONE}, algorithm=md5, nc=00000001,cnonce="",qop=auth', "md5"),
        (f'DIGEST,{PHONE}, Algorithm="MD5"', "MD5"),
        (f"Digest {PHONE}".replace('"1111"', "1111"), ""),
    ],
)
def test_what_a_phone_writes_is_read(header: str, algorithm: str) -> None:
    assert digest.read(header) == (*READ, algorithm)


def test_what_it_does_not_say_is_empty() -> None:
    assert digest.read("Digest realm=x") == ("", "x", "", "", "", "")


@pytest.mark.parametrize(
    "header",
    [
        f"Digest {PHONE} x, nc=1",
        f'Digest {PHONE}, a="b"c',
        f'Digest {PHONE}, a "b"',
        f'Digest {PHONE}, a="\0"',
        f'Digest {PHONE}, a="',
        f"Digest {PHONE}, username=1111",
        f"Digest {PHONE}, realXXXXe=x",
    ],
)
def test_what_could_be_read_in_two_ways_is_malformed(header: str) -> None:
    with pytest.raises(digest.Malformed):
        digest.read(header)


@pytest.mark.parametrize(
    "header", [f"Basic {PHONE}", f"Digest\u00a0{PHONE}", f"Dige\u017ft {PHONE}", ""]
)
def test_another_scheme_is_passed_over(header: str) -> None:
    assert digest.read(header) is None
