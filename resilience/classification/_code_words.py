"""Failures that are only named by a code of a database, a cloud or the resolver, such as ``SQLITE_BUSY`` or ``40P01``.

Logs and consoles show codes without the exception that a client library makes of them. `explain_code` looks one up in
the tables by which the classifier judges that exception, so that both give the same answer. Loaded by the command line
alone: the names of the codes are here, their categories in the tables of the client libraries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from resilience.categories import ErrorCategory
from resilience.classification.aws_code import AWS_CODES, category_of_aws
from resilience.classification.classifier import Explanation
from resilience.classification.clients._mysql import MYSQL_ERRORS
from resilience.classification.clients.oracledb import DRIVER_ERRORS, SERVER_ERRORS
from resilience.classification.clients.sqlite3 import RESULT_CODES
from resilience.classification.libraries import library_named
from resilience.classification.sqlstate import category_of_sqlstate, is_sqlstate, named_sqlstate

__all__ = ["CODE_WORDS", "NOTATIONS", "explain_code", "explain_sqlite_text"]


def _pairs(text: str) -> Mapping[str, str]:
    """Return the names in *text* with their codes; it has a code and its name in turn."""
    words = text.split()
    return dict(zip(words[1::2], words[::2], strict=True))


_POSTGRES_CONDITIONS = _pairs(
    """
    02000 no_data 02001 no_additional_dynamic_result_sets_returned 03000 sql_statement_not_yet_complete
    08000 connection_exception 08001 sqlclient_unable_to_establish_sqlconnection 08003 connection_does_not_exist
    08004 sqlserver_rejected_establishment_of_sqlconnection 08006 connection_failure
    08007 transaction_resolution_unknown 08P01 protocol_violation 09000 triggered_action_exception
    0A000 feature_not_supported 0B000 invalid_transaction_initiation 0F000 locator_exception
    0F001 invalid_locator_specification 0L000 invalid_grantor 0LP01 invalid_grant_operation
    0P000 invalid_role_specification 0Z000 diagnostics_exception
    0Z002 stacked_diagnostics_accessed_without_active_handler 10608 invalid_argument_for_xquery 20000 case_not_found
    21000 cardinality_violation 22000 data_exception 22001 string_data_right_truncation
    22002 null_value_no_indicator_parameter 22003 numeric_value_out_of_range 22004 null_value_not_allowed
    22005 error_in_assignment 22007 invalid_datetime_format 22008 datetime_field_overflow
    22009 invalid_time_zone_displacement_value 2200B escape_character_conflict 2200C invalid_use_of_escape_character
    2200D invalid_escape_octet 2200F zero_length_character_string 2200G most_specific_type_mismatch
    2200H sequence_generator_limit_exceeded 2200L not_an_xml_document 2200M invalid_xml_document
    2200N invalid_xml_content 2200S invalid_xml_comment 2200T invalid_xml_processing_instruction
    22010 invalid_indicator_parameter_value 22011 substring_error 22012 division_by_zero
    22013 invalid_preceding_or_following_size 22014 invalid_argument_for_ntile_function
    22015 interval_field_overflow 22016 invalid_argument_for_nth_value_function
    22018 invalid_character_value_for_cast 22019 invalid_escape_character 2201B invalid_regular_expression
    2201E invalid_argument_for_logarithm 2201F invalid_argument_for_power_function
    2201G invalid_argument_for_width_bucket_function 2201W invalid_row_count_in_limit_clause
    2201X invalid_row_count_in_result_offset_clause 22021 character_not_in_repertoire 22022 indicator_overflow
    22023 invalid_parameter_value 22024 unterminated_cstring 22025 invalid_escape_sequence
    22026 string_data_length_mismatch 22027 trim_error 2202E array_subscript_error 2202G invalid_tablesample_repeat
    2202H invalid_tablesample_argument 22030 duplicate_json_object_key_value
    22031 invalid_argument_for_sql_json_datetime_function 22032 invalid_json_text 22033 invalid_sql_json_subscript
    22034 more_than_one_sql_json_item 22035 no_sql_json_item 22036 non_numeric_sql_json_item
    22037 non_unique_keys_in_ajson_object 22038 singleton_sql_json_item_required 22039 sql_json_array_not_found
    2203A sql_json_member_not_found 2203B sql_json_number_not_found 2203C sql_json_object_not_found
    2203D too_many_json_array_elements 2203E too_many_json_object_members 2203F sql_json_scalar_required
    2203G sql_json_item_cannot_be_cast_to_target_type 22P01 floating_point_exception
    22P02 invalid_text_representation 22P03 invalid_binary_representation 22P04 bad_copy_file_format
    22P05 untranslatable_character 22P06 nonstandard_use_of_escape_character 23000 integrity_constraint_violation
    23001 restrict_violation 23502 not_null_violation 23503 foreign_key_violation 23505 unique_violation
    23514 check_violation 23P01 exclusion_violation 24000 invalid_cursor_state 25000 invalid_transaction_state
    25001 active_sql_transaction 25002 branch_transaction_already_active
    25003 inappropriate_access_mode_for_branch_transaction
    25004 inappropriate_isolation_level_for_branch_transaction
    25005 no_active_sql_transaction_for_branch_transaction 25006 read_only_sql_transaction
    25007 schema_and_data_statement_mixing_not_supported 25008 held_cursor_requires_same_isolation_level
    25P01 no_active_sql_transaction 25P02 in_failed_sql_transaction 25P03 idle_in_transaction_session_timeout
    25P04 transaction_timeout 26000 invalid_sql_statement_name 27000 triggered_data_change_violation
    28000 invalid_authorization_specification 28P01 invalid_password
    2B000 dependent_privilege_descriptors_still_exist 2BP01 dependent_objects_still_exist
    2D000 invalid_transaction_termination 2F000 sql_routine_exception 2F002 modifying_sql_data_not_permitted
    2F003 prohibited_sql_statement_attempted 2F004 reading_sql_data_not_permitted
    2F005 function_executed_no_return_statement 34000 invalid_cursor_name 38000 external_routine_exception
    38001 containing_sql_not_permitted 38002 modifying_sql_data_not_permitted_ext
    38003 prohibited_sql_statement_attempted_ext 38004 reading_sql_data_not_permitted_ext
    39000 external_routine_invocation_exception 39001 invalid_sqlstate_returned 39004 null_value_not_allowed_ext
    39P01 trigger_protocol_violated 39P02 srf_protocol_violated 39P03 event_trigger_protocol_violated
    3B000 savepoint_exception 3B001 invalid_savepoint_specification 3D000 invalid_catalog_name
    3F000 invalid_schema_name 40000 transaction_rollback 40001 serialization_failure
    40002 transaction_integrity_constraint_violation 40003 statement_completion_unknown 40P01 deadlock_detected
    42000 syntax_error_or_access_rule_violation 42501 insufficient_privilege 42601 syntax_error 42602 invalid_name
    42611 invalid_column_definition 42622 name_too_long 42701 duplicate_column 42702 ambiguous_column
    42703 undefined_column 42704 undefined_object 42710 duplicate_object 42712 duplicate_alias
    42723 duplicate_function 42725 ambiguous_function 42803 grouping_error 42804 datatype_mismatch
    42809 wrong_object_type 42830 invalid_foreign_key 42846 cannot_coerce 42883 undefined_function
    428C9 generated_always 42939 reserved_name 42P01 undefined_table 42P02 undefined_parameter
    42P03 duplicate_cursor 42P04 duplicate_database 42P05 duplicate_prepared_statement 42P06 duplicate_schema
    42P07 duplicate_table 42P08 ambiguous_parameter 42P09 ambiguous_alias 42P10 invalid_column_reference
    42P11 invalid_cursor_definition 42P12 invalid_database_definition 42P13 invalid_function_definition
    42P14 invalid_prepared_statement_definition 42P15 invalid_schema_definition 42P16 invalid_table_definition
    42P17 invalid_object_definition 42P18 indeterminate_datatype 42P19 invalid_recursion 42P20 windowing_error
    42P21 collation_mismatch 42P22 indeterminate_collation 44000 with_check_option_violation
    53000 insufficient_resources 53100 disk_full 53200 out_of_memory 53300 too_many_connections
    53400 configuration_limit_exceeded 54000 program_limit_exceeded 54001 statement_too_complex
    54011 too_many_columns 54023 too_many_arguments 55000 object_not_in_prerequisite_state 55006 object_in_use
    55P02 cant_change_runtime_param 55P03 lock_not_available 55P04 unsafe_new_enum_value_usage
    57000 operator_intervention 57014 query_canceled 57P01 admin_shutdown 57P02 crash_shutdown
    57P03 cannot_connect_now 57P04 database_dropped 57P05 idle_session_timeout 58000 system_error 58030 io_error
    58P01 undefined_file 58P02 duplicate_file 58P03 file_name_too_long 72000 snapshot_too_old
    F0000 config_file_error F0001 lock_file_exists HV000 fdw_error HV001 fdw_out_of_memory
    HV002 fdw_dynamic_parameter_value_needed HV004 fdw_invalid_data_type HV005 fdw_column_name_not_found
    HV006 fdw_invalid_data_type_descriptors HV007 fdw_invalid_column_name HV008 fdw_invalid_column_number
    HV009 fdw_invalid_use_of_null_pointer HV00A fdw_invalid_string_format HV00B fdw_invalid_handle
    HV00C fdw_invalid_option_index HV00D fdw_invalid_option_name HV00J fdw_option_name_not_found
    HV00K fdw_reply_handle HV00L fdw_unable_to_create_execution HV00M fdw_unable_to_create_reply
    HV00N fdw_unable_to_establish_connection HV00P fdw_no_schemas HV00Q fdw_schema_not_found
    HV00R fdw_table_not_found HV010 fdw_function_sequence_error HV014 fdw_too_many_handles
    HV021 fdw_inconsistent_descriptor_information HV024 fdw_invalid_attribute_value
    HV090 fdw_invalid_string_length_or_buffer_length HV091 fdw_invalid_descriptor_field_identifier
    P0000 plpgsql_error P0001 raise_exception P0002 no_data_found P0003 too_many_rows P0004 assert_failure
    XX000 internal_error XX001 data_corrupted XX002 index_corrupted
    """
)
"""SQLSTATEs by the names of their conditions in PostgreSQL's Appendix A."""

