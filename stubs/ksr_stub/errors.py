"""What the stub says when a route does something that would go wrong on a real Kamailio."""

from __future__ import annotations


class StubError(BaseException):
    """A fault of the code under test.

    It is no `Exception`: a route that catches all exceptions, as a good route does, must not hide
    it from the test.
    """


class UnknownFunction(StubError):
    """There is no such KSR function or namespace in this version."""


class UnknownVariable(StubError):
    """There is no such pseudo-variable, or it can't be written."""


class WrongArguments(StubError):
    """Too few, too many, or of another type than the function takes."""


class ReturnCodeAsTruth(StubError):
    """A return code of Kamailio is used as a truth value: -1, the failure, counts as true."""


class MissingCallback(StubError):
    """A callback that Kamailio calls by name does not exist."""


class WrongReturn(StubError):
    """A callback returned something that is no int."""


class HeldTransaction(StubError):
    """A reply is dropped after tm was asked for its transaction, which tm then still has."""


class Unpredictable(StubError):
    """What the real Kamailio does depends on memory that it never filled: nobody can test it."""


class NotModelled(StubError):
    """The function exists, but the stub has no model of it, and the test gave no answer."""
