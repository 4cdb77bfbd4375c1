"""Why a stack can't run; each message says what to do.

StackError
├─ StackRunningError       another stack holds the folder
├─ StackFolderError         the folder is another user's, or cannot be written
├─ PortTakenError          a requested port is in use
├─ PostgresUserError       no user can run PostgreSQL, which refuses root
├─ ProgramFailedError      a program ended with an error; the end of its log is in the message
└─ TemporalVersionError    the Temporal file is of another server version
"""


class StackError(RuntimeError):
    """Base of all."""


class StackRunningError(StackError):
    """Another stack runs on the same folder."""


class StackFolderError(StackError):
    """The folder holds another user's stack, or this user cannot write to it."""

    advice = "Run as its user, or choose another folder: ./paysaga up --state-dir DIR."

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}. {self.advice}")
        self.reason = reason


class PortTakenError(StackError):
    """A requested port is in use."""


class PostgresUserError(StackError):
    """No user can run PostgreSQL, which refuses root and users without a name."""

    advice = (
        "Run Paysaga as an ordinary user with an entry in /etc/passwd, or set PAYSAGA_DATABASE_URL="
        "postgresql+asyncpg://user:password@host/name to a database of your own."
    )

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}.\n{self.advice}")
        self.reason = reason


class ProgramFailedError(StackError):
    """A program ended with an error; the message carries the end of its log."""


class TemporalVersionError(StackError):
    """The file was written by another version of the server, which doesn't migrate it."""