_MYSQL_NAMES = _pairs(
    """
    1021 ER_DISK_FULL 1022 ER_DUP_KEY 1037 ER_OUTOFMEMORY 1038 ER_OUT_OF_SORTMEMORY 1040 ER_CON_COUNT_ERROR
    1041 ER_OUT_OF_RESOURCES 1042 ER_BAD_HOST_ERROR 1043 ER_HANDSHAKE_ERROR 1044 ER_DBACCESS_DENIED_ERROR
    1045 ER_ACCESS_DENIED_ERROR 1048 ER_BAD_NULL_ERROR 1049 ER_BAD_DB_ERROR 1053 ER_SERVER_SHUTDOWN
    1054 ER_BAD_FIELD_ERROR 1062 ER_DUP_ENTRY 1064 ER_PARSE_ERROR 1079 ER_SHUTDOWN_COMPLETE 1114 ER_RECORD_FILE_FULL
    1130 ER_HOST_NOT_PRIVILEGED 1135 ER_CANT_CREATE_THREAD 1142 ER_TABLEACCESS_DENIED_ERROR
    1143 ER_COLUMNACCESS_DENIED_ERROR 1146 ER_NO_SUCH_TABLE 1149 ER_SYNTAX_ERROR 1152 ER_ABORTING_CONNECTION
    1153 ER_NET_PACKET_TOO_LARGE 1158 ER_NET_READ_ERROR 1159 ER_NET_READ_INTERRUPTED 1160 ER_NET_ERROR_ON_WRITE
    1161 ER_NET_WRITE_INTERRUPTED 1169 ER_DUP_UNIQUE 1184 ER_NEW_ABORTING_CONNECTION 1193 ER_UNKNOWN_SYSTEM_VARIABLE
    1203 ER_TOO_MANY_USER_CONNECTIONS 1205 ER_LOCK_WAIT_TIMEOUT 1213 ER_LOCK_DEADLOCK 1216 ER_NO_REFERENCED_ROW
    1226 ER_USER_LIMIT_REACHED 1227 ER_SPECIFIC_ACCESS_DENIED_ERROR 1235 ER_NOT_SUPPORTED_YET
    1251 ER_NOT_SUPPORTED_AUTH_MODE 1264 ER_WARN_DATA_OUT_OF_RANGE 1286 ER_UNKNOWN_STORAGE_ENGINE
    1290 ER_OPTION_PREVENTS_STATEMENT 1364 ER_NO_DEFAULT_FOR_FIELD 1366 ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
    1370 ER_PROCACCESS_DENIED_ERROR 1406 ER_DATA_TOO_LONG 1410 ER_CANT_CREATE_USER_WITH_GRANT
    1451 ER_ROW_IS_REFERENCED_2 1452 ER_NO_REFERENCED_ROW_2 1586 ER_DUP_ENTRY_WITH_KEY_NAME
    1698 ER_ACCESS_DENIED_NO_PASSWORD_ERROR 1820 ER_MUST_CHANGE_PASSWORD 1836 ER_READ_ONLY_MODE
    1862 ER_MUST_CHANGE_PASSWORD_LOGIN 2002 CR_CONNECTION_ERROR 2003 CR_CONN_HOST_ERROR 2005 CR_UNKNOWN_HOST
    2006 CR_SERVER_GONE_ERROR 2013 CR_SERVER_LOST 2014 CR_COMMANDS_OUT_OF_SYNC 2055 CR_SERVER_LOST_EXTENDED
    3024 ER_QUERY_TIMEOUT 3032 ER_SERVER_OFFLINE_MODE 3118 ER_ACCOUNT_HAS_BEEN_LOCKED
    3819 ER_CHECK_CONSTRAINT_VIOLATED
    """
)
"""The numbers in `MYSQL_ERRORS` by their names in MySQL's headers."""

