"""Table of the messages of ValueError and its subclasses.

`values` searches it after its own look at the program has found nothing; messages of ArithmeticError are here, too.
Many standard modules raise ValueError, so a pattern has the words of one of them: a general word would catch the
message of the program's own ``raise ValueError``, and explain it wrongly.

>>> from resilience.report._diagnosis.regex_cache import search_pattern
>>> next(each.cause for each in RULES if search_pattern(each.pattern, "math domain error"))
'<marked> has no result for this number'
"""

from __future__ import annotations

from resilience.report._diagnosis.rules import Rule, rule

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = (
    rule(
        r"Exceeds the limit \((?P<limit>\d+)[^)]*\) for integer string conversion",
        "a whole number has more than <limit> digits, which Python does not turn into text or back",
        "Print its size instead: number.bit_length(), or len(f'{number:x}').",
        "Format it in hexadecimal: hex(number).",
        "Where the digits are needed, call sys.set_int_max_str_digits(0) first.",
    ),
    rule(
        r"math domain error|expected a (?:nonnegative|noninteger|positive|number in range)",
        "<marked> has no result for this number",
        "Test the number first: sqrt needs >= 0, log needs > 0, acos and asin -1 to 1.",
        "For roots of negative numbers use cmath.",
    ),
    rule(
        r"math range error|Result too large|Numerical result out of range",
        "the result of <marked> is too large for a float",
        "Compute with logarithms, or with decimal.Decimal.",
        "Whole numbers have no largest: use ** with integers.",
    ),
    rule(
        r"int too large to convert to float|integer division result too large",
        "the whole number in <marked> is too large for a float",
        "Divide with // to stay with whole numbers.",
        "Use fractions.Fraction or decimal.Decimal.",
    ),
    rule(
        r"cannot convert float infinity to integer",
        "the float in <marked> is infinite, and no whole number",
        "Test with math.isfinite() first.",
    ),
    rule(
        r"cannot convert float NaN to integer",
        "the float in <marked> is NaN, and no whole number",
        "Test with math.isnan() first, and put a default in its place.",
    ),
    rule(
        r"(?P<value>.+) is not in list|list\.(?:index|remove)\(x\): x not in list|tuple\.index\(x\)|x not in tuple"
        r"|array\.\w+\(x\)|is not in deque|deque\.\w+\(x\)",
        "the value that <marked> looks for is not there",
        "Test with `in` first.",
        "Compare types and spelling: '1' is not 1.",
    ),
    rule(
        r"substring not found|subsection not found",
        "the text that <marked> looks for is not there",
        "Use find(), which returns -1, or test with `in` first.",
    ),
    rule(
        r"empty separator",
        "a text is split at nothing",
        "Leave out the argument to split at blanks, or use list(text) for the characters.",
    ),
    rule(
        r"(?P<function>max|min)\(\)(?: iterable argument is empty| arg is an empty sequence)",
        "<function>() got nothing to choose from: <marked>",
        "Give a default: <function>(values, default=None).",
        "Test first that there are values.",
    ),
    rule(
        r"(?:Cannot choose|cannot choose) from an empty|Sample larger than population",
        "more is to be chosen than there is: <marked>",
        "Choose at most len(values), and test that there are any.",
    ),
    rule(
        r"empty range (?:for|in) rand",
        "the range of random numbers is empty: the first bound is above the second",
        "Give the smaller bound first.",
    ),
    rule(
        r"time data (?P<value>.+) does not match format (?P<format>.+)",
        "the text <value> is not a date in the format <format>",
        "Write the format as the text is: %Y-%m-%d for 2024-02-29, %d/%m/%Y for 29/02/2024, %H:%M:%S for times.",
        "For ISO dates use datetime.fromisoformat(text).",
    ),
    rule(
        r"unconverted data remains: (?P<rest>.*)",
        "the date is followed by more than the format has: <rest>",
        "Add what is missing to the format, such as %H:%M:%S, or cut the text.",
    ),
    rule(
        r"Invalid isoformat string: (?P<value>.+)",
        "<value> is no date in ISO form",
        "Use datetime.strptime(text, format) with the format it has.",
    ),
    rule(
        r"(?:day|month|hour|minute|second|year) (?:\d+ )?(?:is |must be )|bad month number",
        "a date or time has a part out of range: <marked>",
        "Check the order (year, month, day) and that the day exists in that month.",
        "To add days use timedelta.",
    ),
    rule(
        r"unsupported format (?:character '.'|%\S+ at position)|incomplete format|stray %",
        "a % format in the text is not complete",
        "Write %% for the percent sign itself, or use an f-string.",
    ),
    rule(
        r"Unknown format code '(?P<format>.)' for object of type '(?P<kind>\w+)'",
        "the format <format> is not for <a kind>",
        "Convert the value first: float(...) for .2f, int(...) for d.",
        "Look whether the value should be a number and not text.",
    ),
    rule(
        r"Invalid format specifier|expected '\}' before end of string|Single '[{}]' encountered"
        r"|unmatched '[{}]' in format",
        "the format of the text is not written as Python wants it",
        "Write {{ and }} for braces themselves.",
        "A format is {value:.2f}: a colon, then width, dot and digits, and a letter.",
    ),
    rule(
        r"I/O operation on closed file|read of closed file|write to closed file",
        "the file was closed before it was used: <code>",
        "Do it inside the `with` block that opens the file, indented.",
        "Read all of it first: lines = file.readlines().",
    ),
    rule(
        r"negative shift count|negative seek|must be (?:a )?non-negative|\w+ cannot be negative",
        "a negative number stands where none may: <marked>",
        "Test the number first, or use abs().",
    ),
    rule(
        r"range\(\) arg 3 must not be zero|slice step cannot be zero",
        "a step of 0 gets nowhere",
        "Give a step other than 0.",
    ),
    rule(r"chr\(\) arg not in range", "no character has this number", "Give chr() a number from 0 to 1114111."),
    rule(
        r"byte must be in range|bytes must be in range",
        "a byte is a number from 0 to 255",
        "Take the number modulo 256, or encode text with encode().",
    ),
    rule(
        r"non-hexadecimal number found|Odd-length string|(?:even|Odd) number of hexadecimal digits",
        "the text is not hexadecimal",
        "Give an even number of digits, 0-9 and a-f.",
    ),
    rule(
        r"a coroutine was expected, got",
        "a coroutine is needed: the async function was not called",
        "Call the function: the call makes the coroutine that runs.",
    ),
    rule(
        r"embedded null (?:byte|character)",
        "the path or text has a null byte in it",
        "Where a path is expected, give no content of a file: io.BytesIO(data) makes a file of bytes.",
        "Of a text remove it: text.replace('\\0', '').",
    ),
    rule(
        r"malformed node or string|malformed node",
        "literal_eval() reads values only, and no names, calls or operators",
        "Read JSON with json.loads().",
    ),
    rule(
        r"dictionary update sequence element #(?P<number>\d+) has length (?P<length>\d+); 2 is required",
        "dict() wants pairs, and element <number> has <length> values",
        "Give pairs: [('key', value)].",
    ),
    rule(
        r"attempt to assign sequence of size (?P<given>\d+) to extended slice of size (?P<size>\d+)",
        "<given> values are assigned to <size> places",
        "Give as many values as the slice has places.",
    ),
    rule(
        r"(?P<function>zip|map)\(\) argument (?P<number>\d+) is (?P<how>shorter|longer)",
        "what <function>() got is not of one length",
        "Leave out strict=True, or use itertools.zip_longest().",
    ),
    rule(
        r"^(?:'(?P<value>.+)'|(?P<number>\S+)) is not a valid (?P<kind>(?:\w+\.)*[A-Z_]\w*)$",
        "the enum has no member with this value: <marked>",
        "Give one of its values: list(<kind>) has them.",
    ),
    rule(
        r"invalid mode: (?P<mode>.+)|must have exactly one of create/read/write/append",
        "the mode of open() is none",
        "Write 'r', 'w', 'a' or 'x', with b for bytes.",
    ),
    rule(
        r"binary mode doesn't take an encoding",
        "a file of bytes has no encoding",
        "Leave out encoding=, or open it without b.",
    ),
    rule(
        r"(?P<message>.*shapes? .*(?:not aligned|mismatch).*|.*could not be broadcast together.*)",
        "two arrays have shapes that do not go together: <message>",
        "Print the shapes before: array.shape; reshape or transpose one.",
    ),
    rule(
        r"truth value of an? (?:array|Series|DataFrame)",
        "an array is neither true nor false as a whole",
        "Ask values.any() or values.all(), and combine with & and |.",
    ),
    rule(
        r"arrays must all be same length|All arrays must be of the same length",
        "the columns have different lengths",
        "Print len() of each, and make them equal.",
    ),
    rule(
        r"unknown url type: '/",
        "the URL is a path alone",
        "Write all of the URL, https://host/path, or give the client its base_url.",
    ),
    rule(r"unknown url type", "the URL does not say how to reach it", "Write https:// in front."),
    rule(
        r"not enough values|too few", "there are fewer values than needed: <marked>", "Test how many there are first."
    ),
)
