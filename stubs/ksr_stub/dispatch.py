"""A KSR call, from the route's line to the model and back, as app_python3 does it."""

from __future__ import annotations

import difflib
import functools
import sys
from collections.abc import Callable
from typing import NoReturn

from attrs import define, field

from ksr_stub import signatures
from ksr_stub.codes import ReturnCode
from ksr_stub.errors import NotModelled, UnknownFunction, WrongArguments
from ksr_stub.registry import MODELS, load_models
from ksr_stub.signatures import Signature
from ksr_stub.text import from_python, to_python
from ksr_stub.world import Call, World, current, when_used

_INT_END = 2**31
_TYPES: dict[str, type] = {"STR": str, "INT": int, "LONG": int}


@define(eq=False)
class Function:
    """One KSR function, ready to be called by a route."""

    signature: Signature
    _types: tuple[type, ...] = field(init=False)
    _model: Callable[..., object] | None = field(init=False)

    @_types.default
    def _types_of_parameters(self) -> tuple[type, ...]:
        return tuple(_TYPES[parameter.kind] for parameter in self.signature.parameters)

    @_model.default
    def _model_of_function(self) -> Callable[..., object] | None:
        return MODELS.get(self.signature.key)

    def __call__(self, *arguments: object, **keywords: object) -> object:
        world = current()
        signature = self.signature
        if keywords:
            raise TypeError(f"{signature.full_name}() takes no keyword arguments")
        given = self._read(arguments)
        if given is None:
            refused = self._refuse(world, arguments)
            if refused is not None:
                return refused
            given = [from_python(a) if isinstance(a, str) else a for a in arguments]
            del given[len(self._types) :]
        model = self._run if world.answers or self._model is None else self._model
        result = self._result(world, model(world, *given))
        world.calls.append(Call(signature.full_name, arguments, result, world.route))
        # the call has done its work when Python sees the exception that a callback left
        if world.poisoned is not None:
            raise_poison(world)
        return result

    def _read(self, arguments: tuple[object, ...]) -> list[object] | None:
        """What the model gets; None: somebody has to look at the arguments more closely."""
        if tuple(map(type, arguments)) != self._types:
            return None
        given: list[object] = []
        for argument in arguments:
            if isinstance(argument, str):
                if "\0" in argument:
                    return None
                given.append(argument if argument.isascii() else from_python(argument))
            elif isinstance(argument, int) and -_INT_END <= argument < _INT_END:
                given.append(argument)
            else:
                return None
        return given

    def _run(self, world: World, *arguments: object) -> object:
        """The model, or what the test gave in its place."""
        if self.signature.key in world.answers:
            answer = world.answers[self.signature.key]
            return answer(*arguments) if callable(answer) else answer
        if self._model is None:
            raise world.fault(NotModelled(self._not_modelled(world.version)))
        return self._model(world, *arguments)

    def _not_modelled(self, version: str) -> str:
        namespace, name = self.signature.namespace, self.signature.name
        return (
            f"{self.signature.full_name} exists in Kamailio {version} but has no model: add one to"
            f" ksr_stub/models/{namespace or 'core'}.py, or let the test answer with"
            f" ksr.answer({f'{namespace}.{name}'.lstrip('.')!r}, ...)"
        )

    def _result(self, world: World, raw: object) -> object:
        kind = self.signature.returns
        if kind == "INT":
            code = int(raw)  # type: ignore[call-overload]
            strict = world.strict and self.signature.gives_code
            return _return_code(code, self.signature.full_name) if strict else code
        if kind == "BOOL":
            return bool(raw)
        if kind == "NONE":
            return 0
        return to_python(raw) if isinstance(raw, str) else raw

    def _refuse(self, world: World, arguments: tuple[object, ...]) -> object | None:
        """What a wrong call gives: an exception, or at HEAD a False. None: the call is right."""
        parameters = self.signature.parameters
        fault: Exception | None = None
        if parameters and len(arguments) != len(parameters):
            fault = TypeError(f"takes {len(parameters)} argument(s), {len(arguments)} given")
        elif not parameters and arguments and world.strict:
            fault = TypeError(f"takes no arguments, {len(arguments)} given")
        else:
            for parameter, argument in zip(parameters, arguments, strict=False):
                fault = _mismatch(parameter.kind, argument)
                if fault is not None:
                    break
        return None if fault is None else self._refused(world, fault, arguments)

    def _refused(
        self, world: World, fault: Exception, arguments: tuple[object, ...]
    ) -> object | None:
        newer = world.version != "5.6"
        too_many = len(arguments) > len(self.signature.parameters)
        if world.strict:
            real = "raises SystemError there"
            if newer:
                real = "returns False there" if isinstance(fault, TypeError) else "takes it"
            raise world.fault(
                WrongArguments(f"{self.signature} {fault}; a real Kamailio {world.version} {real}")
            )
        world.say(-1, f"{self.signature.full_name}: {fault}")
        if newer:
            # since 6.0 only the type matters: a NUL or a large int goes to the function
            return None if too_many or not isinstance(fault, TypeError) else False
        name = f"{self.signature.namespace}.{self.signature.name}".lstrip(".")
        raise SystemError(f"{name} returned a result with an exception set") from fault


