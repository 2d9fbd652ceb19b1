"""The APIs of Elasticsearch, sorted by what a second request would do.

Many reads of Elasticsearch are a POST, for a search has a body. So the method of a request does not say whether it may
be sent twice; its path does. An API that is not known here counts by its method, and a POST may then be sent once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

__all__ = ["READS", "REPEATABLE_WRITES", "api_of", "method_of"]

_READS: Final = """
    _analyze _cluster/allocation/explain _count _eql/search _explain _field_caps _fleet/_fleet_msearch
    _fleet/_fleet_search _graph/explore _index_template/_simulate _index_template/_simulate_index
    _ingest/_simulate _ingest/pipeline/_simulate _knn_search _mget _ml/anomaly_detectors/_estimate_model_memory
    _ml/anomaly_detectors/_validate _ml/anomaly_detectors/_validate/detector _ml/data_frame/_evaluate
    _ml/data_frame/analytics/_explain _msearch _msearch/template _mtermvectors _mvt _query _rank_eval _render/template
    _rollup_search _scripts/painless/_execute _search _search/template _search_shards _security/_query/role
    _security/_query/user _security/profile/_has_privileges _security/profile/_suggest
    _security/user/_has_privileges _sql/translate _terms_enum _termvectors _text_structure/find_message_structure
    _text_structure/find_structure _text_structure/test_grok_pattern _transform/_preview _validate/query
    _watcher/_query/watches
"""
READS: Final = frozenset(_READS.split())
"""APIs that change nothing, whatever their method is."""

REPEATABLE_WRITES: Final = frozenset({"_cache/clear", "_close", "_doc", "_flush", "_open", "_refresh"})
"""APIs for which a POST comes to the same twice: ``_doc`` where the request has the id of the document."""

_WITH_ID: Final = frozenset({"_create", "_doc", "_explain", "_mvt", "_render/template", "_termvectors", "_update"})
"""APIs whose path goes on after their name: with an id, or with other values that are no part of the name."""

_CONDITIONS: Final = frozenset({"if_primary_term", "if_seq_no", "version"})
"""Parameters by which a write fails where the document has changed: also where the first request has changed it."""

_ONCE: Final = frozenset(
    {
        "_bulk",
        "_connector",
        "_create",
        "_monitoring/bulk",
        "_search/scroll",
        "_security/api_key",
        "_security/api_key/clone",
        "_sql",
    }
)
"""APIs that do more, or answer otherwise, when they are called again, some of them by PUT: by a conflict, a new key or
the next page."""


def api_of(path: str) -> str:
    """Return the API that *path* belongs to: its parts after the index, without an id.

    >>> api_of("/books/_search"), api_of("/_bulk"), api_of("/books/_doc/_search"), api_of("/books")
    ('_search', '_bulk', '_doc', '')
    """
    parts = [part for part in path.partition("?")[0].split("/") if part]
    if parts and (parts[0] == "_all" or not parts[0].startswith("_")):
        del parts[0]  # the index
    name = "/".join(parts)
    for length in (1, 2):
        begin = "/".join(parts[:length])
        if begin in _WITH_ID:
            return begin
    return name


def method_of(method: str, path: str, params: Mapping[str, object] | None = None) -> str:
    """Return the HTTP method that is as idempotent as the request: GET, PUT, DELETE or POST.

    >>> method_of("POST", "/books/_search"), method_of("POST", "/books/_doc"), method_of("POST", "/books/_doc/7")
    ('GET', 'POST', 'PUT')
    >>> method_of("PUT", "/_bulk"), method_of("PUT", "/books/_doc/7", {"if_seq_no": 4})
    ('POST', 'POST')
    """
    api = api_of(path)
    verb = method.upper()
    if api in _ONCE:
        return "POST"
    if verb in ("GET", "HEAD") or api in READS:
        return "GET"
    if api.endswith("/_execute") or _is_conditional(path, params):
        return "POST"
    if verb == "POST" and _is_repeatable(api, path):
        return "PUT"
    return verb


def _is_repeatable(api: str, path: str) -> bool:
    """Return whether a POST to *path* comes to the same twice."""
    if api == "_doc":  # without an id each request makes a document of its own
        return not path.partition("?")[0].rstrip("/").endswith("/_doc")
    return api in REPEATABLE_WRITES


def _is_conditional(path: str, params: Mapping[str, object] | None) -> bool:
    """Return whether a write depends on the document as it was before."""
    query = dict(parse_qsl(path.partition("?")[2]))
    given: dict[str, object] = {**query, **(params or {})}
    return given.get("op_type") == "create" or not _CONDITIONS.isdisjoint(given)
