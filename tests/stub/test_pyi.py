"""The type stubs of KSR, as they are made from the signatures."""

from __future__ import annotations

from ksr_stub import pyi


def test_the_committed_stubs_are_those_that_the_data_give() -> None:
    """`python -m ksr_stub.pyi` was run after the last change of the data."""
    assert {name: (pyi.HOME / name).read_text() for name in pyi.files()} == pyi.files()
    assert {path.name for path in pyi.HOME.glob("*.pyi")} == {*pyi.files(), "_types.pyi"}


def test_a_function_of_some_versions_only_says_of_which() -> None:
    assert "def getl(pv: str, /) -> int | None: ...  # 6.0+\n" in pyi.files()["pv.pyi"]
    assert "# 5.6 only\n" in pyi.files()["app_sqlang.pyi"]