_REDIS_REPLIES = {
    "ASK": "AskError",
    "CLUSTERDOWN": "ClusterDownError",
    "CROSSSLOT": "ClusterCrossSlotError",
    "EXECABORT": "ExecAbortError",
    "LOADING": "BusyLoadingError",
    "MASTERDOWN": "MasterDownError",
    "MOVED": "MovedError",
    "NOAUTH": "AuthenticationError",
    "NOPERM": "NoPermissionError",
    "NOSCRIPT": "NoScriptError",
    "OOM": "OutOfMemoryError",
    "READONLY": "ReadOnlyError",
    "TRYAGAIN": "TryAgainError",
    "WRONGPASS": "AuthenticationError",
}
"""The first words of error replies of Redis, and the classes that redis makes of them."""

_SQLITE_NAMES = {
    **{reason.partition("(")[2].rstrip(")"): (category, reason) for category, reason in RESULT_CODES.values()},
    # Where the table leaves the answer to the class of the exception.
    "SQLITE_ERROR": (ErrorCategory.INTERNAL, "SQL logic error (SQLITE_ERROR)"),
    "SQLITE_MISUSE": (ErrorCategory.INTERNAL, "bad parameter or other API misuse (SQLITE_MISUSE)"),
}
_RESOLVER = re.compile("EAI_(AGAIN|FAIL|FAMILY|MEMORY|NODATA|NONAME|SERVICE|SOCKTYPE|SYSTEM)")
_ORACLE = re.compile(r"(ORA|DPY|DPI)-(\d{4,5})")


