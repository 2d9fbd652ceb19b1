"""The JSON Schema of a configuration, for editors and for checks in a pipeline.

It is made of the same `SECTIONS` by which files are read, so it knows every option that can be configured, and cannot
fall behind. What only a policy can check, such as two options that exclude each other, is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from resilience.config._sections import SECTIONS, Section

__all__ = ["json_schema"]


def json_schema() -> dict[str, object]:
    """Return the schema of a ``resilience.toml``, in JSON Schema 2020-12."""
    policy: dict[str, object] = {"base": {"type": "string"}, **{each.name: _section(each) for each in SECTIONS}}
    route = {
        "type": "object",
        "properties": {"match": {"type": "string"}, "policy": {"type": "string"}},
        "required": ["match", "policy"],
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Policies of resilience",
        "type": "object",
        "properties": {
            "policies": {
                "type": "object",
                "additionalProperties": {"type": "object", "properties": policy, "additionalProperties": False},
            },
            "routes": {"type": "array", "items": route},
            "categories": {"type": "object", "additionalProperties": {"type": "object"}},
        },
        "additionalProperties": False,
    }


def _section(section: Section) -> dict[str, object]:
    """Return the schema of a section: a boolean, a table of options, or the one value of its short form."""
    properties: Mapping[str, object] = {option: dict(kind.schema) for option, kind in section.options.items()}
    forms: list[object] = [
        {"type": "boolean"},
        {"type": "object", "properties": properties, "additionalProperties": False},
    ]
    if section.short is not None:
        forms.append(dict(section.options[section.short].schema))
    return {"anyOf": forms}
