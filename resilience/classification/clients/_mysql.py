"""Categories of MySQL's error numbers, for pymysql, aiomysql, mysql-connector and mysqlclient.

Numbers of 2000 to 2999 are the client's own (MySQL's `errmsg.h`), the others the server's. MariaDB has the same ones.
"""

from __future__ import annotations

from resilience.categories import ErrorCategory as C

__all__ = ["MYSQL_ERRORS"]

MYSQL_ERRORS: dict[int, C] = {
    **dict.fromkeys((2002, 2003, 2005, 2006, 2013, 2014, 2055), C.NETWORK),  # the client's own numbers
    **dict.fromkeys((1042, 1043, 1152, 1158, 1160, 1184), C.NETWORK),
    **dict.fromkeys((1159, 1161, 1205, 1907, 3024), C.TIMEOUT),  # 1205: waited too long for a lock
    **dict.fromkeys((1053, 1079, 1290, 1836, 3032), C.UNAVAILABLE),  # shutdown; read-only while failing over
    1213: C.UNAVAILABLE,  # deadlock: rolled back, and the server asks for the same transaction again
    **dict.fromkeys((1021, 1037, 1038, 1040, 1041, 1114, 1135, 1203, 1226), C.CAPACITY),
    **dict.fromkeys((1045, 1251, 1698, 1820, 1862, 3118, 4151), C.AUTHENTICATION),
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370, 1410), C.AUTHORIZATION),
    **dict.fromkeys((1049, 1130, 1193, 1286, 1235), C.CONFIGURATION),
    **dict.fromkeys((1022, 1062, 1169, 1451, 1586), C.CONFLICT),
    **dict.fromkeys((1048, 1153, 1216, 1264, 1364, 1366, 1406, 1452, 3819), C.VALIDATION),
    **dict.fromkeys((1054, 1064, 1146, 1149), C.INTERNAL),
}