def explain_code(word: str) -> Explanation | None:
    """Explain a code that is named without more; None for a word that is no code, or whose meaning is not known.

    >>> print(explain_code("SQLITE_BUSY_SNAPSHOT"))
    unavailable (structure: database is locked (SQLITE_BUSY)); recovery: retry
    >>> explain_code("deadlock_detected").category.label, explain_code("ORA-00060").category.label
    ('unavailable', 'unavailable')
    """
    for look_up in (_sqlite, _sqlstate, _condition, _mysql, _oracle, _redis, _resolver, _tls, _aws):
        found = look_up(word)
        if found is not None:
            return found
    return None


def explain_sqlite_text(text: str) -> Explanation | None:
    """Explain the text of a result code of SQLite, ``database is locked``; None for any other text."""
    for category, reason in RESULT_CODES.values():
        if reason.partition(" (")[0] == text.lower():
            return Explanation(category, "structure", reason)
    return None


def _sqlite(word: str) -> Explanation | None:
    """An extended code begins with the name of its primary one: SQLITE_CONSTRAINT_UNIQUE is a SQLITE_CONSTRAINT."""
    primary = "_".join(word.upper().split("_")[:2])
    if primary not in _SQLITE_NAMES:
        return None
    category, reason = _SQLITE_NAMES[primary]
    return Explanation(category, "structure", reason)


