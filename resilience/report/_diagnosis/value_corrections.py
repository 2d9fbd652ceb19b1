"""Corrections of values: dates, texts, JSON, patterns, keys and indexes that are almost what a call takes.

Each function recognises one kind of fault by the message, the program's syntax tree and the captured values, as those
of `corrections` do, and returns the `Correction`, or None. Captured values are texts, cut where they are long: a value
that may have been cut is not parsed. Where a correction needs a module that the program has not imported, it is written
as ``__import__("io")``, so that one line is enough, and the advice names the import.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator

from resilience.report._diagnosis.ast_utils import parsed_expression
from resilience.report._diagnosis.context import FailureContext
from resilience.report._diagnosis.correction import (
    Correction,
    here,
    kind_of,
    of_program,
    of_statement,
    on_line,
    replaced,
    source_of,
    texts_of,
)
from resilience.report._diagnosis.line_edits import correct_line, replace_marked, segment_of

__all__ = ["FAULTS", "other_loop_name", "with_argument"]

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FENCE = re.compile(r"\s*```(?P<label>\w*)\n.*```\s*", re.DOTALL)
_MAX_JSON = 300  # characters; a captured text is cut where it is longer
# What a date has after the part that a format describes, and how a format writes it.
_RESTS = (
    (r"Z|[+-]\d\d:?\d\d", "%z"),
    (r"[T ]\d\d:\d\d", "{}%H:%M"),
    (r"[T ]\d\d:\d\d:\d\d", "{}%H:%M:%S"),
    (r"[T ]\d\d:\d\d:\d\d\.\d+", "{}%H:%M:%S.%f"),
    (r"[T ]\d\d:\d\d:\d\d(?:Z|[+-]\d\d:?\d\d)", "{}%H:%M:%S%z"),
    (r":\d\d", ":%S"),
    (r"\.\d{1,6}", ".%f"),
)
_NAMED_LIKE_MODULE = frozenset({"copy", "glob", "pprint", "time", "datetime", "tqdm"})
_TAKE_BYTES = frozenset({"send", "sendall", "write", "update", "b64encode", "sha256", "md5", "sha1", "compress"})
_BINARY = re.compile(
    r"\.(?:png|jpe?g|gif|webp|ico|zip|gz|bz2|xz|pdf|xlsx?|pkl|pickle|npy|npz|parquet|db|mp[34])$", re.IGNORECASE
)


# Dates


def _rest_of_date(context: FailureContext) -> Correction | None:
    """Recognise a format that ends before the date does: ``strptime("2024-01-05T10:00:00Z", "%Y-%m-%dT%H:%M:%S")``.

    The message has what remains, ``Z``, from which the missing directive follows, ``%z``.
    """
    rest = context.message.partition("remains: ")[2].strip("'\"\n")
    written = next((new for pattern, new in _RESTS if re.fullmatch(pattern, rest)), None)
    for text, value in texts_of(context) if written is not None else ():
        if "%" in value and written is not None:
            source = source_of(context, text)
            new = f"{source[:-1]}{written.format(rest[:1])}{source[-1]}"
            return replaced(context, text, new, f"The text ends with {rest!r}: write the format as {new}.")
    return None


def _zone_of_text(context: FailureContext) -> Correction | None:
    """Recognise the name of a time zone where the zone itself belongs: ``replace(tzinfo="UTC")``.

    Of a zone such as "Europe/Berlin" the line is corrected only where the program imports ZoneInfo already.
    """
    for text, value in texts_of(context):
        if value.upper() == "UTC":
            is_imported = re.search(r"from datetime import .*\btimezone\b", context.source)
            new = "timezone.utc" if is_imported else '__import__("datetime").timezone.utc'
            return replaced(context, text, new, "A time zone is an object: timezone.utc, from datetime.")
        if re.fullmatch(r"[A-Z]\w+/\w+", value):
            is_imported = re.search(r"from zoneinfo import .*\bZoneInfo\b", context.source)
            new = f"ZoneInfo({source_of(context, text)})"
            advice = f"A time zone is an object: ZoneInfo({value!r}), from zoneinfo."
            return replaced(context, text, new, advice) if is_imported else here(None, advice)
    return None


def _other_class_of_datetime(context: FailureContext) -> Correction | None:
    """Recognise a class of the module datetime that is looked for in its class `datetime`.

    It happens after ``from datetime import datetime``, where ``datetime`` is the class.
    """
    name = context.hint("name")
    if name not in ("timedelta", "timezone", "date", "time", "tzinfo"):
        return None
    for node in of_statement(context, ast.Attribute):
        if node.attr == name and isinstance(node.value, ast.Name) and node.value.id == "datetime":
            advice = f"{name} belongs to the module: from datetime import datetime, {name}; then write {name}(...)."
            return replaced(context, node, name, advice)
    return None


# Texts


def _method_of_text(context: FailureContext) -> Correction | None:
    """Recognise a method of texts that is called on a path or a number: ``path.endswith(".csv")``.

    Names that other types have with another meaning, such as ``index``, are left out.
    """
    name = context.hint("name")
    if not hasattr(str, name) or name.startswith("_") or name in ("join", "format", "index", "count"):
        return None
    for node in of_statement(context, ast.Attribute):
        if node.attr == name:
            written = source_of(context, node.value)
            advice = f"{written} is no text: str({written}) is."
            if context.hint("owner").endswith("Path"):
                advice += " Or use what a path has: name, stem, suffix, parts, parent."
            return replaced(context, node.value, f"str({written})", advice)
    return None


def _number_in_format(context: FailureContext) -> Correction | None:
    """Recognise a number held as text in a format of numbers: ``f"{price:,.2f}"`` where price is '12.5'."""
    for place in of_statement(context, ast.FormattedValue):
        value = context.value_of(place.value.id) if isinstance(place.value, ast.Name) else None
        if place.format_spec is None or not isinstance(value, str) or not re.fullmatch(r"-?\d+(?:\.\d+)?", value):
            continue
        name = ast.unparse(place.value)
        advice = f"{name} is text: make a number of it with float({name})."
        line = re.sub(rf"\{{{name}:", f"{{float({name}):", context.raw_line, count=1)
        return here(correct_line(context, context.line or 0, line), advice)
    return None


def _summed_texts(context: FailureContext) -> Correction | None:
    """Recognise numbers held as texts in a list that is summed: ``sum(["1", "2"])``."""
    for call in of_statement(context, ast.Call):
        given = call.args[0] if len(call.args) == 1 and not call.keywords else None
        if ast.unparse(call.func) != "sum" or given is None:
            continue
        value = parsed_expression(str(context.value_of(given.id))) if isinstance(given, ast.Name) else given
        texts = [ast.literal_eval(each) for each in _constants(value)]
        if texts and all(isinstance(each, str) and re.fullmatch(r"-?\d+(?:\.\d+)?", each) for each in texts):
            function = "float" if any("." in each for each in texts) else "int"
            new = f"map({function}, {source_of(context, given)})"
            return replaced(context, given, new, f"The elements are texts: make numbers of them with {new}.")
    return None


def _constants(node: ast.expr | None) -> list[ast.expr]:
    elements = node.elts if isinstance(node, (ast.List, ast.Tuple, ast.Set)) else []
    return elements if all(isinstance(each, ast.Constant) for each in elements) else []


def _joined_by(context: FailureContext) -> Correction | None:
    """Recognise `join` of a list, where it belongs to the text between: ``names.join(", ")``."""
    for call in of_statement(context, ast.Call):
        match call:
            case ast.Call(func=ast.Attribute(value=values, attr="join"), args=[ast.Constant(value=str()) as separator]):
                new = f"{source_of(context, separator)}.join({source_of(context, values)})"
                return replaced(context, call, new, f"join() belongs to the text between: {new}.")
            case _:
                continue
    return None


def _function_of_module(context: FailureContext) -> Correction | None:
    """Recognise a module that is called in place of its function of the same name.

    After ``import copy`` it is ``copy.copy(values)`` and not ``copy(values)``.
    """
    for call in of_statement(context, ast.Call):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if name in _NAMED_LIKE_MODULE and re.search(rf"^\s*import .*\b{name}\b", context.source, re.MULTILINE):
            return replaced(
                context, call.func, f"{name}.{name}", f"{name} is the module: {name}.{name}() is its function."
            )
    return None


def _text_beside_bytes(context: FailureContext) -> Correction | None:
    """Recognise a text that is added to bytes: ``b"a" + "b"``. The right side is encoded, as UTF-8."""
    for node in of_statement(context, ast.BinOp):
        if kind_of(context, node.right) == "str" and isinstance(node.op, ast.Add):
            new = f"{source_of(context, node.right)}.encode()"
            return replaced(context, node.right, new, f"Make bytes of the text: {new}.")
    return None


def _opened_as_bytes(context: FailureContext) -> Correction | None:
    """Recognise a file that is opened for bytes, and read or written as text: ``csv.writer(open(path, "wb"))``.

    Files are followed by their names, also through what is made of them. Where the failing line writes by itself, the
    text may be meant to be encoded, which is `_encoded_argument`.
    """
    is_written_at_once = any(
        isinstance(each.func, ast.Attribute) and each.func.attr == "write" for each in of_statement(context, ast.Call)
    )
    used = {each.id for each in of_statement(context, ast.Name)}
    for assignment in of_program(context, ast.Assign):  # what is made of the file: csv.writer(file)
        if isinstance(assignment.targets[0], ast.Name) and assignment.targets[0].id in used:
            used |= {each.id for each in ast.walk(assignment.value) if isinstance(each, ast.Name)}
    for name, call in _opened(context):
        modes = [*call.args[1:2], *(each.value for each in call.keywords if each.arg == "mode")]
        for mode in modes if name in used and not is_written_at_once else ():
            if isinstance(mode, ast.Constant) and re.fullmatch(r"[rwax]b\+?|[rwax]\+b", str(mode.value)):
                new = source_of(context, mode).replace("b", "")
                return replaced(context, mode, new, f"Open the file for text: mode {new}; bytes have no texts in them.")
    return None


def _opened(context: FailureContext) -> Iterator[tuple[str, ast.Call]]:
    """Yield the names of the files that the program opens, and the calls of `open`."""
    pairs: list[tuple[ast.expr | None, ast.expr]] = []
    for block in of_program(context, ast.With):
        pairs += [(each.optional_vars, each.context_expr) for each in block.items]
    pairs += [(each.targets[0], each.value) for each in of_program(context, ast.Assign)]
    for target, value in pairs:
        if isinstance(target, ast.Name) and isinstance(value, ast.Call) and ast.unparse(value.func).endswith("open"):
            yield target.id, value


def _encoded_argument(context: FailureContext) -> Correction | None:
    """Recognise a text given to what sends, writes or hashes bytes: ``socket.send("hello")``."""
    for call in of_statement(context, ast.Call):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        given = call.args[0] if len(call.args) == 1 and name in _TAKE_BYTES else None
        if isinstance(given, ast.JoinedStr) or (given is not None and kind_of(context, given) == "str"):
            new = f"{source_of(context, given)}.encode()"
            return replaced(context, given, new, f"{name}() takes bytes: {new} makes them of the text.")
    return None


def _bytes_of_file(context: FailureContext) -> Correction | None:
    """Recognise a picture, an archive or the like that is read as text, by the ending of its name."""
    for name, call in _opened(context):
        path = call.args[0] if call.args else None
        if not isinstance(path, ast.Constant) or not _BINARY.search(str(path.value)):
            continue
        advice = f"{path.value!r} is no text: open it for bytes, mode 'rb'."
        if len(call.args) > 1:
            return replaced(context, call.args[1], '"rb"', advice) if not call.keywords else here(None, advice)
        return with_argument(context, call, '"rb"', advice) if name and not call.keywords else here(None, advice)
    return None


def _encoding_by_mark(context: FailureContext) -> Correction | None:
    """Recognise a file in UTF-16 by its first bytes, or one in an encoding of the west by a single letter.

    The message has the first byte that is no UTF-8 and its position. Only a file whose name says that it is text
    counts, and only where the program reads a single one.
    """
    found = re.search(r"'utf-?8' codec can't decode byte (0x\w\w) in position (\d+)", context.message)
    if found is None:
        return None
    byte, position = int(found[1], 16), int(found[2])
    encoding = "utf-16" if position == 0 and byte in (0xFE, 0xFF) else "latin-1" if byte >= 0xC0 and position else ""
    calls = [call for call in of_program(context, ast.Call) if _reads(call)]
    if not encoding or len(calls) != 1 or not _reads_text(context, calls[0]):
        return None
    for keyword in calls[0].keywords:
        if keyword.arg == "encoding":
            new, advice = f'"{encoding}"', f"The bytes are {encoding} and not UTF-8: encoding={encoding!r}."
            return replaced(context, keyword.value, new, advice)
    return with_argument(context, calls[0], f'encoding="{encoding}"', f"Say the encoding: encoding={encoding!r}.")


def _reads(call: ast.Call) -> bool:
    """Whether a call opens a file to read it as text."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    is_for_writing = any(
        isinstance(each, ast.Constant) and re.fullmatch(r"[wax]\+?|\w*b\w*", str(each.value)) for each in call.args[1:2]
    )
    return name in ("open", "read_text", "read_csv", "read_table") and not is_for_writing


