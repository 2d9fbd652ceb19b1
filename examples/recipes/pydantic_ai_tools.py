"""pydantic-ai: policies around the tools of an agent. Its control flow, such as `ModelRetry`, passes untouched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.capabilities.abstract import WrapToolExecuteHandler
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import ToolDefinition

from resilience import Pipeline


@dataclass
class GuardTools(AbstractCapability[Any]):
    """Runs each execution of a tool through *policies*: ``Agent(..., capabilities=[GuardTools(policies)])``."""

    policies: Pipeline

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """Execute the tool, again where that can help."""
        return await self.policies.acall(handler, args)
