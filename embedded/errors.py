"""Why a stack can't run; each message tells a person what to do.

StackError
├─ StackRunningError       another stack holds the folder
├─ PortTakenError          a port that the user asked for is in use
├─ ProgramFailedError      a program ended with an error; the end of its log is in the message
└─ TemporalVersionError    the Temporal file is of another server version
"""


class StackError(RuntimeError):
    """Base of all."""


class StackRunningError(StackError):
    """Another stack runs on the same folder."""


class PortTakenError(StackError):
    """A port that the user asked for is in use."""


class ProgramFailedError(StackError):
    """A program ended with an error; the message carries the end of its log."""


class TemporalVersionError(StackError):
    """The file was written by another version of the server, which doesn't migrate it."""
