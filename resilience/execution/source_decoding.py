"""Decoding of source files."""

from __future__ import annotations

import io
import tokenize

__all__ = ["source_of"]


def source_of(data: bytes) -> str:
    r"""Return the text of a source file as Python reads it: UTF-8, or the encoding its first two lines name.

    A byte that is no UTF-8 becomes a lone surrogate, of which every executor makes a syntax error with its place.
    Raises SyntaxError for an unknown encoding.

    >>> source_of(b"# coding: latin-1\nx = '\xe9'"), source_of(b"\xef\xbb\xbfx = 1")
    ("# coding: latin-1\nx = 'é'", 'x = 1')
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError as error:
        if not str(error).startswith("unknown encoding"):  # the first lines are no UTF-8
            encoding = "utf-8"
        else:
            raise SyntaxError(str(error), ("<string>", 1, 1, _first_line(data))) from None
    strict = encoding.startswith("utf-8")
    return data.decode(encoding, "surrogateescape" if strict else "replace")


def _first_line(data: bytes) -> str:
    return data.partition(b"\n")[0][:200].decode("ascii", "replace")
