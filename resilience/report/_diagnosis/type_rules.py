"""Table of TypeError's messages.

`type_errors` searches it after its own look at the program has found nothing: None, operands and arguments have modules
of their own. The first rule that matches counts, so a message of one type, ``'module' object is not callable``, stands
before the rule for any type. A pattern has the wordings of several versions of CPython where these differ.

Types stand in the texts with their article, ``<a kind>``; `rules.Rule` has the other places.

>>> from resilience.report._diagnosis.regex_cache import search_pattern
>>> message = "'tuple' object does not support item assignment"
>>> found = next(each for each in RULES if search_pattern(each.pattern, message))
>>> found.cause, found.tips[0]
('a tuple cannot be changed in place', 'Make it a list first: list(<target>).')
"""

from __future__ import annotations

from resilience.report._diagnosis.rules import Rule, rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = (
    # Calling, indexing, iterating.
    rule(
        r"'module' object is not callable",
        "<target> is a module, which cannot be called",
        "Call a function of the module: <target>.name(...); dir(<target>) lists what it has.",
    ),
    rule(
        r"'(?P<kind>str|int|float|list|dict|tuple|set|bool)' object is not callable",
        "<target> is <a kind>, which cannot be called",
        "If <target> is to be a function, look where a variable of that name hides it, and rename the variable.",
        "To take an element write brackets: <target>[...]; between a number and a bracket write an operator.",
        "A missing comma before a bracket makes a call of two values in a list.",
    ),
    rule(
        r"'(?P<kind>[\w.]+)' object is not callable",
        "<target> is <a kind>, which cannot be called",
        "Call one of its methods, or leave out the parentheses: a property needs none.",
    ),
    rule(
        r"'async_generator' object is not iterable",
        "<marked> is an async generator, which `for` cannot go through",
        "Write async for instead of for.",
        "In an expression write [each async for each in <marked>].",
    ),
    rule(
        r"'(?P<kind>coroutine|async_generator)' object is not (?:subscriptable|iterable)",
        "a coroutine was never awaited: <marked>",
        "Await it first: await, in front of the call that makes it.",
    ),
    rule(
        r"'method' object is not subscriptable",
        "<target> is a method, and not what it returns",
        "Call it first: <target>()[<index>]; or write parentheses instead of brackets, if <index> is its argument.",
    ),
    rule(
        r"'(?P<kind>builtin_function_or_method|function|method|type)' object is not subscriptable"
        r"|type '(?P<name>[\w.]+)' is not subscriptable",
        "<target> is a function or a class, and takes parentheses where brackets stand",
        "Write parentheses instead of brackets: <target>(...); if its result is meant, call it first.",
    ),
    rule(
        r"'(?P<kind>(?:frozen)?set|o?dict_(?:keys|values|items)|generator|map|filter|zip)' object is not subscriptable",
        "<target> is <a kind>, which has no numbered elements",
        "Make a list of it first: list(<target>)[<index>].",
        "For the first one alone write next(iter(<target>)).",
        fix="list(<target>)[<index>]",
    ),
    rule(
        r"'(?P<kind>int|float|bool)' object is not subscriptable",
        "<target> is <a kind>, a single number without elements",
        "Use the number itself: leave out [<index>].",
        "For its digits write str(<target>)[<index>].",
    ),
    rule(
        r"'(?P<kind>[\w.]+)' object is not subscriptable",
        "<target> is <a kind>, which cannot be indexed with [...]",
        "Read an attribute or call a method of it instead.",
        "Look whether a list or dict was expected in its place.",
    ),
    rule(
        r"'(?P<kind>[\w.]+)' object is not reversible",
        "<target> is <a kind>, which has no order to reverse",
        "Make a list first: reversed(list(...)).",
    ),
    rule(
        r"'(?P<kind>int|float)' object is not iterable|cannot unpack non-iterable (?P<same>int|float) object",
        "a single number stands where several values are expected: <marked>",
        "To count up to it write range(<target>).",
        "To have a list of one write [<target>].",
        "For its digits write str(<target>).",
    ),
    rule(
        r"'(?P<kind>function|method|builtin_function_or_method|type)' object is not iterable",
        "<target> is a function or class and not its result",
        "Call it: <target>().",
    ),
    rule(
        r"'(?P<kind>[\w.]+)' object is not iterable|cannot unpack non-iterable (?P<same>[\w.]+) object",
        "the value of <marked> does not consist of several values",
        "Give a list, a tuple or another collection in its place.",
        "If it is an object of a class of yours, give that __iter__.",
    ),
    rule(
        r"'(?P<kind>[\w.]+)' object is not an iterator",
        "next() needs an iterator, and got <a kind>",
        "Make one of it: next(iter(value)).",
    ),
    rule(
        r"'(?P<kind>[\w.]+)' object is not (?:a mapping|a sequence)"
        r"|(?:argument|Value) after \*\*? must be (?:a mapping|an iterable), not (?P<same>\w+)",
        "what stands after the star cannot be unpacked",
        "Give a list or tuple after *, and a dict after **.",
    ),
    rule(
        r"object of type '(?P<kind>int|float|bool)' has no len\(\)",
        "len() measures collections, and got <a kind>: <marked>",
        "For the number of digits write len(str(number)).",
        "Leave out len() if the number itself is meant.",
        fix="<function>(str(<only>))",
    ),
    rule(
        r"object of type '(?P<kind>generator|map|filter|zip)' has no len\(\)",
        "<a kind> makes its values one by one and has no length",
        "Make a list first: len(list(values)).",
        "Or count: sum(1 for _ in values).",
        fix="<function>(list(<only>))",
    ),
    rule(
        r"object of type '(?P<kind>[\w.]+)' has no len\(\)",
        "<a kind> has no length",
        "Give len() a collection, or give the class __len__.",
    ),
    rule(
        r"argument of type '(?P<kind>[\w.]+)' is not (?:iterable|a container)",
        "`in` cannot search in <a kind>: <marked>",
        "Search in a collection or a text; a number needs ==.",
    ),
    # Elements.
    rule(
        r"list indices must be integers or slices, not str",
        "<target> is a list, and <index> is a text: lists are indexed by number",
        "Take an element first: <target>[0][<index>].",
        "Or go through them: for each in <target>: each[<index>].",
        fix="<target>[0][<index>]",
    ),
    rule(
        r"(?P<kind>list|tuple|range|byte\w+)(?: object)? ind(?:ices|ex) must be integers.*, not '?(?P<got>[\w.]+)",
        "<index> is <a got>, and <a kind> is indexed by whole numbers",
        "Make it a whole number: <target>[int(<index>)]; division with // gives one.",
    ),
    rule(
        r"(?:string|str) (?:indices|index) must be integers",
        "<target> is a text, and texts are indexed by number, not with <index>",
        "If it is JSON, read it first: json.loads(<target>)[<index>].",
        "If a dict was expected, look where <target> gets its value: iterating over a dict gives its keys, which are "
        "texts.",
    ),
    rule(
        r"slice indices must be integers",
        "a slice has a bound that is no whole number",
        "Make the bounds whole numbers: int(...), or // instead of /.",
    ),
    rule(
        r"'(?P<kind>str|bytes)' object does not support item (?P<what>assignment|deletion)",
        "<a kind> cannot be changed in place",
        "Make a new one: text[:i] + new + text[i + 1:], or text.replace(old, new).",
        "For many changes work on list(text) and ''.join() it.",
    ),
    rule(
        r"'tuple' object does not support item",
        "a tuple cannot be changed in place",
        "Make it a list first: list(<target>).",
        "Or make a new tuple with the other value.",
    ),
    rule(
        r"'(?P<kind>[\w.]+)' object does(?:n't| not) support item (?P<what>\w+)",
        "<a kind> does not take <what> with [...]",
        "Use a list or a dict, or an attribute: object.name = value.",
    ),
    rule(
        r"unhashable type: '(?P<kind>list)'",
        "a list can be changed, so it can be no key of a dict and no element of a set: <marked>",
        "Use a tuple in place of the list: tuple(value).",
    ),
    rule(
        r"unhashable type: '(?P<kind>\w+)'",
        "<a kind> can be changed, so it can be no key of a dict and no element of a set: <marked>",
        "Use a tuple in place of a list, frozenset in place of a set: tuple(value).",
        "For a dict use one of its values as the key, or json.dumps(value, sort_keys=True).",
    ),
    # Conversions.
    rule(
        r"int\(\) argument must be .*, not '?NoneType",
        "int() was given None: <marked>",
        "Find out why the value is None, or give a default: int(value or 0).",
    ),
    rule(
        r"(?P<function>int|float|complex)\(\) argument must be .*, not '?(?P<kind>\w+)'?",
        "<function>() cannot make a number of <a kind>: <marked>",
        "Convert one element at a time: [<function>(each) for each in values].",
        "Look at the value: a number or a text was expected.",
    ),
    rule(
        r"(?P<function>int|float|complex)\(\) can't convert non-string",
        "a base needs a text to convert",
        "Leave out the base, or give a text.",
    ),
    rule(
        r"'(?P<kind>tuple|list)' object cannot be interpreted as an integer",
        "<a kind> stands where a whole number is needed: <marked>",
        "Give the numbers one by one: <function>(*<only>).",
    ),
    rule(
        r"'(?P<kind>\w+)' object cannot be interpreted as an integer",
        "<a kind> stands where a whole number is needed: <marked>",
        "Convert it: int(...); // divides to a whole number.",
    ),
    rule(
        r"sequence item (?P<number>\d+): expected (?P<want>[\w-]+)(?: instance)?.*?, (?P<got>\w+) found",
        "join() takes texts only, and element <number> is <a got>",
        "Make texts of them: ', '.join(map(str, values)).",
        fix="<function>(map(str, <only>))",
    ),
    rule(
        r"can only join an iterable", "join() needs several texts", "Give a list of texts: ', '.join([first, second])."
    ),
    rule(
        r"Object of type (?P<kind>set|frozenset) is not JSON serializable",
        "JSON has no <kind>",
        "Convert it first with list(...), or let json do it: json.dumps(value, default=list).",
        fix="<function>(<only>, default=list)",
    ),
    rule(
        r"Object of type (?P<kind>u?int\d+|float\d+|bool_?|ndarray) is not JSON serializable",
        "JSON has no <kind> of numpy",
        "Make Python's own value of it first, with .item() for a number and .tolist() for an array.",
    ),
    rule(
        r"Strings must be encoded before hashing|Unicode-objects must be encoded",
        "hashes are computed of bytes, and not of text",
        "Make bytes of the text: text.encode('utf-8').",
        fix="<function>(<only>.encode())",
    ),
    rule(
        r"Object of type (?P<kind>[\w.]+) is not JSON serializable",
        "JSON has no <kind>",
        "Convert it first: a set with list(...), a date with .isoformat(), an object with vars(...).",
        "Or convert all of them: json.dumps(value, default=str).",
    ),
    rule(
        r"keys must be str, int, float, bool or None, not (?P<kind>\w+)",
        "JSON takes texts as keys, and not <a kind>",
        "Make texts of the keys: {str(key): value for key, value in data.items()}.",
    ),
    rule(
        r"the JSON object must be str, bytes or bytearray, not (?P<kind>\w+)",
        "json.loads() was given <a kind>, not text",
        "A dict or list is read already: use it as it is.",
        "From a file read with json.load(file).",
    ),
    rule(
        r"not all arguments converted during string formatting",
        "the text has fewer % places than there are values: <marked>",
        "Give each value a place, or use an f-string.",
        "If % is to divide, the left side must be a number: convert the text first.",
    ),
    rule(
        r"not enough arguments for format string",
        "the text has more % places than there are values",
        "Give a value for each, as a tuple: text % (a, b).",
    ),
    rule(
        r"%(?P<letter>\w) (?:format:|requires) an? (?P<want>[\w ]+?)(?: is required)?, not (?!a )(?P<kind>\w+)",
        "%<letter> needs <a want>, and got <a kind>",
        "Use %s, or convert the value first.",
    ),
    rule(
        r"unsupported format string passed to (?P<kind>[\w.]+?)\.__format__",
        "<a kind> takes no format such as :.2f",
        "Convert it first, or leave the format out; look why it is <a kind>.",
    ),
    rule(
        r"can't multiply sequence by non-int of type '(?P<kind>\w+)'",
        "a text or list can be repeated a whole number of times, not multiplied by <a kind>",
        "Convert the text to a number first: float(...).",
        "To repeat it, make the count whole: int(...).",
    ),
    rule(
        r"bad operand type for unary (?P<op>\S+): '(?P<kind>\w+)'",
        "<op> has no meaning for <a kind>: <marked>",
        "Convert it to a number first: int(...) or float(...).",
    ),
    rule(
        r"bad operand type for (?P<function>\w+)\(\): '(?P<kind>\w+)'",
        "<function>() takes a number and got <a kind>",
        "Convert it to a number first: int(...) or float(...).",
    ),
    rule(
        r"type (?P<kind>\w+) doesn't define __round__",
        "round() takes a number and got <a kind>",
        "Convert it first: round(float(value)).",
    ),
    rule(
        r"must be real number, not (?P<kind>\w+)",
        "a number is needed, and <a kind> was given: <marked>",
        "Convert it first: float(...).",
    ),
    rule(
        r"can't (?:compare|subtract) offset-naive and offset-aware",
        "one time has a time zone and the other has none",
        "Give both a zone: datetime.now(timezone.utc), or value.replace(tzinfo=timezone.utc).",
    ),
    rule(
        r"can't compare datetime.datetime to datetime.date",
        "a date is compared with a date and time",
        "Compare dates: value.date().",
    ),
    # Texts, bytes, files.
    rule(
        r"a bytes-like object is required, not '(?P<kind>\w+)'",
        "bytes are needed, and <a kind> was given",
        "Make bytes of the text: text.encode('utf-8').",
        "For a file with text open it without b: open(path, 'w').",
    ),
    rule(
        r"can't concat (?P<kind>\w+) to bytes|can only concatenate bytes",
        "bytes and text do not go together: <marked>",
        "Make bytes of the text: text.encode('utf-8').",
        "Or text of the bytes: data.decode('utf-8').",
    ),
    rule(
        r"cannot use a string pattern on a bytes-like object",
        "the pattern is text, and what is searched is bytes",
        "Decode it first: data.decode('utf-8').",
    ),
    rule(
        r"cannot use a bytes pattern on a string-like object",
        "the pattern is bytes, and what is searched is text",
        "Write the pattern without b.",
    ),
    rule(
        r"expected string or bytes-like object",
        "the re functions search in text, and got something else: <marked>",
        "Give a text: str(value); look whether the value is None.",
    ),
    rule(
        r"write\(\) argument must be str, not (?P<kind>\w+)",
        "the file takes text, and write() was given <a kind>",
        "Write str(value); or json.dump(value, file) for data.",
        "For bytes open the file with 'wb'.",
    ),
    rule(
        r"(?:expected str, bytes|should be a str) or (?:an )?os.PathLike object.*, not '?(?P<kind>\w+)",
        "a path is needed, and <a kind> was given",
        "Give the path as text; look where it should come from.",
    ),
    rule(
        r"must be str(?: or [\w-]+)?, not (?P<kind>\w+)|must be string, not (?P<same>\w+)"
        r"|argument must be str(?:ing)?, not '?(?P<other>\w+)",
        "text is needed, and something else was given: <marked>",
        "Convert it with str(...).",
    ),
    # Classes, exceptions, protocols.
    rule(
        r"exceptions must derive from BaseException",
        "`raise` got something that is no exception: <code>",
        "Write raise ValueError('what went wrong').",
    ),
    rule(
        r"catching classes that do not inherit from BaseException",
        "`except` names something that is no exception class",
        "Name exception classes, such as except (ValueError, KeyError):.",
    ),
    rule(
        r"exception causes must derive",
        "`raise ... from` got something that is no exception",
        "Name the exception after from.",
    ),
    rule(
        r"Can't instantiate abstract class (?P<name>\w+) with.* abstract methods? '?(?P<methods>.+?)'?$",
        "<name> is abstract: it lacks <methods>",
        "Define <methods> in the class, with the same name and parameters.",
        "Or make an object of a subclass that does.",
    ),
    rule(
        r"__init__\(\) should return None",
        "__init__ returns a value",
        "Remove the value from return in __init__; use a function to make and return something.",
    ),
    rule(
        r"'(?P<kind>[\w.]+)' object does not support the (?P<what>asynchronous )?context manager protocol",
        "<a kind> cannot be used in a `with` block",
        "Call it first if it is a function; use `async with` for what is async, and `with` for what is not.",
    ),
    rule(
        r"(?:object )?'?(?P<kind>[\w.]+)'?(?: object)? can't be (?:used in 'await' expression|awaited)",
        "`await` got <a kind>, which is no coroutine: <marked>",
        "Leave out await: the function is not async.",
        "If it should be, define it with async def.",
    ),
    rule(
        r"'async for' requires an object with __aiter__",
        "`async for` got something that is not async",
        "Write for instead of async for.",
    ),
    rule(
        r"'async with' requires|object does not support the asynchronous",
        "`async with` got something that is not async",
        "Write with instead of async with.",
    ),
    rule(
        r"(?P<function>isinstance|issubclass)\(\) arg (?P<number>\d)",
        "<function>() needs a class, and argument <number> is none",
        "Give a class or a tuple of classes: isinstance(value, (int, float)).",
    ),
    rule(
        r"metaclass conflict",
        "the base classes have metaclasses that do not go together",
        "Inherit from one of them, and hold an object of the other.",
    ),
    rule(
        r"Cannot create a consistent method resolution",
        "the base classes stand in an order that contradicts itself",
        "Put the more special class first.",
    ),
    rule(
        r"super\(type, obj\)",
        "super() was given an object of another class",
        "Write super() without arguments, in a method.",
    ),
    rule(
        r"cannot convert dictionary update sequence|^object is not iterable$",
        "dict() or update() got something that is no list of pairs",
        "Give pairs: [('key', value)], or a dict.",
    ),
    rule(r"keywords must be strings", "a dict after ** has a key that is no text", "Make texts of its keys."),
    rule(
        r"sequence index must be integer, not 'slice'",
        "<target> takes one index, and no slice",
        "Make a list of it first: list(<target>)[<index>].",
        fix="list(<target>)[<index>]",
    ),
    rule(
        r"tzinfo argument must be None or of a tzinfo subclass",
        "a time zone is an object, and no text: <marked>",
        "Write timezone.utc, or ZoneInfo('Europe/Paris') from zoneinfo.",
    ),
    rule(
        r"non-default argument '(?P<name>\w+)' follows default argument",
        "the field <name> has no default, and stands after one that has",
        "Give <name> a default too, or move it before the fields that have one.",
        "Or let all fields be given by name: @dataclass(kw_only=True).",
    ),
    rule(
        r"Optional requires a single type",
        "Optional takes one type, and got several",
        "Write Union[int, str, None], or int | str | None.",
    ),
    rule(
        r"(?:first|second) argument must be callable|'(?P<kind>\w+)' object is not a function",
        "a function is needed, and a value was given: <marked>",
        "Give the function itself, without parentheses: defaultdict(list), map(function, values).",
    ),
    rule(
        r"cannot pickle '(?P<kind>[\w.]+)' (?:object|instances)",
        "<a kind> cannot be copied to another process or file",
        "Hand over plain data, and make the object where it is used.",
    ),
    rule(
        r"both arguments should be Rational",
        "a Fraction of two numbers takes whole numbers or Fractions",
        "Make a Fraction of the float first: Fraction(0.5) / 2, or write it as text: Fraction('0.5').",
    ),
    rule(
        r"(?P<function>\w+)\(\) takes no keyword arguments",
        "<function>() takes its arguments without names",
        "Leave the names out.",
    ),
    rule(
        r"unsupported operand", "the two sides are of types that do not go together: <marked>", "Convert one of them."
    ),
)