def _condition(word: str) -> Explanation | None:
    """The name of a SQLSTATE's condition, as PostgreSQL writes it, or as psycopg and asyncpg name its class."""
    condition = re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", word).lower().strip("_")
    names = [name for name in (condition, condition.removesuffix("_error")) if name in _POSTGRES_CONDITIONS]
    if not names:
        return None
    code = _POSTGRES_CONDITIONS[names[0]]
    return Explanation(category_of_sqlstate(code), "structure", f"SQLSTATE {code}, {names[0].replace('_', ' ')}")


def _sqlstate(word: str) -> Explanation | None:
    """A SQLSTATE without a name before it has a digit in it: other words have five letters as well."""
    code = word.upper()
    if not is_sqlstate(code) or code.isalpha() or category_of_sqlstate(code) is ErrorCategory.UNKNOWN:
        return None
    return Explanation(category_of_sqlstate(code), "structure", named_sqlstate(code))


def _mysql(word: str) -> Explanation | None:
    return _mysql_number(_MYSQL_NAMES.get(word.upper(), ""))


def _mysql_number(word: str) -> Explanation | None:
    if not word.isdigit() or int(word) not in MYSQL_ERRORS:
        return None
    names = [name for name, number in _MYSQL_NAMES.items() if number == word]
    return Explanation(MYSQL_ERRORS[int(word)], "structure", " ".join(["MySQL error", word, *names]))


def _oracle(word: str) -> Explanation | None:
    code = word.upper()
    found = _ORACLE.fullmatch(code)
    category = DRIVER_ERRORS.get(code)
    if found is not None and found[1] == "ORA":
        category = SERVER_ERRORS.get(int(found[2]))
    if category is None:
        return None
    return Explanation(category, "structure", f"Oracle error {code}")


def _redis(word: str) -> Explanation | None:
    """Replies are in capitals. A word such as "moved" is none."""
    name = _REDIS_REPLIES.get(word)
    category = library_named("redis").categories.get(name or "")
    if not isinstance(category, ErrorCategory):
        return None
    return Explanation(category, "structure", f"Redis replies {word}: redis.{name} is {category.label}")


def _resolver(word: str) -> Explanation | None:
    if _RESOLVER.fullmatch(word.upper()) is None:
        return None
    return Explanation(ErrorCategory.NETWORK, "structure", f"getaddrinfo fails with {word.upper()}: socket.gaierror")


def _tls(word: str) -> Explanation | None:
    if word.upper() != "CERTIFICATE_VERIFY_FAILED":
        return None
    return Explanation(ErrorCategory.CONFIGURATION, "structure", "the certificate was not accepted: ssl.SSLError")


def _aws(word: str) -> Explanation | None:
    category = category_of_aws(word)
    if category is ErrorCategory.UNKNOWN:
        return None
    return Explanation(category, "structure", f"AWS error code {word}")


CODE_WORDS = (*_SQLITE_NAMES, *_POSTGRES_CONDITIONS, *_MYSQL_NAMES, *_REDIS_REPLIES, *AWS_CODES)
"""The codes that are words, for near matches."""

NOTATIONS: Mapping[str, Callable[[str], Explanation | None]] = {
    "aws": _aws,
    "mysql": lambda word: _mysql(word) or _mysql_number(word),
    "oracle": lambda word: _oracle(word) or _oracle(f"ORA-{word.zfill(5)}"),
    "redis": lambda word: _redis(word.upper()),
    "sqlite": lambda word: _sqlite(word) or _sqlite(f"SQLITE_{word}"),
}
"""What explains a code after the name of the system that it belongs to: ``mysql 1213``."""
