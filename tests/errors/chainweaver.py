"""A table of 42 codes as a real application has it, and the classes that belong to it."""

from __future__ import annotations

from typing import Any

from resilience.errors import ResilienceError

ROWS = [
    row.split()
    for row in """
    CW-E000 ChainWeaverError unknown
    CW-E001 ToolNotFoundError not_found
    CW-E002 FlowNotFoundError not_found
    CW-E003 FlowAlreadyExistsError conflict
    CW-E004 SchemaValidationError validation
    CW-E005 InputMappingError validation
    CW-E006 FlowExecutionError runtime
    CW-E007 ToolDefinitionError configuration
    CW-E008 ToolTimeoutError execution_timeout
    CW-E009 ToolOutputSizeError capacity
    CW-E010 DAGDefinitionError configuration
    CW-E011 FlowStatusError conflict
    CW-E012 FlowCancelledError cancelled
    CW-E013 ContextKeyCollisionError conflict
    CW-E014 AsyncLaneUnsupportedError configuration
    CW-E015 FlowCompositionError configuration
    CW-E016 InvalidFlowVersionError validation
    CW-E017 FlowSerializationError validation
    CW-E018 CheckpointDriftError conflict
    CW-E019 CheckpointerNotConfiguredError configuration
    CW-E020 CheckpointNotFoundError not_found
    CW-E021 CheckpointVersionError conflict
    CW-E022 PluginDiscoveryError configuration
    CW-E023 ContribError validation
    CW-E024 MCPError dependency
    CW-E025 MCPSchemaConversionError validation
    CW-E026 MCPToolInvocationError dependency
    CW-E027 MCPMetadataError security
    CW-E028 MCPSchemaDriftError conflict
    CW-E029 ApprovalDeniedError approval
    CW-E030 SafetyCeilingError security
    CW-E031 DecisionCallbackError runtime
    CW-E032 KernelInvocationError dependency
    CW-E033 CostProfileError not_found
    CW-E034 OfflineLLMError generation
    CW-E035 AgentTraceImportError validation
    CW-E036 PredicateSyntaxError syntax
    CW-E037 FlowBuilderError validation
    CW-E038 FuzzConfigError configuration
    CW-E039 AttestationInputError validation
    CW-E040 FixtureStaleError conflict
    CW-E041 OutputMappingError validation
    """.strip().splitlines()
]
TABLE = "\n".join(["| code | error | category |", "|---|---|---|", *(f"| `{a}` | `{b}` | {c} |" for a, b, c in ROWS)])

_BODY = {"__module__": "chainweaver.exceptions"}


def _carries(*names: str) -> dict[str, Any]:
    """Return the body of a class whose constructor wants these attributes, and whose message names them."""

    def init(self: Any, *values: object) -> None:
        Base.__init__(self, f"{type(self).__name__}: {values}", details=dict(zip(names, values, strict=True)))
        for name, value in zip(names, values, strict=True):
            setattr(self, name, value)

    return {"__init__": init}


_ATTRIBUTES = {
    "CW-E001": _carries("tool_name"),
    "CW-E006": _carries("tool_name", "step_index", "detail"),
    "CW-E008": _carries("tool_name", "timeout_seconds"),
    "CW-E009": _carries("tool_name", "max_output_size"),
    "CW-E010": _carries("reason"),
    "CW-E012": _carries("step_index", "result", "deadline_exceeded", "token_cancelled"),
    "CW-E015": _carries("reason"),
    "CW-E033": _carries("provider", "model"),
}

Base: Any = type("ChainWeaverError", (ResilienceError,), dict(_BODY), code="CW-E000", category="unknown")
CLASSES: dict[str, Any] = {"CW-E000": Base} | {
    code: type(name, (Base,), _BODY | _ATTRIBUTES.get(code, {}), code=code, category=category)
    for code, name, category in ROWS[1:]
}