def _reads_text(context: FailureContext, call: ast.Call) -> bool:
    """Whether the name of a file says that it is text: an image or archive has such bytes, too."""
    if not call.args:
        return isinstance(call.func, ast.Attribute) and call.func.attr == "read_text"
    path = call.args[0]
    named = context.value_of(path.id) if isinstance(path, ast.Name) else getattr(path, "value", "")
    return re.search(r"\.(?:txt|csv|tsv|json|jsonl|log|md|html?|xml|ya?ml|ini|srt)['\")]*$", str(named)) is not None


def with_argument(context: FailureContext, call: ast.Call, argument: str, advice: str) -> Correction | None:
    """Return a correction that adds an argument to a call, where the call ends on one line.

    *argument* is written before the closing parenthesis, with a comma where others stand before it. Where that
    parenthesis stands on a line of its own, there is the advice alone.
    """
    end = ast.Name("x", ast.Load(), lineno=call.end_lineno or 0, end_lineno=call.end_lineno)
    end.col_offset = (call.end_col_offset or 1) - 1
    end.end_col_offset = call.end_col_offset
    is_empty = not call.args and not call.keywords
    if not source_of(context, call).endswith(")") or context.line_at(call.end_lineno).strip().startswith(")"):
        return here(None, advice)
    return replaced(context, end, f"{'' if is_empty else ', '}{argument})", advice)


