"""Exceptions that do what they can to break what looks at them."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["ERRORS"]


class Hostile(Exception):
    def __str__(self):
        raise RuntimeError

    __repr__ = __str__

    @property
    def code(self):
        raise RuntimeError

    category = __notes__ = __cause__ = __context__ = __traceback__ = __suppress_context__ = code


class EndlessText(Exception):
    def __str__(self):  # noqa: PLE0307
        while True:
            pass


class EndlessCode(Exception):
    @property
    def code(self):
        while True:
            pass


class LyingAboutItsClass(Exception):
    __class__ = property(lambda self: 1 / 0)


class HostileAttribute(AttributeError):
    name = obj = property(lambda self: 1 / 0)


class HostileSyntax(SyntaxError):
    lineno = offset = text = filename = msg = property(lambda self: 1 / 0)


class HostileGroup(ExceptionGroup):
    @property
    def exceptions(self):
        raise RuntimeError


ERRORS: dict[str, Callable[[], BaseException]] = {
    "raises": Hostile,
    "endless text": EndlessText,
    "endless code": EndlessCode,
    "lying about its class": LyingAboutItsClass,
    "attribute": HostileAttribute,
    "syntax": HostileSyntax,
    "group": lambda: HostileGroup("group", [ValueError()]),
    "ten million characters": lambda: ValueError("x" * 10_000_000),
    "surrogates": lambda: ValueError("\ud800", b"\xff"),
    "hostile key": lambda: KeyError(Hostile()),
    "syntax of no place": lambda: SyntaxError("odd", ("file", "no number", -3, b"bytes")),
    "syntax far away": lambda: SyntaxError("odd", ("file", 10**6, 10**6, "x = 1")),
    "attribute of no name": lambda: AttributeError(name=3, obj=Hostile()),
    "import of no name": lambda: ImportError(name=7),
    "decoding": lambda: UnicodeDecodeError("utf-8", b"\xff" * 10**6, 0, 1, "bad"),
    "exit": lambda: SystemExit([1, 2]),
    "interrupt": KeyboardInterrupt,
    "operating system": lambda: OSError(2, "No such file", "/tmp/x"),
}
