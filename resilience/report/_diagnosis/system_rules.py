"""Tables of messages of the operating system, of files, processes and standard library modules.

The key is the name of the class without its module; ``Error`` serves ``csv.Error`` and ``shutil.Error`` alike. A class
is asked before its bases, and its diagnoser, where it has one, before its table. An empty pattern matches every
message: where the class says enough. The words of the operating system depend on its language, so patterns for them
have the number as well, ``Errno 28``.

>>> from resilience.report._diagnosis.regex_cache import search_pattern
>>> message = "[Errno 28] No space left on device: 'rows.csv'"
>>> next(each.cause for each in RULES["OSError"] if search_pattern(each.pattern, message))
'the disk is full'
"""

from __future__ import annotations

from resilience.report._diagnosis.rules import Rule, rule

__all__ = ["RULES"]

_FILE = r"(?:\[(?:Errno|WinError) \d+\] )?[^:]*(?:: '(?P<path>[^']*)')?"

RULES: dict[str, tuple[Rule, ...]] = {
    "FileNotFoundError": (
        rule(
            _FILE,
            "there is no file or directory <path>",
            "Check the spelling of <path>, and the directory it is looked for in: os.getcwd() and os.listdir() tell.",
            "Make it first if the program is to write it: os.makedirs(directory, exist_ok=True).",
            "Test with os.path.exists(path), or catch FileNotFoundError and go on without it.",
        ),
    ),
    "FileExistsError": (
        rule(
            _FILE,
            "<path> exists already",
            "Use exist_ok=True for directories, and mode 'w' in place of 'x' for files.",
            "Choose another name.",
        ),
    ),
    "PermissionError": (
        rule(
            _FILE,
            "the program may not use <path>",
            "Write to a directory that is the program's own: the working directory or tempfile.mkdtemp().",
            "Have the permissions of <path> changed if it must be that one.",
        ),
    ),
    "IsADirectoryError": (
        rule(
            _FILE,
            "<path> is a directory and not a file",
            "Name a file in it: os.path.join(directory, name).",
            "To list a directory use os.listdir(path).",
        ),
    ),
    "NotADirectoryError": (
        rule(_FILE, "a part of the path <path> is a file and not a directory", "Check the path part by part."),
    ),
    "ConnectionRefusedError": (
        rule(
            "",
            "nothing listens at the address that was called",
            "Check host and port, and whether the service runs.",
            "Try again after a short wait if it is starting.",
        ),
    ),
    "ConnectionResetError": (
        rule(
            "",
            "the server closed the connection in the middle",
            "Try again after a short wait, if the call may happen twice: the server may have carried it out.",
            "Look at the log of the server.",
        ),
    ),
    "BrokenPipeError": (
        rule(
            "",
            "the reader at the other end of the pipe has ended",
            "Stop writing: the reader has ended.",
            "Find out why the reader ended first.",
        ),
    ),
    "gaierror": (
        rule(
            "",
            "the name of the host is not known, or no name server answers",
            "Check the spelling of the host.",
            "Look whether this machine has a network: a sandbox often has none.",
        ),
    ),
    "TimeoutError": (
        rule(
            "",
            "the server did not answer in time",
            "Try again after a short wait.",
            "Give it more time, or ask for less at once.",
        ),
    ),
    "BlockingIOError": (
        rule(
            "",
            "reading or writing would have to wait, and the file or socket is non-blocking",
            "Wait until it is ready (select, asyncio), or make it blocking.",
        ),
    ),
    "OSError": (
        rule(r"Errno 28|No space left", "the disk is full", "Remove files that are not needed, and write less."),
        rule(
            r"Errno 24|Too many open files",
            "too many files are open at once",
            "Open files in `with` blocks, so that each is closed.",
            "Go through them one after the other.",
        ),
        rule(
            r"Errno 36|File name too long",
            "the name of a file is too long",
            "Shorten it; was the content given in place of the path?",
        ),
        rule(
            r"Errno 98|Errno 48|Address already in use",
            "another program listens at that port",
            "Choose another port, 0 for any free one, or end the other program.",
        ),
        rule(
            r"Errno 30|Read-only file system",
            "the file system can be read only",
            "Write to a directory of the program's own, such as tempfile.mkdtemp().",
        ),
        rule(r"Errno 27|File too large", "the file is larger than it may be", "Write less, or in several files."),
        rule(
            r"Errno 22|Invalid argument",
            "the operating system rejects an argument: <marked>",
            "Check the path for characters such as ? and : and for backslashes that need an r in front of the quotes.",
        ),
        rule(
            r"handle is closed|Bad file descriptor|Errno 9",
            "a file is used that is closed already",
            "Use it inside the `with` block that opens it.",
        ),
        rule(
            r"^not readable$|^read$|not open for reading",
            "the file is open for writing alone",
            "Open it to be read: mode 'r'; mode 'w+' writes a new file and reads it, 'r+' an old one.",
        ),
        rule(
            r"^not writable$|^write$|not open for writing",
            "the file is open for reading alone",
            "Open it to be written: mode 'w' begins it anew, 'a' appends, 'r+' changes it.",
        ),
        rule(
            r"underlying stream is not seekable|can't do nonzero",
            "the stream cannot be moved to that place",
            "Read it from the beginning to the end; a file of text seeks to 0 or to what tell() returned.",
        ),
        rule(
            "",
            "the operating system refused: <marked>",
            "Look at the message and the path in it.",
            "Catch OSError where the program can go on without it.",
        ),
    ),
    "UnicodeDecodeError": (
        rule(
            r"'(?P<codec>[\w-]+)' codec can't decode bytes? (?P<byte>\S+)? ?in position (?P<at>[\d-]+)",
            "the bytes are no <codec> text: position <at>",
            "Open the file with the encoding it has: open(path, encoding='latin-1'), or 'cp1252', 'utf-16'.",
            "Read it as bytes, open(path, 'rb'), if it is no text.",
            "To go on whatever happens: errors='replace'.",
        ),
    ),
    "UnicodeEncodeError": (
        rule(
            r"'(?P<codec>[\w-]+)' codec can't encode characters? (?P<what>'[^']*')? ?in position (?P<at>[\d-]+)",
            "the text has the character <what>, which <codec> has not",
            "Write it as UTF-8: open(path, 'w', encoding='utf-8'), text.encode('utf-8').",
            "To go on without such characters: errors='replace'.",
        ),
    ),
    "LookupError": (
        rule(
            r"unknown encoding: (?P<name>.+)",
            "Python knows no encoding <name>",
            "Write 'utf-8', 'latin-1', 'cp1252' or 'ascii'.",
        ),
        rule(
            r"unknown error handler name '(?P<name>.+)'",
            "Python knows no error handler <name>",
            "Write 'strict', 'ignore', 'replace' or 'backslashreplace'.",
        ),
    ),
    "EOFError": (
        rule(
            r"when reading a line|^$",
            "input() asked for a line, but the program has no input",
            "Put the value into the code in place of input(): name = 'Ada'.",
            "Give the program what it needs as arguments.",
        ),
        rule("", "the data ended too early: <marked>", "Make sure that the file is whole."),
    ),
    "NotImplementedError": (
        rule(
            "",
            "the code says that this part is not written yet: <code>",
            "Write that part: replace `raise NotImplementedError` by what it is to do.",
            "Override the method in the class that is used.",
        ),
    ),
    "KeyboardInterrupt": (rule("", "the program was interrupted by Ctrl-C", "Run it again if it should continue."),),
    "SystemExit": (
        rule(r"^(?:0|None)?$", "the program ended itself", "Leave exit() out if the lines after it are to run."),
        rule(
            r"^(?P<status>-?\d+)$",
            "the program ended itself with exit code <status>",
            "Look at what it printed before: exit() was called on purpose on <line>.",
            "Raise an exception that says what is wrong in place of exit().",
        ),
        rule(
            r"(?P<text>.+)",
            "the program ended itself: <text>",
            "Correct what it complains about.",
            "Raise an exception in place of exit().",
        ),
    ),
    "GeneratorExit": (
        rule("", "a generator was closed before it ended", "Do not yield while a generator is being closed."),
    ),
    "BufferError": (
        rule(
            "",
            "the memory of <marked> is in use elsewhere",
            "Release what looks at it first: view.release().",
            "Copy it: bytes(value).",
        ),
    ),
    "ReferenceError": (
        rule(
            "",
            "a weak reference points at an object that is gone",
            "Keep the object in a variable as long as it is used.",
        ),
    ),
    "error": (
        rule(
            r"nothing to repeat|multiple repeat|unterminated|missing \)|unbalanced|bad (?:escape|character)"
            r"|unknown extension|look-behind",
            "the regular expression is not valid: <marked>",
            "Write the pattern as r'...', and a backslash before ( ) [ ] { } . * + ? that mean themselves.",
            "To look for a text as it is use re.escape(text), or `in`.",
        ),
        rule(
            r"unpack requires|argument for|bad char in struct",
            "struct was given data or values that the format does not describe",
            "Compare struct.calcsize(format) with len(data), and the types of the values with the format.",
        ),
        rule(
            r"Error -\d+ while|incorrect header|invalid stored|Incorrect padding",
            "the data is not compressed as expected, or is incomplete",
            "Check where it comes from, and that all of it is there.",
        ),
    ),
    "PatternError": (
        rule(
            "",
            "the regular expression is not valid: <marked>",
            "Write the pattern as r'...', and a backslash before ( ) [ ] { } . * + ? that mean themselves.",
            "To look for a text as it is use re.escape(text), or `in`.",
        ),
    ),
    "Error": (
        rule(
            r"Only (?P<name>base\d+) data is allowed",
            "the text is no <name>",
            "Make sure that all of it is there, and nothing else: text.strip() takes blanks and line ends off.",
        ),
        rule(
            r"Incorrect padding|Invalid base64|number of data characters",
            "the text is no base64",
            "Make sure that all of it is there; pad it: text + '=' * (-len(text) % 4).",
        ),
        rule(
            r"line contains NUL|field larger|iterator should return strings",
            "the file is no CSV as expected",
            "Open it with newline='' and the right encoding, as text.",
        ),
    ),
    "OperationalError": (
        rule(
            r"no such table: (?P<name>\S+)",
            "the database has no table <name>",
            "Make it first: CREATE TABLE IF NOT EXISTS <name> (...).",
            "Check that it is the right database file: sqlite3 makes an empty one for a wrong path.",
        ),
        rule(
            r"no such column: (?P<name>\S+)",
            "the query names a column <name> that is not there",
            "Check the columns: PRAGMA table_info(table).",
            "Put texts in single quotes, or better use placeholders: execute(sql, (value,)).",
        ),
        rule(
            r"near \"(?P<what>.+)\": syntax error",
            "the SQL is not valid near <what>",
            "Check the SQL there; use placeholders (?) for values.",
        ),
        rule(
            r"database is locked",
            "another connection writes to the database",
            "Commit and close connections as soon as possible; sqlite3.connect(path, timeout=30) waits longer.",
        ),
        rule(
            r"unable to open database",
            "the file of the database cannot be opened",
            "Check that its directory exists and may be written.",
        ),
    ),
    "IntegrityError": (
        rule(
            r"NOT NULL constraint failed: (?P<table>\w+)\.(?P<name>\w+)",
            "the column <name> of <table> was given no value, and needs one",
            "Give <name> a value, or the column a default.",
        ),
        rule(
            r"UNIQUE constraint failed: (?P<name>\S+)",
            "there is a row with this <name> already",
            "Use INSERT OR REPLACE, or another value.",
        ),
        rule(
            "",
            "the row breaks a rule of the table",
            "Give every column that is needed a value, and check what it refers to.",
        ),
    ),
    "ProgrammingError": (
        rule(
            r"(?P<message>.+)",
            "the database rejects the call: <message>",
            "Give as many values as there are placeholders: execute(sql, (a, b)); one value is (a,).",
        ),
    ),
    "CalledProcessError": (
        rule(
            r"returned non-zero exit status (?P<status>\d+)",
            "the command ended with exit code <status>",
            "Look at what it printed: capture_output=True, then error.stderr.",
            "Leave out check=True where another exit code is no failure.",
        ),
    ),
    "TimeoutExpired": (
        rule(
            r"timed out after (?P<seconds>[\d.]+)",
            "the command took longer than <seconds> seconds",
            "Give it a larger timeout, or less to do.",
        ),
    ),
    "StatisticsError": (
        rule("", "there are too few values for it: <marked>", "Test that there are values: mean needs one, stdev two."),
    ),
    "InvalidOperation": (
        rule(
            "",
            "the text in <marked> is no decimal number",
            "Remove blanks, commas and currency signs first, and test for an empty text.",
        ),
    ),
    "DivisionByZero": (rule("", "a Decimal is divided by zero: <marked>", "Test the divisor first."),),
    "PicklingError": (
        rule(
            "",
            "an object cannot be copied to another process or file: <marked>",
            "Functions and classes are copied by name: define them at the top level of a module, and not as a lambda.",
            "Hand over plain data, and make the object where it is used.",
        ),
    ),
    "BadZipFile": (
        rule("", "the file is no ZIP archive, or a damaged one", "Check the path, and that all of the file is there."),
    ),
    "ReadError": (rule("", "the file is no archive of this kind", "Open it with mode 'r:*', and check the path."),),
    "FrozenInstanceError": (
        rule(
            r"'(?P<name>\w+)'",
            "<name> cannot be assigned: the dataclass is frozen",
            "Make a changed copy: dataclasses.replace(value, <name>=...).",
        ),
    ),
    "CancelledError": (rule("", "the task was cancelled", "Do not catch CancelledError; clean up in finally."),),
    "InvalidStateError": (
        rule("", "the future has no result yet, or has one already", "Await it first; set a result once."),
    ),
    "QueueEmpty": (rule("", "the queue is empty", "Await get() in place of get_nowait()."),),
    "Empty": (rule("", "the queue is empty", "Use get(timeout=...) and catch queue.Empty."),),
    "BrokenProcessPool": (
        rule(
            "",
            "a process of the pool died",
            "Look for what killed it: memory, os._exit, a crash in C code.",
            "Run the function in this process to see its error.",
        ),
    ),
}
