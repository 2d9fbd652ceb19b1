"""asyncssh: the class decides. What a command or a terminal does is control flow, and no failure of the server.

An `Error` carries a `code` and a `reason`. For a `DisconnectError` the code is a disconnect reason of RFC 4253, 11.1,
and asyncssh has a subclass for most of them; for an `SFTPError` it is the status of the SFTP reply. A wrong password
and a host key that is not trusted are final. A plain `DisconnectError` is a lost connection and may be retried.

`BreakReceived`, `SignalReceived` and `TerminalSizeChanged` reach a server's handler as exceptions and mean input from
the terminal. A `ProcessError` is an exit status of the remote command, so it is RUNTIME and not a failure of SSH.
"""

from resilience.categories import ErrorCategory as C
from resilience.classification.library import ClientLibrary
from resilience.classification.tables import classes

LIBRARY = ClientLibrary(
    {
        "Error": C.UNKNOWN,
        "DisconnectError": C.NETWORK,
        "ChannelOpenError": C.UNAVAILABLE,
        "ChannelListenError": C.UNAVAILABLE,
        "PermissionDenied": C.AUTHENTICATION,
        **classes(C.CONFIGURATION, "HostKeyNotVerifiable KeyExchangeFailed ProtocolNotSupported IllegalUserName"),
        "ServiceNotAvailable": C.UNAVAILABLE,
        **classes(C.DEPENDENCY, "ProtocolError MACError CompressionError PacketDecodeError ASN1Error"),
        "ProcessError": C.RUNTIME,
        "TimeoutError": C.TIMEOUT,
        "PasswordChangeRequired": C.AUTHENTICATION,
        **classes(C.CANCELLED, "BreakReceived SignalReceived SoftEOFReceived TerminalSizeChanged"),
        **classes(C.CONFIGURATION, "ConfigParseError GSSError KeyEncryptionError KeyExportError KeyImportError"),
        **classes(C.CONFIGURATION, "KeyGenerationError SASLPrepError"),
        # SFTP, one class for each status.
        "SFTPError": C.DEPENDENCY,
        **classes(C.NETWORK, "SFTPConnectionLost SFTPNoConnection"),
        **classes(C.NOT_FOUND, "SFTPNoSuchFile SFTPNoSuchPath SFTPEOFError"),
        **classes(C.AUTHORIZATION, "SFTPPermissionDenied SFTPWriteProtect SFTPCannotDelete"),
        **classes(C.CAPACITY, "SFTPNoSpaceOnFilesystem SFTPQuotaExceeded"),
        **classes(C.CONFLICT, "SFTPFileAlreadyExists SFTPDirNotEmpty SFTPLockConflict SFTPByteRangeLockConflict"),
        **classes(C.CONFLICT, "SFTPByteRangeLockRefused SFTPDeletePending"),
        **classes(C.VALIDATION, "SFTPInvalidFilename SFTPInvalidHandle SFTPInvalidParameter SFTPNotADirectory"),
        **classes(C.VALIDATION, "SFTPFileIsADirectory"),
        "SFTPOpUnsupported": C.CONFIGURATION,
    },
)