class Namespace:
    """`KSR.module` of one Kamailio version; a function that was asked for becomes its attribute."""

    def __init__(self, version: str, name: str) -> None:
        self._version, self._name = version, name

    def __getattr__(self, name: str) -> Function:
        found = _function(self._version, self._name, name)
        if found is None:
            return function(self._name, name)
        setattr(self, name, found)
        return found


def function(namespace: str, name: str) -> Function:
    """A KSR function of the current World's version.

    Raises:
        UnknownFunction: strict mode; AttributeError as the real one otherwise.
    """
    world = current()
    found = _function(world.version, namespace, name)
    if found is None:
        _unknown(world, namespace, name)
    return found


def attribute(name: str) -> object:
    """What `KSR.name` is: a namespace, a core function or an error.

    It becomes an attribute of KSR until another World is used.
    """
    if name.startswith("__"):
        raise AttributeError(name)
    world = current()
    found = _namespace(world.version, name) or function("", name)
    if isinstance(found, Namespace):
        _check_loaded(world, name)
    setattr(sys.modules["KSR"], name, found)
    _attributes.append(name)
    return found


def _check_loaded(world: World, namespace: str) -> None:
    """A namespace is there if its module is loaded, or if the test answers for it."""
    module = signatures.missing_module(namespace, world.modules)
    if not module or any(answered == namespace for answered, _ in world.answers):
        return
    if not world.strict:
        raise AttributeError(f"module 'KSR' has no attribute {namespace!r}")
    raise world.fault(
        UnknownFunction(
            f'kamailio.cfg has no loadmodule "{module}.so": KSR.{namespace} raises AttributeError'
            " there"
        )
    )


_attributes: list[str] = []


@when_used
def _forget_attributes() -> None:
    while _attributes:
        vars(sys.modules["KSR"]).pop(_attributes.pop(), None)


@functools.cache
def _function(version: str, namespace: str, name: str) -> Function | None:
    load_models()
    signature = signatures.load(version).get((namespace, name))
    return None if signature is None else Function(signature)


_return_code = functools.lru_cache(maxsize=4096)(ReturnCode)


@functools.cache
def _namespace(version: str, name: str) -> Namespace | None:
    return Namespace(version, name) if name in signatures.namespaces(version) else None


def raise_poison(world: World) -> None:
    """5.6: a callback without an int result left an exception that the next KSR call trips over."""
    if world.poisoned is not None:
        cause, world.poisoned = world.poisoned, None
        raise SystemError("a KSR function returned a result with an exception set") from cause


def _mismatch(kind: str, argument: object) -> Exception | None:
    if kind == "STR":
        if not isinstance(argument, str):
            return TypeError(f"wants a str, got {argument!r}")
        return ValueError("embedded null character") if "\0" in argument else None
    if not isinstance(argument, int):
        return TypeError(f"wants an int, got {argument!r}")
    bits = 64 if kind == "LONG" else 32
    if -(2 ** (bits - 1)) <= argument < 2 ** (bits - 1):
        return None
    return OverflowError(f"got {argument}, which is no {bits}-bit int")


# what other KEMI languages have
_INSTEAD = {
    "KSR.x": ": return from the callback instead; sys.exit() works, too, and is slower",
    "KSR.drop": ": call KSR.set_drop() and return instead",
}


def _unknown(world: World, namespace: str, name: str) -> NoReturn:
    full = ".".join(part for part in ("KSR", namespace, name) if part)
    if not world.strict:
        raise AttributeError(
            f"module {'KSR' + ('.' + namespace if namespace else '')!r} has no attribute {name!r}"
        )
    known = signatures.load(world.version)
    near = difflib.get_close_matches(
        name, {f for ns, f in known if ns == namespace} or {ns for ns, _ in known}
    )
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    hint = _INSTEAD.get(full, hint)
    raise world.fault(
        UnknownFunction(
            f"Kamailio {world.version} has no {full}: it would raise AttributeError{hint}"
        )
    )
