"""Tables of the messages of libraries, by the library: the cause, advice, the corrected expression where it is sure.

The key is the name by which the library is imported. `libraries` searches a table only where the failure or the program
names that library, in the order of the tables, and takes the first rule that matches: a rule that has a number or a
name in its pattern stands before one for all such messages.

`rules.Rule` says what may stand in the texts. A ``fix`` is given only where it is right for all programs with that
message: ``reshape(-1, 1)`` may be a row or a column, so it is an advice.

A rule belongs here where the message and the failing expression are enough. What needs the shapes of arrays, the
columns of tables or another line of the program is a function of `table_corrections` or `library_corrections`.

>>> from resilience.report._diagnosis.regex_cache import search_pattern
>>> message = "Can only use .str accessor with string values, not integer"
>>> next(each.fix for each in RULES["pandas"] if search_pattern(each.pattern, message))
'<target>.astype(str).str'
"""

from __future__ import annotations

from resilience.report._diagnosis.rules import Rule, rule

__all__ = ["RULES"]

_MARKERS = {
    "circle": "o",
    "dot": ".",
    "point": ".",
    "square": "s",
    "star": "*",
    "plus": "+",
    "cross": "x",
    "diamond": "D",
}

RULES: dict[str, tuple[Rule, ...]] = {
    "pandas": (
        rule(
            r"concat\(\) takes 1 positional argument but \d+ (?:was|were) given|first argument must be an iterable of "
            r"pandas objects",
            "concat() takes one list of tables",
            "Give it the tables as one list: <function>([<first>, <second>]).",
            fix="<function>([<first>, <second>])",
        ),
        rule(
            r"fillna\(\) got an unexpected keyword argument 'method'",
            "fillna() fills with a value alone since pandas 3.0",
            "Write ffill() or bfill() instead: <target>.ffill().",
        ),
        rule(
            r"unsupported operand type\(s\) for -: 'str' and 'str'|operation 'sub' not supported for dtype 'str'",
            "texts are subtracted: <left> and <right>",
            "Make dates or numbers of both first: pd.to_datetime(<left>), or pd.to_numeric(<left>).",
        ),
        rule(
            r"Only valid with DatetimeIndex, TimedeltaIndex or PeriodIndex",
            "the rows are numbered, and not labelled with times",
            "Name the column with the times: on='...'; or make it the index: set_index('...').",
        ),
        rule(
            r"No axis named (?P<name>\S+) for object type (?P<kind>\w+)",
            "<a kind> has no axis <name>",
            "Write axis='index', or 0, for the rows, and axis='columns', or 1, for the columns.",
        ),
        rule(
            r"^Trailing data",
            "the text has more than one JSON document",
            "Read one document a line: <function>(..., lines=True).",
        ),
        rule(
            r"Bin labels must be one fewer than the number of bin edges",
            "there are not as many labels as bins",
            "Give a label for each bin: one fewer than the edges.",
        ),
        rule(
            r"Can only use \.str accessor with string values",
            "<target> holds no texts, so it has no .str",
            "Make texts of the values first: <target>.astype(str).str.",
            fix="<target>.astype(str).str",
        ),
        rule(
            r"Can only use \.dt accessor with datetimelike values",
            "<target> holds no dates, so it has no .dt",
            "Make dates of the values first: pd.to_datetime(<target>).dt.",
            fix="pd.to_datetime(<target>).dt",
        ),
        rule(
            r"Can only use \.cat accessor with a 'category' dtype",
            "<target> holds no categories, so it has no .cat",
            "Make categories of the values first: <target>.astype('category').cat.",
            fix="<target>.astype('category').cat",
        ),
        rule(
            r"single positional indexer is out-of-bounds|positional indexers are out-of-bounds"
            r"|index \d+ is out of bounds for axis 0 with size \d+",
            "<target> has no row at position <index>",
            "Positions go from 0 to len - 1: the last row is <target>[-1].",
        ),
        rule(
            r"All arrays must be of the same length",
            "the columns have different lengths: <marked>",
            "Give every column as many values: fill the shorter ones with None.",
        ),
        rule(
            r"Length of values \((?P<given>\d+)\) does not match length of index \((?P<size>\d+)\)",
            "<given> values are given for a table with <size> rows",
            "Give <size> values, one for each row, or assign a Series, whose index says where each belongs.",
        ),
        rule(
            r"Length mismatch: Expected axis has (?P<size>\d+) elements, new values have (?P<given>\d+)",
            "the table has <size> columns, and <given> names are given",
            "Give <size> names, or rename some of them: df.rename(columns={'old': 'new'}).",
        ),
        rule(
            r"Unable to parse string (?P<text>\".*?\"|'.*?') at position (?P<at>\d+)",
            "<text>, at position <at>, is no number",
            "Make a missing value of what is no number: pd.to_numeric(<first>, errors='coerce').",
            fix="<function>(<only>, errors='coerce')",
        ),
        rule(
            r"[Cc]annot convert (?:non-finite values|float NaN)",
            "<target> has missing values, which are no whole numbers",
            "Fill them first, .fillna(0), drop them, .dropna(), or use the type 'Int64', which has missing values.",
            fix="<target>.fillna(0).astype(<only>)",
        ),
        rule(
            r"Cannot perform reduction '(?P<name>\w+)' with string dtype|Could not convert .* to numeric"
            r"|dtype '(?:str|object|string)' does not support operation '(?P<operation>\w+)'|agg function failed"
            r"|unsupported operand type\(s\) for \+: 'int' and 'str'",
            "a column of <target> holds texts, which cannot be computed with",
            "Take the columns with numbers alone: numeric_only=True, or df.select_dtypes('number').",
            fix="<function>(numeric_only=True)",
        ),
        rule(
            r"You are trying to merge on (?P<one>\w+) and (?P<two>\w+) columns for key '(?P<key>[^']+)'",
            "the column '<key>' is <one> in one table and <two> in the other",
            "Give both one type before: <target> = <target>.astype({'<key>': str}), and the same for the other.",
            fix="<target>.astype({'<key>': str}).merge(<first>.astype({'<key>': str}), on='<key>')",
        ),
        rule(
            r"time data \"(?P<text>(?:1[3-9]|2\d|3[01])[/.-]\d\d?[/.-]\d{4})\" doesn't match format",
            "the text <text> is not a date in the format that is given: its day comes first",
            "Write the format as the text is, %d/%m/%Y, or dayfirst=True without a format.",
        ),
        rule(
            r"time data \"(?P<text>[^\"]+)\" doesn't match format \"(?P<format>[^\"]+)\"",
            "the text <text> is not a date in the format <format>",
            "Write the format as the text is, or leave it out: format='mixed' guesses for each value.",
        ),
        rule(
            r"[Ii]ndex contains duplicate entries, cannot reshape",
            "two rows belong to one cell of the new table",
            "Say how to combine them: pivot_table(index=..., columns=..., values=..., aggfunc='sum').",
            "Or remove one of them first: drop_duplicates().",
        ),
        rule(
            r"If using all scalar values, you must pass an index",
            "a table of single values needs an index: <marked>",
            "Give it one row: pd.DataFrame([{...}]), or index=[0].",
            fix="<function>([<only>])",
        ),
        rule(
            r"'(?P<old>\w+)' is no longer supported for offsets\. Please use '(?P<new>\w+)'",
            "the frequency '<old>' has another name now",
            "Write '<new>' instead of '<old>'.",
        ),
        rule(
            r"cannot reindex on an axis with duplicate labels",
            "the index has labels twice",
            "Make them unique first: reset_index(drop=True), or drop_duplicates().",
        ),
        rule(
            r"Columns must be same length as key",
            "as many columns are assigned as there are names on the left only where both have the same number",
            "Assign as many columns as there are names.",
        ),
        rule(
            r"cannot insert (?P<name>\S+), already exists",
            "the table has a column <name> already",
            "Leave the index out where it is reset: reset_index(drop=True); to change the column assign it.",
        ),
        rule(
            r"No objects to concatenate",
            "concat() got an empty list",
            "Test that there are tables before: the list is empty.",
        ),
        rule(
            r"cannot concatenate object of type '.*(?P<kind>dict|list|str)",
            "concat() takes tables and Series only, and got a <kind>",
            "Make a table of it first: pd.DataFrame([row]).",
        ),
        rule(
            r"Error tokenizing data\. C error: Expected (?P<want>\d+) fields in line (?P<line>\d+), saw (?P<got>\d+)",
            "line <line> of the file has <got> fields and not <want>",
            "Check the separator (sep=';'), or skip such lines: on_bad_lines='skip'.",
        ),
        rule(
            r"No columns to parse from file",
            "the file is empty",
            "Check the path, and that the file has been written and closed before.",
        ),
    ),
    "numpy": (
        rule(
            r"(?:dtype\('|StrDType|type\(s\) for \S+: 'numpy\.str_').*(?:add\.reduce|multiply\.reduce)|"
            r"(?:add|multiply)\.reduce.*dtype\('<U|did not contain a loop with signature matching types "
            r".*(?:<U|StrDType)",
            "<target> holds texts, and no numbers",
            "Make numbers of the texts first: .astype(float).",
        ),
        rule(
            r"object of type <class 'float'> cannot be safely interpreted as an integer|'float' object cannot be "
            r"interpreted as an integer",
            "a count is a float: <marked>",
            "Make it a whole number: int(...), or // in place of /.",
        ),
        rule(
            r"(?:probabilities do not sum to 1|Probabilities do not sum to 1)",
            "the probabilities do not sum to 1",
            "Divide them by their sum: p = np.array(p) / sum(p).",
        ),
        rule(
            r"boolean index did not match indexed array along axis (?P<axis>\d+); size of axis is (?P<size>\d+) but "
            r"size of corresponding boolean axis is (?P<given>\d+)",
            "the mask <index> has <given> elements, and <target> has <size>",
            "Compute the mask from the array itself: <target>[<target> > limit].",
        ),
        rule(
            r"all input arrays must have the same shape",
            "the arrays have different shapes",
            "Give each array the same shape, or join them end to end: np.concatenate(<first>).",
        ),
        rule(
            r"truth value of an? ",
            "<marked> has many truth values, and not one",
            "Combine conditions with & and |, each in parentheses; or ask (<marked>).any() or (<marked>).all().",
        ),
        rule(
            r"operands could not be broadcast together with shapes (?P<one>\([\d,]*\)) (?P<two>\([\d,]*\))",
            "<left> has the shape <one> and <right> the shape <two>: these do not go together",
            "Make the last dimensions equal: <right>[:, None] stands for a column, <right>.reshape(...) for any shape.",
            "Give both the same shape: <one> and <two> are equal in no dimension that counts from the last one.",
        ),
        rule(
            r"could not broadcast input array from shape (?P<given>\([\d,]*\)) into shape (?P<place>\([\d,]*\))",
            "an array of the shape <given> does not fit into a place of the shape <place>",
            "Assign an array of the shape <place>, or one number; or assign to a part of the shape <given>.",
        ),
        rule(
            r"matmul: .*\(size (?P<two>\d+) is different from (?P<one>\d+)\)",
            "the rows of <left> have <one> elements and the columns of <right> have <two>",
            "Make the inner sizes equal: <right> with <one> rows, or <left> with <two> columns; .T transposes.",
        ),
        rule(
            r"shapes (?P<one>\([\d,]*\)) and (?P<two>\([\d,]*\)) not aligned",
            "the shapes <one> and <two> do not go together in a product",
            "Transpose one of them, so that the inner sizes are equal.",
        ),
        rule(
            r"cannot reshape array of size (?P<size>\d+) into shape (?P<shape>\([\w,]+\))",
            "<target> has <size> elements, which do not fill the shape <shape>",
            "Take sizes whose product is <size>; one of them may be -1, and is computed: reshape(-1, ...).",
        ),
        rule(
            r"all the input array dimensions .* must match exactly, but along dimension 1",
            "the arrays have different numbers of columns: <marked>",
            "Put them side by side with axis=1, or np.hstack([...]).",
            fix="<function>(<only>, axis=1)",
        ),
        rule(
            r"index (?P<index>-?\d+) is out of bounds for axis (?P<axis>\d+) with size (?P<size>\d+)",
            "<target> has the size <size> along axis <axis>: there is no index <index>",
            "Indexes along axis <axis> go from 0 to size - 1: the last one is -1.",
        ),
        rule(
            r"only integers, slices .* are valid indices",
            "<index> is no whole number",
            "Make it one: // divides to a whole number, int(...) cuts one off.",
        ),
        rule(
            r"Cannot interpret '(?P<size>\d+)' as a data type",
            "the second argument is the type of the elements, and <size> is none",
            "Give the shape as one tuple: <function>((<first>, <second>)).",
            fix="<function>((<first>, <second>))",
        ),
        rule(
            r"setting an array element with a sequence\. The requested array has an inhomogeneous shape",
            "the rows have different lengths: <marked>",
            "Give every row the same length, or make an array of lists: dtype=object.",
            fix="<function>(<only>, dtype=object)",
        ),
        rule(
            r"Cannot cast ufunc '(?P<name>\w+)' output from dtype\('(?P<new>\w+)'\) to dtype\('(?P<old>\w+)'\)",
            "the array has the type <old>, and the result is <new>: it cannot be stored in place",
            "Make a new array, a = a + b in place of a += b, or begin with one of the type <new>: astype(float).",
        ),
        rule(
            r"axis (?P<axis>-?\d+) is out of bounds for array of dimension (?P<dimensions>\d+)",
            "an array of dimension <dimensions> has no axis <axis>: they count from 0",
            "Leave axis out, or take one below <dimensions>: the first one is axis=0.",
        ),
        rule(
            r"only integer scalar arrays can be converted to a scalar index",
            "an array stands where one number is needed: an axis, an index or a count",
            "Compare two arrays element by element with np.maximum(a, b) or np.minimum(a, b).",
            "Join arrays as one list: np.concatenate([a, b]).",
        ),
        rule(
            r"Singular matrix",
            "the matrix has no inverse: its rows depend on each other",
            "Use np.linalg.pinv() or np.linalg.lstsq(), or correct the matrix.",
        ),
        rule(
            r"'numpy\.ndarray' object has no attribute '(?P<name>append|extend|push|add)'",
            "an array has a fixed size, and no <name>()",
            "Write <target> = np.append(<target>, value), or collect the values in a list first.",
        ),
        rule(
            r"'numpy\.ndarray' object has no attribute '(?P<name>plot|set_\w+|bar|hist|scatter)'",
            "<target> is an array of axes, one for each plot",
            "Take one of them: <target>[0, 0].<name>(...) in a grid, <target>[0].<name>(...) in a row; .flat has all.",
        ),
        rule(
            r"'numpy\.(?P<kind>float64|int64|bool)' object is not callable",
            "<target> is a number, which cannot be called",
            "Leave out the parentheses, or write an operator between.",
        ),
    ),
    "sklearn": (
        rule(
            r"Expected 2D array, got 1D array instead",
            "the features are to be a table with a row for each sample, and <first> is a single row",
            "Make a column of it: <first>.reshape(-1, 1); of a single sample: <first>.reshape(1, -1).",
        ),
        rule(
            r"inconsistent numbers of samples: \[(?P<one>\d+), (?P<two>\d+)\]",
            "the features have <one> samples and the targets have <two>",
            "Give both as many: a row of features for each target.",
        ),
        rule(
            r"This (?P<model>\w+) instance is not fitted yet",
            "<target> has learned nothing yet",
            "Call <target>.fit(X, y) before <line>.",
        ),
        rule(
            r"has no attribute '_validate_params'",
            "<target> is the class and not a model of it",
            "Make a model first, with parentheses: <target> = ...().",
        ),
        rule(
            r"could not convert string to float: (?P<text>.+)",
            "the features have the text <text>, and a model takes numbers alone",
            "Encode texts as numbers first: pd.get_dummies(X), or OneHotEncoder in a pipeline.",
        ),
        rule(
            r"Input (?P<name>\w+) contains NaN",
            "<name> has missing values, which this model does not take",
            "Fill them first: SimpleImputer().fit_transform(<first>), or drop such rows with dropna().",
        ),
        rule(
            r"X has (?P<given>\d+) features, but (?P<model>\w+) is expecting (?P<want>\d+) features",
            "<model> was fitted with <want> features, and is given <given>",
            "Give <target> rows with <want> features each, in the order that it was fitted with.",
        ),
        rule(
            r"Unknown label type: continuous",
            "<target> is a classifier, and the labels are numbers of any size",
            "Use a regression model, such as LinearRegression, or make class labels of the numbers.",
        ),
        rule(
            r"The 'scoring' parameter of \w+ must be .* Got '(?P<name>mean_squared_error|mean_absolute_error|"
            r"log_loss|root_mean_squared_error|median_absolute_error)'",
            "an error is scored with a minus, so that more is better",
            "Write 'neg_<name>' instead of '<name>'.",
        ),
        rule(
            r"least populated class in y has only 1 member|n_splits=(?P<n>\d+) cannot be greater",
            "a class has too few samples to be split",
            "Leave out stratify=, take fewer splits, or give the class more samples.",
        ),
        rule(
            r"Classification metrics can't handle a mix of (?P<one>\w+) and (?P<two>\w+) targets",
            "the true values are <one> and the predictions are <two>",
            "Make classes of the predictions first: predict() in place of predict_proba(), or round(). ",
        ),
    ),
    "matplotlib": (
        rule(
            r"x and y must have same first dimension, but have shapes (?P<one>\(.*?\)) and (?P<two>\(.*?\))",
            "x has the shape <one> and y the shape <two>",
            "Give as many values of x as of y.",
        ),
        rule(
            r"x and y must be the same size",
            "x and y have different numbers of values",
            "Give as many values of x as of y.",
        ),
        rule(
            r"Mismatch is between '(?P<one>\w+)' with shape (?P<first>\(.*?\)) and '(?P<two>\w+)' with shape "
            r"(?P<second>\(.*?\))",
            "<one> has the shape <first> and <two> the shape <second>",
            "Give as many values of <two> as of <one>.",
        ),
        rule(
            r"'Text' object is not callable",
            "<function> is the title of the axes, and no method",
            "Write set_title instead of title.",
        ),
        rule(
            r"'(?P<style>seaborn(?:-\w+)?)' is not a valid package style",
            "the style <style> is called seaborn-v0_8 now",
            "Write 'seaborn-v0_8' instead of 'seaborn'.",
        ),
        rule(
            r"'(?P<old>\w+)' is not a valid value for (?P<what>\w+).*Did you mean one of: '(?P<new>\w+)'",
            "there is no <what> '<old>'",
            "Write '<new>' instead of '<old>'.",
        ),
        rule(
            r"'(?P<old>\w+)' is not a valid value for (?P<what>\w+)(?:; supported values are (?P<values>[^\n]+))?",
            "there is no <what> '<old>'",
            "Take one of <values>.",
        ),
        *(
            rule(
                rf"Unrecognized marker style '(?P<old>{name})'",
                "markers are written as one character, and '<old>' is none",
                f"Write '{mark}' instead of '<old>'.",
            )
            for name, mark in _MARKERS.items()
        ),
    ),
    "polars": (
        rule(
            r"'(?P<kind>Expr\w+NameSpace)' object is not callable",
            "<target> has methods, and is none",
            "Write alias instead of name.",
            "Or call one of its methods.",
        ),
        rule(
            r"unable to vstack, column names don't match: \"(?P<one>[^\"]+)\" and \"(?P<two>[^\"]+)\"",
            "the tables have different columns: '<one>' and '<two>'",
            "Rename the columns first, or fill what is missing with how='diagonal'.",
            fix="<function>(<only>, how='diagonal')",
        ),
    ),
    "sqlalchemy": (
        rule(
            r"NOT NULL constraint failed: (?P<table>\w+)\.(?P<name>\w+)",
            "the column <name> of <table> was given no value, and needs one",
            "Give <name> a value where the row is made, or the column a default.",
        ),
        rule(
            r"expected, got \[.+\]\. Did you mean to say select\(",
            "select() takes columns, and no list of them, since SQLAlchemy 2.0",
            "Leave out the brackets: select(first, second).",
        ),
        rule(
            r"Not an executable object: (?P<sql>'.+'|\".+\")",
            "SQL written as a plain text is not executed",
            "Wrap it in text(): from sqlalchemy import text, then <function>(text(<first>)).",
            fix="<function>(__import__('sqlalchemy').text(<only>))",
        ),
        rule(
            r"no such table: (?P<name>\S+)",
            "the database has no table <name>",
            "Check its name, and that it is created before: metadata.create_all(engine), or CREATE TABLE.",
        ),
        rule(
            r"no such column: (?P<name>\S+)",
            "no table of the query has a column <name>",
            "Check its name; texts stand in single quotes, values are given as parameters: text('... :name').",
        ),
        rule(
            r"could not assemble any primary key columns for mapped table '(?P<name>\w+)'",
            "the table <name> has no primary key",
            "Make a column the key: id = Column(Integer, primary_key=True).",
        ),
        rule(
            r"Can't load plugin: sqlalchemy\.dialects:(?P<name>sq?l+ite\w*|sqlit\w*)",
            "SQLAlchemy knows no database '<name>'",
            "Write sqlite instead of <name>.",
        ),
        rule(
            r"Can't load plugin: sqlalchemy\.dialects:(?P<name>postgres)$",
            "SQLAlchemy knows no database '<name>'",
            "Write postgresql instead of <name>.",
        ),
        rule(
            r"Can't load plugin: sqlalchemy\.dialects:(?P<name>\w+)",
            "SQLAlchemy knows no database '<name>'",
            "Begin the URL with sqlite, postgresql, mysql, oracle or mssql.",
        ),
    ),
    "yaml": (
        rule(
            r"load\(\) missing 1 required positional argument: 'Loader'",
            "yaml.load() wants to know which objects a document may make",
            "Write safe_load instead of load.",
        ),
        rule(
            r"found character '\\t' that cannot start any token",
            "YAML is indented with blanks, and the text has a tab",
            "Put blanks in place of the tab (\\t).",
        ),
    ),
    "bs4": (
        rule(
            r"'NoneType' object has no attribute '(?P<name>\w+)'",
            "<target> found nothing: no tag of the document has that name and these attributes",
            "<target> found nothing: correct the tag or the class that is looked for, or test for None first.",
        ),
        rule(
            r"ResultSet object has no attribute \"(?P<name>\w+)\"",
            "<target> is a list of tags, and not one tag",
            "Do it for each: [each.<name> for each in <target>]; find() returns the first one alone.",
            fix="[each.<name> for each in <target>]",
        ),
    ),
    "jinja2": (
        rule(
            r"'(?P<name>\w+)' is undefined",
            "the template uses '<name>', which render() is not given",
            "Pass it to the template: render(<name>=...).",
        ),
        rule(
            r"Unexpected end of template\. .*following tags: '(?P<tag>\w+)'",
            "a block of the template is not closed",
            "Close it with {% <tag> %}.",
        ),
    ),
    "pydantic": (
        rule(
            r"Input should be a valid dictionary or instance of (?P<model>\w+) \[type=model_type, .*input_type=str\]",
            "<model> is given a text, and no dict",
            "Write model_validate_json instead of model_validate.",
        ),
        rule(
            r"`BaseSettings` has been moved to the `pydantic-settings` package",
            "BaseSettings has a package of its own",
            "Write from pydantic_settings import BaseSettings.",
        ),
        rule(
            r"A non-annotated attribute was detected: `(?P<name>\w+) = (?P<value>.+?)`",
            "the field <name> has no type",
            "Annotate it: <name>: float = <value>, with the type it has.",
        ),
    ),
    "sympy": (
        rule(
            r"Cannot convert expression to float",
            "<function> computes with numbers, and got an expression with symbols",
            "Use the function of sympy in place of that of math: from sympy import sin, cos, exp, log, sqrt.",
        ),
        rule(
            r"cannot determine truth value of Relational: (?P<what>.+)",
            "<what> is neither true nor false while its symbols have no value",
            "Give the symbols values first: (<what>).subs(symbol, number).",
        ),
    ),
    "networkx": (
        rule(
            r"(?P<end>Target|Source|Node) (?P<node>.+?) is not in",
            "the graph has no node <node>",
            "Check the name of the node: graph.nodes lists them.",
        ),
        rule(
            r"No path between (?P<one>.+) and (?P<two>.+)\.",
            "<one> and <two> are not connected",
            "Test first: nx.has_path(graph, one, two), or catch nx.NetworkXNoPath.",
        ),
    ),
    "scipy": (
        rule(
            r"f\(a\) and f\(b\) must have different signs",
            "the function has one sign at both ends: the interval holds no root, or two",
            "Give an interval at whose ends the function has different signs.",
        ),
    ),
    "PIL": (
        rule(
            r"(?P<name>crop|resize|thumbnail|paste|new|point)\(\) takes .*positional arguments? but (?P<given>\d+)",
            "<name>() takes its numbers as one tuple: <marked>",
            "Put the numbers into one tuple, in parentheses of its own.",
        ),
        rule(
            r"'int' object is not iterable",
            "the size is one argument, a pair: <marked>",
            "Write <function>((<first>, <second>)).",
            fix="<function>((<first>, <second>))",
        ),
        rule(
            r"cannot write mode RGBA as JPEG",
            "JPEG has no transparency",
            "Convert the picture first: <target>.convert('RGB').save(...).",
        ),
        rule(
            r"cannot identify image file",
            "the file is no picture that Pillow knows, or is damaged",
            "Check what the file holds: it may be an error page, or empty.",
        ),
    ),
    "dateutil": (
        rule(
            r"(?P<what>month|day|hour|minute|second) must be in (?P<range>[\d.]+): (?P<text>.+)",
            "the text <text> is no date: its <what> is not in <range>",
            "Correct the text; for a day before the month pass dayfirst=True.",
        ),
    ),
    "click": (
        rule(
            r"No such option '?:? ?(?P<old>--[\w-]+)'?\.?(?: Did you mean (?P<new>--[\w-]+)\?)?",
            "the command has no option <old>",
            "Check the name of the option: the function's decorators define it.",
        ),
    ),
}