# JSON and patterns


def _parsed_text(context: FailureContext) -> tuple[ast.Call, ast.expr, str] | None:
    """Return the call of `json.loads`, its argument, and the whole text that it was given.

    The text is empty where it is not captured, or so long that it may have been cut.
    """
    for call in of_statement(context, ast.Call):
        if ast.unparse(call.func).endswith("loads") and len(call.args) == 1:
            given = call.args[0]
            value = context.value_of(given.id) if isinstance(given, ast.Name) else None
            return call, given, value if isinstance(value, str) and len(value) < _MAX_JSON else ""
    return None


def _json_in_fence(context: FailureContext) -> Correction | None:
    """Recognise JSON in a Markdown fence, or in a sentence, as models write it: "Here it is: {...}".

    What stands in braces is taken only if it is JSON by itself.
    """
    found = _parsed_text(context)
    if found is None or not found[2]:
        return None
    given, text = source_of(context, found[1]), found[2]
    fence = _FENCE.fullmatch(text)
    if fence is not None:
        new = f'{given}.strip().removeprefix("```{fence["label"]}").removesuffix("```")'
        return replaced(context, found[1], new, "The JSON stands in a Markdown fence (```): take the fence off first.")
    start, end = text.find("{"), text.rfind("}") + 1
    if 0 <= start < end and text.strip() != text[start:end] and _is_json(text[start:end]):
        new = f'{given}[{given}.index("{{") : {given}.rindex("}}") + 1]'
        return replaced(context, found[1], new, f"There is text around the JSON: parse what stands in braces, {new}.")
    return None


