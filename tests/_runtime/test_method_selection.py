"""The methods of clients that a circuit leaves alone, by their names."""

from __future__ import annotations

from resilience._runtime.method_selection import LOCAL_METHODS

#: A name that is missing here counts as an answer of the dependency, and is rejected while the circuit is open.
NAMES = """
    absolute_url aclose as_dict auth_headers base_url build_headers build_request build_url can_paginate close
    default_headers deserialize disconnect dispose endpoint_url from_config from_dict from_env from_json
    from_pool from_settings from_url full_url get_adapter get_connection_kwargs get_encoder get_paginator
    get_redirect_target get_waiter is_closed is_connected join_url make_headers make_url
    merge_environment_settings mount prepare_headers prepare_request rebuild_auth rebuild_method rebuild_proxies
    serialize set_debuglevel set_response_callback should_strip_auth to_dict to_json url url_for with_options
"""


def test_these_methods_make_no_request_in_any_client():
    assert set(NAMES.split()) == LOCAL_METHODS
