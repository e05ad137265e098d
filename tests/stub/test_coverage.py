"""docs/coverage.md."""

from __future__ import annotations

from pathlib import Path

from ksr_stub import coverage, signatures
from ksr_stub.registry import MODELS, load_models

PAGE = Path(__file__).resolve().parents[2] / "docs/coverage.md"


def test_the_page_is_up_to_date() -> None:
    """The committed page is what the models give now: `python -m ksr_stub.coverage` makes it."""
    assert PAGE.read_text() == coverage.page()


def test_every_model_is_of_a_function_that_exists() -> None:
    """A model of a name that no version has is a misspelt one."""
    load_models()
    known = {key for version in signatures.VERSIONS for key in signatures.load(version)}
    assert sorted(set(MODELS) - known) == []


def test_every_model_takes_what_the_function_takes() -> None:
    """A model has the parameters of the function, after the World."""
    load_models()
    wrong = []
    for version in signatures.VERSIONS:
        for key, signature in signatures.load(version).items():
            code = getattr(MODELS.get(key), "__code__", None)
            if code is None or code.co_flags & 0x04:
                continue
            defaults = len(getattr(MODELS[key], "__defaults__", None) or ())
            given = len(signature.parameters) + 1
            if not code.co_argcount - defaults <= given <= code.co_argcount:
                wrong.append(str(signature))
    assert wrong == []