def _json_of_python(context: FailureContext) -> Correction | None:
    """Recognise a dict or list as Python prints it, with single quotes: ``{'a': None}``.

    It is parsed by `ast.literal_eval`, which runs no code; a text that has anything but literals is left alone.
    """
    found = _parsed_text(context)
    value = parsed_expression(found[2]) if found is not None else None
    if found is None or not isinstance(value, (ast.Dict, ast.List)) or not _is_literal(value):
        return None
    module = "ast" if re.search(r"^import ast\b", context.source, re.MULTILINE) else '__import__("ast")'
    new = f"{module}.literal_eval"
    return replaced(
        context, found[0].func, new, "The text is as Python prints it, and no JSON: ast.literal_eval reads it."
    )


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def _json_lines(context: FailureContext) -> Correction | None:
    """Recognise a JSON document on each line, all of which are JSON."""
    found = _parsed_text(context)
    lines = [each for each in found[2].splitlines() if each.strip()] if found is not None else []
    if found is None or len(lines) < 2 or not all(map(_is_json, lines)):
        return None
    call, given = source_of(context, found[0].func), source_of(context, found[1])
    new = f"[{call}(line) for line in {given}.splitlines() if line.strip()]"
    return replaced(context, found[0], new, f"Each line is a document: {new}.")


