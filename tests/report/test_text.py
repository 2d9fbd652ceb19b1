"""Reports as texts do nothing to a terminal but show."""

from __future__ import annotations

from resilience.report import ErrorReport


def test_what_a_program_says_cannot_steer_a_terminal():
    try:
        raise ValueError("\x1b[2Jgone \x1b]0;title\x07 \x9b31m and \u202eback")
    except ValueError as error:
        report = ErrorReport.from_exception(error)
    for text in (report.render(), str(report), report.to_llm()):
        assert "\\x1b[2Jgone" in text
        assert not set("\x1b\x07\x9b\u202e") & set(text)


def test_source_lines_keep_their_tabs():
    code = "if True:\n\tmissing\n"
    try:
        exec(compile(code, "<tabs>", "exec"), {})
    except NameError as error:
        assert "\tmissing" in ErrorReport.from_exception(error, source=code, filename="<tabs>").render()
