"""Configuration of the documentation's site: ``uv run python -m sphinx -W -c website docs build/site``.

The pages are plain Markdown, readable where the repository is browsed, and hold nothing for the generator but the
directives of `docs/reference`. What only the site needs is here: the order of the pages, and where links that leave
`docs/` go.
"""

from __future__ import annotations

import gc
import pathlib
import re
import sys

from sphinx.application import Sphinx

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import resilience  # noqa: E402

# Sphinx keeps most of what it makes: by default the garbage collector takes two fifths of the build's time.
gc.set_threshold(20_000)

project = "resilience"
author = "the maintainers of resilience"
release = version = resilience.__version__
copyright = author  # noqa: A001

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinxcontrib.mermaid",
    "public_reference",
]
root_doc = "index"
default_role = "py:obj"  # `name` in a docstring: a link where it names something public, code where it does not
suppress_warnings = ["config.cache"]

myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]

mermaid_height = "auto"
mermaid_fullscreen = False
myst_enable_extensions = ["deflist"]

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"resilience {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "monokai"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

#: The pages in the order of the sidebar. Sphinx warns of a page that is in none of them, and warnings are errors.
NAVIGATION = {
    "Policies": [
        "standard",
        "clients",
        "retry",
        "circuit-breaker",
        "partial-circuit",
        "timeout",
        "deadline",
        "bulkhead",
        "adaptive-limit",
        "priority",
        "rate-limit",
        "throttle",
        "hedge",
        "fallback",
        "pipeline",
        "transactions",
    ],
    "Failures": ["categories", "errors", "translating", "collecting", "http"],
    "More policies": ["revising", "streams", "extending"],
    "Operation": [
        "configuration",
        "admin",
        "fleet",
        "events",
        "metrics",
        "testing",
        "pytest",
        "chaos",
        "simulation",
        "planning",
    ],
    "Executing code": ["execution", "execution-policy", "execution-loop", "reports"],
    "Reference": [
        "reference/index",
        "reference/cli",
        "reference/categories",
        "reference/libraries",
        "reference/execution-details",
        "reference/lint",
        "reference/fleet",
        "reference/decorating",
        "reference/protected-clients",
        "reference/client-adapters",
        "reference/standard-numbers",
        "reference/stop-reasons",
        "reference/stopped-processes",
        "reference/chaos",
        "reference/migrating",
        "reference/glossary",
    ],
    "Coming from elsewhere": ["migrating"],
    "Measured": [
        "benchmarks/times",
        "benchmarks/storm",
        "benchmarks/load",
        "benchmarks/half-open",
        "benchmarks/clients",
        "benchmarks/reports",
        "benchmarks/fleet",
    ],
    "Examples": ["reference/recipes", "reference/shop"],
}
#: Links from pages to files that are no pages, as they stand in the text, and the page that shows these files.
ELSEWHERE = {"../examples/policies": "reference/examples.md", "../../examples/recipes": "recipes.md"}


def add_what_only_the_site_needs(_: Sphinx, page: str, source: list[str]) -> None:
    """Append the navigation to the first page, and lead links out of `docs/` to the pages that show the files."""
    for target, shown in ELSEWHERE.items():
        source[0] = re.sub(rf"\]\({re.escape(target)}\)", f"]({shown})", source[0])
    if page == root_doc:
        for caption, pages in NAVIGATION.items():
            source[0] += "\n```{toctree}\n:hidden:\n:caption: " + caption + "\n\n" + "\n".join(pages) + "\n```\n"


def setup(app: Sphinx) -> None:
    """Connect the hook above."""
    app.connect("source-read", add_what_only_the_site_needs)