def _json_comma(context: FailureContext) -> Correction | None:
    """Recognise a comma before a closing bracket, which JSON does not have: ``[1, 2,]``.

    The text is corrected where the program has it, and the comma on exactly one of its lines.
    """
    found, place = _parsed_text(context), re.search(r"\(char (\d+)\)", context.message)
    if found is None or place is None:
        return None
    text, number = found[2], int(place[1])
    before = max(text.rfind(",", 0, number + 1), text.rfind(",", 0, number))
    if not re.fullmatch(r",\s*", text[before:number] or ",") or not re.match(r",\s*[\]}]", text[max(before, 0) :]):
        return None
    written = next((line for line in text.splitlines() if re.search(r",\s*[\]}]", line)), "").strip()
    lines = [n for n, line in enumerate(context.lines, 1) if written and written in line]
    advice = "JSON has no comma before a closing ] or }: take it out."
    if len(lines) != 1:
        return here(None, advice)
    return on_line(context, lines[0], written, re.sub(r",(\s*[\]}])", r"\1", written), advice)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _json_cut_off(context: FailureContext) -> Correction | None:
    """Recognise JSON that ends in the middle, as an answer does that was cut off."""
    found, place = _parsed_text(context), re.search(r"\(char (\d+)\)", context.message)
    text = found[2].rstrip() if found is not None else ""
    if place is None or not text.startswith(("{", "[")) or int(place[1]) < len(text):
        return None
    return here(
        None, "The text ends before the JSON does: it was cut off. Have all of it sent, or read in smaller parts."
    )


def _json_of_file(context: FailureContext) -> Correction | None:
    """Recognise `json.loads` of a file, or of what is read already: the message has the type that was given."""
    found = _parsed_text(context)
    if found is None:
        return None
    call, given = found[0], source_of(context, found[1])
    if re.search(r"not (?:TextIOWrapper|Buffered\w+|StringIO|BytesIO)", context.message):
        function = source_of(context, call.func).removesuffix("s")
        return replaced(context, call.func, function, f"A file is read with {function}({given}).")
    if re.search(r"not (?:dict|list)$", context.message):
        return replaced(context, call, given, f"{given} is read already: use it as it is.")
    return None


def _json_of_array(context: FailureContext) -> Correction | None:
    """Recognise numbers and arrays of numpy in what is written as JSON: ``json.dumps({"mean": values.mean()})``."""
    for call in of_statement(context, ast.Call):
        is_dump = ast.unparse(call.func) in ("json.dumps", "json.dump", "dumps", "dump")
        if is_dump and not any(each.arg in ("default", "cls", None) for each in call.keywords):
            argument = "default=lambda value: value.tolist()"
            return with_argument(context, call, argument, f"Let json make Python's own values of them: {argument}.")
    return None


def _glob_as_pattern(context: FailureContext) -> Correction | None:
    """Recognise a pattern of file names where a regular expression belongs: ``re.compile("*.py")``."""
    for text, value in texts_of(context):
        found = re.fullmatch(r"\*\.(\w+)", value)
        if found is not None:
            new = f'r".*\\.{found[1]}"'
            return replaced(context, text, new, f"A * repeats what stands before it: write {new}, or use fnmatch.")
    return None


# Keys, indexes, arguments


def _neighbour(context: FailureContext) -> Correction | None:
    """Recognise a loop over all indexes that looks at the next element, too: ``values[i + 1]``.

    The end of its range, ``len(values)``, is reduced by that step; other loops around the line are left alone.
    """
    for holder, name, step in _steps(context):
        for end in _ends_of_loops(context, name):
            if holder in ast.unparse(end):
                new = f"{source_of(context, end)} - {step}"
                advice = f"The last {name} has no element at {name} + {step}: end the range at {new}."
                return replaced(context, end, new, advice)
    return None


def _steps(context: FailureContext) -> Iterator[tuple[str, str, int]]:
    """Yield what is indexed by a sum, the variable and the number in it: ``values[i + 1]``."""
    for node in of_statement(context, ast.Subscript):
        match node.slice:
            case ast.BinOp(left=ast.Name(id=name), op=ast.Add(), right=ast.Constant(value=int(step))):
                yield re.split(r"[.\[]", ast.unparse(node.value))[0], name, step
            case _:
                continue


def _ends_of_loops(context: FailureContext, name: str) -> Iterator[ast.expr]:
    """Yield the ends of the loops around the failing line that count a variable."""
    loops: list[ast.For | ast.While] = [*of_program(context, ast.For), *of_program(context, ast.While)]
    for loop in loops:
        end: ast.expr | None = None
        match loop:
            case ast.For(target=ast.Name(id=counted), iter=counting) if counted == name:
                end = _end_of_range(counting)
            case ast.While(test=ast.Compare(left=ast.Name(id=counted), ops=[ast.Lt()], comparators=[limit])) if (
                counted == name
            ):
                end = limit
            case _:
                continue
        if end is not None and loop.lineno <= (context.line or 0) <= (loop.end_lineno or 0):
            yield end


