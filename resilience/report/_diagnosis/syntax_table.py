"""Table of the parser's messages, of Python 3.8 to 3.15. The first row that matches counts.

CPython words a fault differently from version to version, so a pattern has all the wordings,
``EOL while scanning string`` beside ``unterminated string``. Rows are in groups by what they are about; within a group
the more special one stands first, and ``invalid syntax`` stands in no row: `syntax_lines` looks at the line then.

A row says what is wrong in terms of the program and not of the grammar. `FIXERS` of `syntax_fixes` has the functions
that its last column names.

>>> from resilience.report._diagnosis.regex_cache import search_pattern
>>> found = next(each for each in ROWS if search_pattern(each.pattern, "'(' was never closed"))
>>> found.cause, found.fixer
('the bracket <open> opened on line <line> is never closed: <code>', 'close')
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ROWS", "Row"]


class Row(NamedTuple):
    """A message. In the texts, <name> is what the pattern caught, <line> where, <code> and <marked> what is there.

    The cause is a clause without full stop, the tips are sentences. ``fixer`` names the function of `syntax_fixes` that
    yields corrected lines for it; None where no line can be sure.
    """

    pattern: str
    cause: str
    tips: tuple[str, ...]
    fixer: str | None = None


def _row(pattern: str, cause: str, *tips: str, fixer: str | None = None) -> Row:
    return Row(pattern, cause, tips, fixer)


ROWS: tuple[Row, ...] = (
    # Blocks.
    _row(
        r"expected ':'",
        "the colon is missing that ends the first line of a block: <code>",
        "Add a colon (:) at the end of line <line>.",
        fixer="colon",
    ),
    _row(
        r"expected an indented block after (?P<what>.+?)(?: statement)? on line (?P<at>\d+)",
        "the block after <what>, which begins on line <at>, has no indented line",
        "Indent what belongs to the block by four spaces more than line <at>.",
        "If there is nothing to do in it, write `pass`, indented.",
        fixer="indent",
    ),
    _row(
        r"expected an indented block",
        "a block has no indented line",
        "Indent line <line> by four spaces more than the line that ends with a colon.",
        fixer="dedent",
    ),
    _row(
        r"unexpected indent",
        "line <line> is indented, but the line above begins no block",
        "Begin line <line> where the line above begins; a chain of methods that goes on there stands in parentheses.",
        "If it belongs to a block, look whether the line that begins that block ends with a colon.",
        fixer="dedent",
    ),
    _row(
        r"unindent does not match|unexpected unindent",
        "the indentation of line <line> is that of no block around it",
        "Begin line <line> exactly where the block begins that it belongs to.",
        "Indent with four spaces everywhere, and never with a mix of tabs and spaces.",
        fixer="dedent",
    ),
    _row(
        r"inconsistent use of tabs",
        "line <line> is indented with another mix of tabs and spaces than the lines around it",
        "Indent with spaces only, four for each level: replace every tab.",
        fixer="dedent",
    ),
    _row(
        r"expected 'except' or 'finally' block",
        "a `try` has neither `except` nor `finally`",
        "Add `except SomeError as error:` with what to do then, indented as the `try` is.",
        "Look whether the `except` that belongs to it is indented as the `try` is.",
    ),
    _row(
        r"'elif' block follows an 'else' block",
        "`elif` stands after `else`, which takes all that is left",
        "Move the `else` block to the end.",
    ),
    _row(
        r"default 'except:' must be last",
        "a bare `except:` catches everything, so no other `except` can follow it",
        "Move the bare `except:` to the end, or write `except Exception:` and still put it last.",
    ),
    _row(
        r"multiple exception types must be parenthesized",
        "several exceptions after `except` need parentheses",
        "Write `except (A, B):`.",
        fixer="group",
    ),
    _row(
        r"cannot have both 'except' and 'except\*'",
        "one `try` cannot have both `except` and `except*`",
        "Use `except*` for all of them where groups are caught, `except` where not.",
    ),
    # Brackets.
    _row(
        r"'(?P<open>[(\[{])' was never closed",
        "the bracket <open> opened on line <line> is never closed: <code>",
        "Close <open> where its list ends, most likely on line <line>.",
        "Count the brackets on that line: each needs its counterpart.",
        fixer="close",
    ),
    _row(
        r"closing parenthesis '(?P<close>.)' does not match opening parenthesis '(?P<open>.)'(?: on line (?P<at>\d+))?",
        "the bracket <open> is closed by <close>",
        "Close <open> with its own counterpart, or close the bracket between them first.",
        fixer="unmatched",
    ),
    _row(
        r"^unmatched '(?P<close>.)'",
        "the bracket <close> on line <line> closes nothing",
        "Remove <close>, or open a bracket before it.",
        fixer="unmatched",
    ),
    _row(
        r"too many nested parentheses",
        "brackets are nested too deeply",
        "Give the inner parts names, in lines of their own.",
    ),
    _row(
        r"unexpected EOF|unexpected end of (?:file|input)",
        "the code ends in the middle of a statement",
        "Complete the last statement: close its brackets and quotes, and give each block a line.",
        "If the code was cut off, send it again in full.",
    ),
    # Texts.
    _row(
        r"unterminated triple-quoted (?P<kind>[ft]-)?string literal|EOF while scanning triple-quoted",
        "the text in triple quotes that begins on line <line> never ends",
        "End it with the three quotes it began with (\"\"\" or ''').",
        "If the code was cut off, send it again in full.",
    ),
    _row(
        r"unterminated [ft]-string|unterminated string|EOL while scanning string",
        "the text that begins on line <line> has no closing quote: <code>",
        "End the text with the quote it began with.",
        "A quote inside the text ends it: use the other kind of quotes around it, or write \\' or \\\".",
        "For text over several lines use triple quotes.",
        fixer="end_quote",
    ),
    _row(
        r"\(unicode error\).*(?:truncated|malformed|illegal|unknown)",
        "a backslash in the text is taken for the beginning of a special character",
        "Write r in front of the quotes, as in r'C:\\Users', so that backslashes mean themselves.",
        "Or double each backslash, or use forward slashes in paths.",
        fixer="raw_text",
    ),
    _row(
        r"\(value error\) invalid \\x|invalid (?:octal )?escape sequence",
        "a backslash in the text begins no valid character",
        "Write r in front of the quotes, or double the backslash.",
        fixer="raw_text",
    ),
    _row(
        r"bytes can only contain ASCII",
        "a bytes literal holds a character beyond ASCII",
        "Write a text and encode it: 'text'.encode('utf-8').",
    ),
    _row(
        r"cannot mix bytes and nonbytes",
        "a text and bytes stand side by side as one literal",
        "Make both texts or both bytes: encode() one, or decode() the other.",
    ),
    _row(
        r"cannot mix t-string literals with string or bytes literals",
        'a template (t"...") and a text stand side by side as one literal',
        "Put t in front of both, or join them with +: t-strings are added to t-strings alone.",
    ),
    _row(
        r"'(?P<one>\w)' and '(?P<other>\w)' prefixes are incompatible",
        "the quotes have both <one> and <other> in front, which exclude each other",
        "Keep one of them.",
    ),
    _row(
        r"unexpected character after line continuation",
        "something follows the backslash that continues a line",
        "Remove what follows the backslash, blanks too; or use brackets to go on in the next line.",
    ),
    # f-strings, and t-strings from Python 3.14 on.
    _row(
        r"(?P<kind>[ft]-string): (?:empty expression not allowed|valid expression required before '\}')",
        "the braces of <a kind> are empty",
        "Put an expression between the braces, or write {{}} for the braces themselves.",
    ),
    _row(
        r"(?P<kind>[ft]-string): single '\}' is not allowed",
        "a single } stands in <a kind>",
        "Write }} for the brace itself.",
    ),
    _row(
        r"(?P<kind>[ft]-string): (?:expecting|unterminated).*\}",
        "a brace { in <a kind> is not closed",
        "Close it with }, or write {{ for the brace itself.",
    ),
    _row(
        r"(?P<kind>[ft]-string): (?:unmatched|unterminated string|mismatched)",
        "the quotes inside the braces of the <kind> end it",
        "Use the other kind of quotes inside the braces: f\"{data['key']}\".",
        "Or take the value into a variable before.",
        fixer="inner_quotes",
    ),
    _row(
        r"f-string expression part cannot include a backslash",
        "before Python 3.12 the braces of an f-string take no backslash",
        "Take the expression into a variable before, and put that between the braces.",
    ),
    _row(
        r"f-string expression part cannot include '#'",
        "before Python 3.12 the braces of an f-string take no comment",
        "Take the expression into a variable before.",
    ),
    _row(
        r"(?P<kind>[ft]-string): (?:invalid|missing) conversion",
        "what follows ! in the <kind> is no conversion",
        "Write !r, !s or !a, or leave it out; a format goes after a colon: {value:.2f}.",
    ),
    _row(
        r"(?P<kind>[ft]-string): lambda",
        "a lambda in <a kind> needs parentheses, as its colon begins a format",
        "Put the lambda in parentheses, or make it a function before.",
    ),
    _row(
        r"[ft]-string: expressions nested too deeply|too many nested [ft]-strings",
        "the braces of a text are nested too deeply",
        "Take the inner ones into variables before.",
    ),
    # Assignments and comparisons.
    _row(
        r"Maybe you meant '==' or ':=' instead of '='|expression cannot contain assignment, perhaps you meant",
        "= assigns; a condition compares with ==: <code>",
        "Write == instead of = to compare.",
        "Write := to assign within the expression, which is rarely meant.",
        fixer="equality",
    ),
    _row(
        r"cannot assign to (?P<what>\w[\w ]*?)(?: here)?\. Maybe you meant '=='",
        "a value cannot be assigned to <what>: <code>",
        "If it is to be compared, write == instead of =.",
        "If it is to be assigned, put the name on the left: name = value.",
        fixer="equality",
    ),
    _row(
        r"cannot assign to (?P<name>None|True|False|__debug__|Ellipsis)\b|assignment to keyword"
        r"|can't assign to keyword",
        "<name> is a constant of Python and cannot be assigned",
        "Choose another name for the variable.",
    ),
    _row(
        r"cannot use dict unpacking in a dictionary (?P<what>key|value)",
        "** stands where a <what> of the dict is expected",
        "Write **other as an entry of its own: {**other, key: value}.",
    ),
    _row(
        r"can(?:not|'t) (?P<how>assign to|delete|use) (?P<what>[\w' -]+)",
        "Python cannot <how> <what>: <code>",
        "Put a name, an attribute or an element in that place: name, object.name, list[0].",
    ),
    _row(
        r"'(?P<what>[\w ]+)' is an illegal expression for augmented",
        "+= and its like change one variable, not <what>",
        "Write one statement for each variable.",
    ),
    _row(
        r"only single target|illegal target for annotation",
        "an annotation belongs to one variable",
        "Annotate each variable in a line of its own.",
    ),
    _row(
        r"cannot use assignment expressions with (?P<what>[\w ]+)",
        ":= cannot set <what>, only a plain name",
        "Assign in a statement of its own, before.",
    ),
    _row(
        r"assignment expression",
        "an assignment with := is not allowed in this place",
        "Assign in a statement of its own, before.",
    ),
    _row(
        r"starred assignment target must be",
        "a starred name alone on the left needs a comma",
        "Write `*rest, = values`, or list(values).",
    ),
    _row(
        r"multiple starred expressions|two starred expressions",
        "only one name on the left may have a star",
        "Keep one star.",
    ),
    _row(
        r"use starred expression here",
        "a star unpacks only inside a call, a list, a tuple or a set",
        "Put brackets around it: [*values].",
    ),
    # Calls and definitions.
    _row(
        r"Missing parentheses in call to '(?P<name>\w+)'",
        "<name> is a function in Python 3 and needs parentheses",
        "Write <name>(...) with what is to be printed or executed in the parentheses.",
        fixer="parentheses",
    ),
    _row(
        r"positional argument follows keyword argument",
        "an argument without a name stands after one with a name",
        "Put the arguments without names first, or name this one too.",
    ),
    _row(
        r"iterable argument unpacking follows",
        "*values stands after **named values",
        "Put *values before **named values.",
    ),
    _row(r"keyword argument repeated(?:: (?P<name>\w+))?", "the argument <name> is given twice", "Give it once."),
    _row(
        r"duplicate (?:argument|parameter) '(?P<name>\w+)'",
        "two parameters of the function are called <name>",
        "Give one of them another name.",
    ),
    _row(
        r"(?:non-default argument|parameter without a default) follows",
        "a parameter without a default stands after one with a default",
        "Put the parameters without defaults first, give this one a default too, or put * before it.",
    ),
    _row(
        r"(?:arguments|parameters) cannot follow var-keyword",
        "a parameter stands after **, which takes all that is left",
        "Put ** last.",
    ),
    _row(
        r"(?P<how>var-positional|var-keyword) (?:argument|parameter) cannot have default value",
        "a parameter with a star takes what is left, and has no default",
        "Remove the default: there is always a tuple after *, and a dict after **.",
    ),
    _row(
        r"named (?:arguments|parameters) must follow bare \*",
        "nothing follows the * among the parameters",
        "Name a parameter after *, or remove it.",
    ),
    _row(r"may appear only once", "a star or slash stands twice among the parameters", "Keep one."),
    _row(
        r"expected '\('",
        "the parentheses with the parameters are missing: <code>",
        "Write parentheses after the name, empty ones too: def f():",
    ),
    _row(
        r"Generator expression must be parenthesized",
        "a generator beside other arguments needs its own parentheses",
        "Put the generator in parentheses.",
    ),
    _row(
        r"did you forget parentheses around the comprehension target",
        "several values of a comprehension need parentheses",
        "Write [(a, b) for a, b in pairs].",
    ),
    # Lists and dicts.
    _row(
        r"Perhaps you forgot a comma",
        "two values stand side by side without a comma: <marked>",
        "Put a comma, or an operator, between them.",
        fixer="comma",
    ),
    _row(
        r"':' expected after dictionary key",
        "a key of the dict has no value",
        "Write key: value for each entry, or use a set or list.",
    ),
    _row(
        r"expression expected after dictionary key",
        "a key of the dict has no value after its colon",
        "Write the value after the colon.",
    ),
    _row(
        r"trailing comma not allowed",
        "names to import end with a comma",
        "Remove the comma, or put the names in parentheses.",
    ),
    _row(
        r"expected 'else' after 'if' expression",
        "a conditional expression has no `else`",
        "Write `a if condition else b`.",
    ),
    _row(
        r"expected expression (?P<where>before 'if'|after 'else'), but statement is given",
        "a statement stands <where>, where a value is needed",
        "Write the conditional as a statement of several lines: if condition: ... else: ...",
    ),
    _row(
        r"dict unpacking cannot be used in|iterable unpacking cannot be used in",
        "before Python 3.15 a comprehension cannot unpack with stars",
        "Use a second `for`, or itertools.chain.",
    ),
    _row(
        r"double star pattern must be the last",
        "** takes all that is left of a mapping, so no other key can follow it",
        "Put ** last.",
    ),
    # Where statements may stand.
    _row(
        r"'return' outside function",
        "`return` stands outside of a function",
        "Indent it with the function it belongs to.",
        "At the top level write the expression alone, assign it to a variable or print() it.",
    ),
    _row(
        r"'yield(?: from)?' outside function",
        "`yield` stands outside of a function",
        "Put it in a function, which is a generator then.",
    ),
    _row(
        r"'await' outside function",
        "`await` stands outside of a function",
        "Put it in `async def main(): ...` and call asyncio.run(main()).",
        "Leave out await if the function is not async.",
    ),
    _row(
        r"'(?P<what>await|async with|async for)' outside async function",
        "`<what>` stands in a function that is not async",
        "Write `async def` instead of `def` for the function around it, and await its calls.",
        "Or use what is not async in it.",
    ),
    _row(
        r"asynchronous comprehension outside",
        "an async comprehension stands in a function that is not async",
        "Write `async def` instead of `def` for the function around it.",
    ),
    _row(
        r"'(?P<what>break|continue)' (?:outside loop|not properly in loop)",
        "`<what>` stands outside of a loop",
        "Indent it with the loop it belongs to; to leave a function write return.",
    ),
    _row(
        r"'return' with value in async generator",
        "an async generator cannot return a value",
        "yield it, or write a bare return.",
    ),
    # Names and scopes.
    _row(
        r"name '(?P<name>\w+)' is (?:used|assigned to) (?:prior to|before) (?P<how>global|nonlocal) declaration",
        "<how> <name> stands after the first use of <name>",
        "Move `<how> <name>` to the first line of the function.",
    ),
    _row(
        r"name '(?P<name>\w+)' is parameter and (?P<how>global|nonlocal)",
        "<name> is a parameter and declared <how>",
        "Give the parameter another name, or drop `<how> <name>`.",
    ),
    _row(
        r"no binding for nonlocal '(?P<name>\w+)'",
        "no function around it has a variable <name>",
        "Write `global <name>` if it is a variable of the module, or assign it in the function around.",
    ),
    _row(
        r"nonlocal declaration not allowed",
        "nonlocal stands at the top level",
        "Remove it: there is no function around.",
    ),
    _row(
        r"lazy (?:import|from).* not allowed(?P<where> in.*)?",
        "an import cannot be lazy here: <code>",
        "Leave out lazy, or move it to the top level of the module, outside of functions, classes and try blocks.",
        "Name what is imported: `*` is never lazy.",
    ),
    _row(r"import \* only allowed at module level", "`import *` stands in a function", "Import the names one by one."),
    _row(
        r"from __future__ imports must occur",
        "a `from __future__` import is not at the top",
        "Move it to the first line of the program.",
    ),
    _row(
        r"future feature (?P<name>[\w.]+) is not defined", "Python knows no future feature <name>", "Remove the import."
    ),
    _row(r"not a chance", "braces make no blocks in Python", "Remove the import; indent blocks."),
    _row(
        r"Expected one or more names after 'import'",
        "`import` names nothing to import",
        "Write what is to be imported after it.",
    ),
    # Numbers.
    _row(
        r"leading zeros in decimal|invalid token",
        "a number begins with a zero: <code>",
        "Remove the zeros in front; an octal number is written 0o17.",
        "Keep it as text in quotes if the zeros matter.",
    ),
    _row(
        r"invalid digit '(?P<digit>.)' in (?P<kind>\w+) literal",
        "<digit> is no digit of <kind> numbers",
        "Correct the number.",
    ),
    _row(
        r"invalid (?P<kind>decimal|hexadecimal|octal|binary|imaginary) literal",
        "a number is not written as Python writes them: <code>",
        "A name cannot begin with a digit: put a letter first.",
        "Put a blank or an operator between a number and a word, and quotes around text.",
    ),
    _row(
        r"Exceeds the limit .* for integer string conversion|too many digits",
        "a number has more digits than Python reads at once",
        "Compute it instead of writing it down, or write it in hexadecimal.",
    ),
    _row(
        r"too many statically nested blocks|too many levels of indentation",
        "blocks are nested too deeply",
        "Move the inner ones into functions.",
    ),
    _row(
        r"parser stack overflow|too complex|recursion",
        "an expression is nested too deeply for Python's parser",
        "Split it into several statements.",
    ),
    _row(
        r"unknown encoding|encoding problem",
        "the first lines name an encoding Python does not know",
        "Write `# -*- coding: utf-8 -*-`, or nothing.",
    ),
    _row(
        r"\(unicode error\) '(?P<codec>[\w-]+)' codec",
        "the code is not encoded as <codec>",
        "Save or send it as UTF-8.",
    ),
)
