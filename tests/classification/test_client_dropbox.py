"""dropbox against a server on the loopback: the status decides, and for the refusal of a route the tag of its error."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
import requests.adapters

from resilience.categories import ErrorCategory
from resilience.classification import classify, explain, retry_after
from tests.classification.peers import Peer
from tests.classification.test_delivery import _failure

dropbox = pytest.importorskip("dropbox")
C = ErrorCategory
_JSON = {"content-type": "application/json", "x-dropbox-request-id": "1"}


class _Here(requests.adapters.HTTPAdapter):
    """Sends what is meant for Dropbox to a server on the loopback, where each route has the answer of the test."""

    def __init__(self, port: int, answer: str) -> None:
        self.url = f"http://127.0.0.1:{port}/{answer}"
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        request.url = self.url
        return super().send(request, *args, **options)


def _list(port: int, answer: str = "503") -> Exception:
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", _Here(port, answer))
    client = dropbox.Dropbox("token", session=session, max_retries_on_error=0, max_retries_on_rate_limit=0)
    return _failure(lambda: client.files_list_folder(""))


def _answer(peer: Peer, status: int, error: object, **headers: str) -> Exception:
    name = f"dropbox-{status}"
    peer.answers[name] = (status, _JSON | headers, json.dumps({"error": error, "error_summary": "secret"}).encode())
    return _list(peer.port, name)


def test_a_server_that_refuses_is_a_network_error(closed_port: int) -> None:
    assert classify(_list(closed_port)) is C.NETWORK


@pytest.mark.parametrize(
    ("status", "error", "category"),
    [
        (500, "", C.SERVER_ERROR),
        (503, "", C.UNAVAILABLE),
        (400, "", C.VALIDATION),
        (401, {".tag": "expired_access_token"}, C.AUTHENTICATION),
        (409, {".tag": "path", "path": {".tag": "not_found"}}, C.NOT_FOUND),
        (409, {".tag": "path", "path": {".tag": "restricted_content"}}, C.AUTHORIZATION),
        (409, {".tag": "path", "path": {".tag": "locked"}}, C.CONFLICT),
        (409, {".tag": "path", "path": {".tag": "not_folder"}}, C.VALIDATION),
    ],
)
def test_the_answer_of_the_server_decides(status: int, error: object, category: ErrorCategory, peer: Peer) -> None:
    failure = _answer(peer, status, error)
    assert type(failure).__module__ == "dropbox.exceptions"
    assert classify(failure) is category, explain(failure)
    assert "secret" not in str(explain(failure))


def test_a_rate_limit_says_how_long_to_wait(peer: Peer) -> None:
    limited = {"reason": {".tag": "too_many_requests"}, "retry_after": 12}
    failure = _answer(peer, 429, limited)
    assert classify(failure) is C.RATE_LIMIT
    assert retry_after(failure) == 12.0


def _refused(error: object) -> Exception:
    return dropbox.exceptions.ApiError("id", error, "secret", "en")  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("tag", "category"),
    [
        ("too_many_write_operations", C.RATE_LIMIT),
        ("insufficient_space", C.CAPACITY),
        ("no_write_permission", C.AUTHORIZATION),
        ("disallowed_name", C.VALIDATION),
    ],
)
def test_the_innermost_tag_that_is_known_decides(tag: str, category: ErrorCategory) -> None:
    files = dropbox.files
    write = getattr(files.WriteError, tag)
    in_a_struct = files.UploadError.path(files.UploadWriteFailed(reason=write, upload_session_id="1"))
    for error in (write, files.DeleteError.path_write(write), in_a_struct):
        assert classify(_refused(error)) is category


def test_what_was_in_the_way_does_not_hide_a_conflict() -> None:
    files = dropbox.files
    assert classify(_refused(files.WriteError.conflict(files.WriteConflictError.file))) is C.CONFLICT
    assert classify(_refused(None)) is C.VALIDATION