def _end_of_range(node: ast.expr) -> ast.expr | None:
    """Return the end of a range, where that is a length: ``range(len(values))``."""
    match node:
        case ast.Call(func=ast.Name(id="range"), args=[ast.Call(func=ast.Name(id="len")) as end]):
            return end
        case ast.Call(func=ast.Name(id="range"), args=[_, ast.Call(func=ast.Name(id="len")) as end]):
            return end
        case ast.Call(func=ast.Name(id="range"), args=[ast.Subscript(value=ast.Attribute(attr="shape")) as end]):
            return end
        case _:
            return None


def other_loop_name(context: FailureContext) -> Correction | None:
    """Recognise a comprehension that names its elements in one way and uses another name.

    ``[row["id"] for line in rows]`` calls them ``line`` and means ``row``.

    It comes before the correction of a near name, as ``row`` may be near to some other name in reach.
    """
    name = context.hint("name")
    for node in of_statement(context, ast.expr):
        if not isinstance(node, _COMPREHENSIONS) or len(node.generators) != 1:
            continue
        loop = node.generators[0]
        used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}
        is_unused = isinstance(loop.target, ast.Name) and loop.target.id not in used and loop.target.id[:1] != "_"
        if isinstance(loop.target, ast.Name) and is_unused and name in used and _stands_for_element(node, name):
            advice = f"The comprehension calls its elements {loop.target.id}: write `for {name} in`."
            return replaced(context, loop.target, name, advice)
    return None


def _stands_for_element(comprehension: ast.expr, name: str) -> bool:
    """Whether a name in a comprehension is asked for a part of it, as an element is, and is never called."""
    owners = [each.value for each in ast.walk(comprehension) if isinstance(each, (ast.Subscript, ast.Attribute))]
    called = [each.func for each in ast.walk(comprehension) if isinstance(each, ast.Call)]
    named = [each.id for each in owners if isinstance(each, ast.Name)]
    return name in named and name not in [each.id for each in called if isinstance(each, ast.Name)]


def _items_in_comprehension(context: FailureContext) -> Correction | None:
    """Recognise two names for the keys of a dict, in a comprehension: ``for name, count in stock``."""
    for node in of_statement(context, ast.expr):
        for loop in node.generators if isinstance(node, _COMPREHENSIONS) else ():
            is_pair = isinstance(loop.target, ast.Tuple) and len(loop.target.elts) == 2
            if is_pair and isinstance(loop.iter, ast.Name) and kind_of(context, loop.iter) == "dict":
                new = f"{loop.iter.id}.items()"
                return replaced(context, loop.iter, new, f"A dict gives its keys alone: {new} gives pairs.")
    return None


def _argument_at_hand(context: FailureContext) -> Correction | None:
    """Recognise a forgotten argument whose name a variable of the program has: ``model.score(X)`` where y is known.

    It is given by its keyword, so that its place among the others does not matter.
    """
    found = re.search(r"(\w+)\(\) missing 1 required \S+ argument: '(\w+)'", context.message)
    for call in of_statement(context, ast.Call) if found is not None else ():
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        is_plain = not any(isinstance(each, ast.Starred) for each in call.args) and call.args
        if (
            found is not None
            and name == found[1]
            and context.knows(found[2])
            and found[2] not in ("self", "cls")
            and is_plain
        ):
            argument = f"{found[2]}={found[2]}"
            return with_argument(context, call, argument, f"Give {found[2]} in the call: {name}(..., {argument}).")
    return None


def _factory_itself(context: FailureContext) -> Correction | None:
    """Recognise a collection in place of what makes one: ``defaultdict([])``, ``field(default_factory=[])``."""
    for call in of_program(context, ast.Call):
        given = [each.value for each in call.keywords if each.arg == "default_factory"]
        given += call.args[:1] if ast.unparse(call.func).endswith("defaultdict") else []
        for each in given:
            kind = _kind_of_empty(each)
            if kind:
                return replaced(context, each, kind, f"Give the function that makes the value: {kind}.")
    return None


def _kind_of_empty(node: ast.expr) -> str:
    """Return the type of an expression that makes an empty value: ``[]``, ``0``, ``dict()``."""
    match node:
        case ast.List() | ast.Dict() | ast.Set():
            return type(node).__name__.lower()
        case ast.Constant(value=0 | "" as value) if value is not False:
            return type(value).__name__
        case ast.Call(func=ast.Name(id="list" | "dict" | "set" | "tuple" | "int" as name), args=[]):
            return name
        case _:
            return ""


