"""One execution from its request to its report."""

from __future__ import annotations

import functools
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from resilience.contrib.executor import ContainerConfigurationError, ContainerConnectivityError
from resilience.errors._json_safe import Json
from resilience.execution._analysis import analyse, is_clear
from resilience.execution._event_emitter import SuccessReporting
from resilience.execution._outcome import Death, Execution
from resilience.execution._result_decoder import Answer, NoAnswerError
from resilience.execution._session import Conversation, Ending
from resilience.execution._worker.messages import Request
from resilience.execution._worker.recorder import Recording
from resilience.execution._worker_pool import Spares
from resilience.execution._worker_process import Child
from resilience.execution.executor import ExecutionReport
from resilience.execution.request import ExecutionRequest
from resilience.execution.security import SecurityLevel, SecurityPolicy
from resilience.report.failure import Violation

__all__ = ["Run"]

_DEATH = 5.0
_MOST_SAID = 500
_SHORT = 100_000
"""Characters that are looked at, and sent, in no time."""


class Run:
    """One execution: `carry_out`; or where that must not block, `begin`, see if it `is_over`, and `finish_at_once`."""

    def __init__(self, request: ExecutionRequest, spares: Spares) -> None:
        self._request = request
        self._spares = spares
        self._begun: Conversation | None = None
        self._code = request.code.removeprefix("\ufeff")  # a mark of editors, which Python takes off files only
        self._policy, self._rules = _policy_of(request.security_level, tuple(request.allowed_imports))

    def begin(self) -> socket.socket | None:
        """Send the program to a spare, where one waits, and the source is short, and needs no further look.

        Return what becomes readable when there is news of it; None where it was not sent.
        """
        child = self._spares.take() if len(self._code) <= _SHORT and self._is_clear else None
        if child is None:
            return None
        try:
            self._begun = self._converse(child, None)
        except BaseException:
            self._spares.give_back(child, self._rules)
            raise
        return child.control

    def is_over(self) -> bool:
        """Hear the news of what was begun, and return whether that was the end of it."""
        return self._begun is not None and self._begun.hear() is not None

    def finish_at_once(self) -> ExecutionReport | None:
        """Return the report of what was begun, where it has succeeded by now; what else there is, `carry_out` says."""
        ending = None if self._begun is None else self._begun.hear()
        answer = None if ending is None else ending.answer
        quick = answer is not None and answer.get("exception") is None and answer.get("exit_code") == 0
        return self.carry_out() if quick else None

    def give_up(self) -> None:
        """Have what was begun, and is not being carried out, end."""
        if self._begun is not None:
            self._begun.child.kill()
            self._spares.give_back(self._begun.child, self._rules)

    def carry_out(self, tell: SuccessReporting | None = None, wake: int | None = None) -> ExecutionReport | None:
        """Execute it, or go on with what was begun; None where nobody wanted it any more, since *wake* became readable.

        Raises `ContainerConfigurationError` and `ContainerConnectivityError` where there is nothing to execute it with.
        """
        trouble: Exception | None = None
        for fresh in (False, True):
            conversation, self._begun = self._begun, None
            child = conversation.child if conversation else None if fresh else self._spares.take()
            if child is None:
                if self._violations:
                    break
                child = self._spares.start()
            try:
                conversation = conversation or self._converse(child, tell)
                if self._violations:  # looked for while the child compiles the program
                    break
                ending = conversation.hold(self._refill, wake)
                if ending.how == "cancelled":
                    return None
                if ending.how == "answered" or Recording(child.read_recorder()).begun:
                    return self._report(child, conversation, ending, tell)
                # It has not even taken the request: a spare may have died while it waited. A fresh one tells more.
                trouble = _not_ready(child, conversation, ending)
            finally:
                self._spares.give_back(child, self._rules)
        if trouble is not None:
            raise trouble
        return self._known().refused(self._violations)

    @functools.cached_property
    def _is_clear(self) -> bool:
        return is_clear(self._code, self._policy)

    @functools.cached_property
    def _violations(self) -> Sequence[Violation]:
        return () if self._is_clear else analyse(self._code, self._policy)

    def _refill(self) -> None:
        self._spares.refill(self._rules)

    def _converse(self, child: Child, tell: SuccessReporting | None) -> Conversation:
        child.may_start_processes = self._policy.processes
        return Conversation(child, self._message(child), tell)

    def _message(self, child: Child) -> Request:
        request = self._request
        message: Request = {
            "kind": "run",
            "code": self._code,
            "timeout": request.seconds,
            "memory": request.memory_bytes,
            "checked": self._is_clear,
        }
        if child.prepared_for != self._rules:
            message["policy"] = self._rules
        if request.working_directory is not None:
            message["directory"] = str(Path(request.working_directory).absolute())
        if request.return_variables is not None:
            message["variables"] = list(request.return_variables)
        if request.trace:
            message["trace"] = True
        return message

    def _report(
        self, child: Child, conversation: Conversation, ending: Ending, tell: SuccessReporting | None
    ) -> ExecutionReport:
        if tell is not None:
            for name, output in (("stdout", conversation.stdout), ("stderr", conversation.stderr)):
                if output.is_cut:
                    tell("warning", f"{name} was too long: its middle is left out of the report")
        known = self._known(child, conversation)
        trouble = ending.trouble
        if ending.answer is not None:
            try:
                return known.answered(Answer.of(ending.answer))
            except NoAnswerError as error:
                trouble = str(error)
                child.kill()  # or it would be waited for, perhaps by an event loop
        child.wait(_DEATH)
        return known.died(
            Death(
                late=ending.how == "killed",
                trouble=trouble,
                status=child.status,
                most_memory=child.most_memory,
                seconds=ending.seconds,
            )
        )

    def _known(self, child: Child | None = None, conversation: Conversation | None = None) -> Execution:
        return Execution(
            execution_id=f"exec_{os.urandom(6).hex()}" if child is None else child.execution_id,
            request=self._request,
            code=self._code,
            policy=self._policy,
            recorder=bytes if child is None else child.read_recorder,
            stdout="" if conversation is None else conversation.stdout.text(),
            stderr="" if conversation is None else conversation.stderr.text(),
            python="" if child is None else child.python_version,
            memory_is_limited=sys.platform == "linux",
        )


@functools.lru_cache(maxsize=64)
def _policy_of(
    level: SecurityPolicy | SecurityLevel | str, imports: tuple[str, ...]
) -> tuple[SecurityPolicy, dict[str, Json]]:
    policy = SecurityPolicy.of(level, imports)
    return policy, policy.to_dict()


def _not_ready(
    child: Child, conversation: Conversation, ending: Ending
) -> ContainerConfigurationError | ContainerConnectivityError:
    child.wait(_DEATH)
    details = {"python": child.python, "status": child.status, "stderr": conversation.stderr.text()[-_MOST_SAID:]}
    if ending.how == "corrupt":
        said = f"does not speak as a Python 3.11 or later does ({ending.trouble}); give the path of one"
        return ContainerConfigurationError(f"python={child.python!r} {said}", details)
    if ending.how == "mute" or (child.status or 0) < 0:
        said = "did not get ready in time" if ending.how == "mute" else "was ended from outside while it got ready"
        return ContainerConnectivityError(f"python={child.python!r} {said}", "localhost", 0, details)
    said = f"ended with status {child.status} before it took any code; give the path of a Python 3.11 or later"
    return ContainerConfigurationError(f"python={child.python!r} {said}", details)