def _key_function(context: FailureContext) -> Correction | None:
    """Recognise the name of a key where a function belongs: ``groupby(rows, key="city")``.

    The line is corrected where the captured rows are dicts; of other rows there is the advice alone.
    """
    for call in of_statement(context, ast.Call):
        for keyword in call.keywords:
            text = keyword.value
            if keyword.arg == "key" and isinstance(text, ast.Constant) and isinstance(text.value, str):
                new = f"lambda each: each[{source_of(context, text)}]"
                rows = context.value_of(call.args[0].id) if call.args and isinstance(call.args[0], ast.Name) else ""
                advice = f"key= takes a function: {new}, or operator.itemgetter({text.value!r})."
                is_of_dicts = str(rows).startswith(("[{", "({"))
                return replaced(context, text, new, advice) if is_of_dicts else here(None, advice)
    return None


def _one_of_pair(context: FailureContext) -> Correction | None:
    """Recognise a lambda of several parameters where it is given one pair: ``key=lambda name, count: count``.

    A lambda that compares its two parameters was a comparison function of Python 2; the others are rewritten to take
    the pair and index it.
    """
    for call in of_statement(context, ast.Call):
        given = [each.value for each in call.keywords if each.arg == "key"]
        given += call.args[:1] if ast.unparse(call.func) in ("map", "filter") and len(call.args) == 2 else []
        for function in given:
            if not isinstance(function, ast.Lambda) or len(function.args.args) < 2:
                continue
            if _compares(function):
                module = (
                    "" if re.search(r"^import functools\b", context.source, re.MULTILINE) else '__import__("functools")'
                )
                made = f"{module or 'functools'}.cmp_to_key({source_of(context, function)})"
                return replaced(
                    context, function, made, "key= takes one element; to compare two use functools.cmp_to_key."
                )
            body = source_of(context, function.body)
            for number, each in enumerate(function.args.args):
                body = re.sub(rf"(?<![\w.'\"]){re.escape(each.arg)}(?![\w'\"])", f"pair[{number}]", body)
            new = f"lambda pair: {body}"
            advice = f"The function is given one argument, an element: for a pair write {new}."
            return (
                replaced(context, function, new, advice) if _goes_through_pairs(context, call) else here(None, advice)
            )
    return None


def _compares(function: ast.Lambda) -> bool:
    """Whether a function of two parameters compares them: ``lambda a, b: a.size - b.size``."""
    match function.body:
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            first, second = ({x.id for x in ast.walk(side) if isinstance(x, ast.Name)} for side in (left, right))
            parameters = {each.arg for each in function.args.args}
            return len(parameters) == 2 and len(first & parameters) == len(second & parameters) == 1 and first != second
        case _:
            return False


def _goes_through_pairs(context: FailureContext, call: ast.Call) -> bool:
    """Whether what a call goes through has pairs as its elements: ``scores.items()``, ``[("a", 1)]``."""
    rows: ast.expr | None = call.args[-1] if call.args else None
    if rows is None and isinstance(call.func, ast.Attribute):
        rows = call.func.value
    match rows:
        case ast.Call(func=ast.Attribute(attr="items")) | ast.Call(func=ast.Name(id="zip" | "enumerate")):
            return True
        case ast.Name(id=name):
            return str(context.value_of(name)).startswith(("[(", "[["))
        case ast.List(elts=[ast.Tuple(), *_]):
            return True
        case _:
            return False


def _sequence_of_set(context: FailureContext) -> Correction | None:
    """Recognise a set, or a view of a dict, given to a function that takes elements by number.

    ``random.choice({1, 2})`` raises ``'set' object is not subscriptable``.
    """
    found = re.search(r"'(set|frozenset|dict_\w+)' object is not subscriptable", context.message)
    node = context.expression
    if found is None or not context.library_function or not isinstance(node, ast.Call):
        return None
    meant = [each for each in node.args if isinstance(each, ast.Call) or kind_of(context, each) == found[1]]
    if len(meant) != 1:
        return None
    written = segment_of(context, meant[0])
    new = context.marked.replace(written, f"list({written})", 1)
    advice = f"{written} has no numbered elements: make a list of it, list({written})."
    return here(replace_marked(context, new), advice)


def _single_type(context: FailureContext) -> Correction | None:
    """Recognise several types in `Optional`, which takes one: ``Optional[int, str]`` is ``int | str | None``."""
    for node in of_statement(context, ast.Subscript):
        if ast.unparse(node.value).endswith("Optional") and isinstance(node.slice, ast.Tuple):
            new = " | ".join([*(source_of(context, each) for each in node.slice.elts), "None"])
            return replaced(context, node, new, f"Optional takes one type: write {new}.")
    return None


def _content_as_path(context: FailureContext) -> Correction | None:
    """Recognise the content of a file where its path belongs: ``Image.open(data)``, ``pd.read_csv(text)``.

    A text with a line end in it, or bytes, are no path.
    """
    for call in of_statement(context, ast.Call):
        given = call.args[0] if call.args else None
        value = context.value_of(given.id) if isinstance(given, ast.Name) else None
        if not isinstance(given, ast.Name) or not isinstance(value, str):
            continue
        is_bytes = value.startswith(("b'", 'b"'))
        takes_file = isinstance(call.func, ast.Attribute) and re.match(r"open$|read_|load", call.func.attr) is not None
        if takes_file and (is_bytes or "\n" in value):
            made = "BytesIO" if is_bytes else "StringIO"
            module = "io" if re.search(r"^import io\b", context.source, re.MULTILINE) else '__import__("io")'
            advice = f"{given.id} is what a file has in it, and no path: give io.{made}({given.id})."
            return replaced(context, given, f"{module}.{made}({given.id})", advice)
    return None


def _template_value(context: FailureContext) -> Correction | None:
    """Recognise a place of a text that is given no value: ``Template("$name").substitute(nme="Ada")``.

    An argument is renamed where the one name is a part of the other between underscores.
    """
    key = context.message.strip().strip("'\"")
    for call in of_statement(context, ast.Call):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name not in ("substitute", "format", "format_map") or not key.isidentifier():
            continue
        near = [each for each in call.keywords if each.arg and _is_part(each.arg, key)]
        advice = f"The text has a place {key}: give it a value, {name}({key}=...)."
        if len(near) == 1 and near[0].arg:
            old = near[0].arg
            advice = f"Write {key} instead of {old}: the text has a place {key}."
            return on_line(context, near[0].lineno, f"{old}=", f"{key}=", advice)
        return here(None, advice)
    return None


def _is_part(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return f"_{short}_" in f"_{long}_"


FAULTS: tuple[tuple[str, Callable[[FailureContext], Correction | None]], ...] = (
    (r"unconverted data remains", _rest_of_date),
    (r"tzinfo argument must be None or of a tzinfo subclass", _zone_of_text),
    (r"type object 'datetime\.datetime' has no attribute", _other_class_of_datetime),
    (r"^AttributeError: '(?:\w+Path|int|float|Decimal|UUID)' object has no attribute", _method_of_text),
    (r"Unknown format code '[defgn%]' for object of type 'str'|Cannot specify '[,_]' with 's'", _number_in_format),
    (r"unsupported operand type\(s\) for \+: 'int' and 'str'", _summed_texts),
    (r"'(?:list|tuple|set|Series)' object has no attribute 'join'", _joined_by),
    (r"'module' object is not callable", _function_of_module),
    (r"can't concat str to bytes", _text_beside_bytes),
    (r"a bytes-like object is required, not 'str'", _opened_as_bytes),
    (r"a bytes-like object is required, not 'str'", _encoded_argument),
    (r"^UnicodeDecodeError", _bytes_of_file),
    (r"^UnicodeDecodeError", _encoding_by_mark),
    (r"^JSONDecodeError", _json_in_fence),
    (r"^JSONDecodeError: Expecting property name", _json_of_python),
    (r"^JSONDecodeError: Extra data", _json_lines),
    (r"^JSONDecodeError", _json_comma),
    (r"^JSONDecodeError", _json_cut_off),
    (r"the JSON object must be str, bytes or bytearray", _json_of_file),
    (r"Object of type (?:u?int\d+|float\d+|bool_?|ndarray) is not JSON", _json_of_array),
    (r"nothing to repeat at position 0", _glob_as_pattern),
    (r"^IndexError", _neighbour),
    (r"values to unpack", _items_in_comprehension),
    (r"missing 1 required (?:positional|keyword-only) argument", _argument_at_hand),
    (r"first argument must be callable|'(?:list|dict|set|int)' object is not callable", _factory_itself),
    (r"'str' object is not callable", _key_function),
    (r"<lambda>\(\) missing \d required positional argument", _one_of_pair),
    (r"object is not subscriptable", _sequence_of_set),
    (r"Optional requires a single type", _single_type),
    (r"embedded null byte|^FileNotFoundError|File name too long", _content_as_path),
    (r"^KeyError", _template_value),
)
"""Which messages mean which fault, by the type and the message, the first that finds a correction."""
