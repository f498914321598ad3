"""The exceptions of distill-build.

    DistillError
    ├── UsageError              2    a command or flag that does not exist, or does not fit
    ├── ConfigurationError      2    a setting, template or weights file that cannot be used
    │   ├── MissingTopicError   2    nothing says what the dataset is about
    │   ├── StudentError        2    the model that rows of tokens are for is not there, another one, or of no use
    │   └── EndpointError       2    an endpoint that cannot be used as it is configured
    ├── StoppedError            3    something ended the asking; what is complete is written
    │   ├── BudgetExceededError      budget.usd, budget.tokens or budget.calls
    │   │   └── EndpointLimitError       what an endpoint allows in a day is used up
    │   ├── FailureCapError          --keep-going, or a stage whose first items all fail
    │   └── InterruptedBuildError  130  Ctrl-C or SIGTERM
    ├── DifferenceError         4    what is there is not what was asked to be there
    │   └── MissingCallError         --offline met a call that is not in the cache
    └── StorageError            5    the cache or the disk cannot be used
        └── CorruptEntryError        a stored response that cannot be read back

An error's text is the one sentence that the user reads, with the way out in it. An item that could not be
made is not an error but a state: see `distill_build.records.Failure`.
"""

import errno
from pathlib import Path
from typing import ClassVar

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""What only writing meets. No other OSError tells whether a file was to be read or written."""


MISSING_ITEMS = 1
"""The exit code of what was done and lacks items: no error, and each stands in failures.jsonl."""


class DistillError(Exception):
    """The root: everything that is told to the user without a stack trace."""

    exit_code: ClassVar[int] = 2


class UsageError(DistillError):
    """A command or flag that does not exist, or does not fit."""


class ConfigurationError(DistillError):
    """A setting, template or weights file that cannot be used."""


class MissingTopicError(ConfigurationError):
    """Nothing says what the dataset is about."""


class StudentError(ConfigurationError):
    """The model that rows of tokens are made for is not there, is another one than before, or has other tokens."""


class EndpointError(ConfigurationError):
    """An endpoint that cannot be used as it is configured: address, key, model name or parameter."""


class StoppedError(DistillError):
    """Nothing more is asked. What is complete is written."""

    exit_code = 3


class BudgetExceededError(StoppedError):
    """`budget.usd`, `budget.tokens` or `budget.calls` is spent."""


class EndpointLimitError(BudgetExceededError):
    """What an endpoint allows in a day, or in hours, is used up."""


class FailureCapError(StoppedError):
    """`--keep-going N` failed items, or a stage whose first items all fail."""


class DifferenceError(DistillError):
    """What is there is not what was asked to be there."""

    exit_code = 4


class MissingCallError(DifferenceError):
    """`--offline` met a call that is not in the cache."""


class StorageError(DistillError):
    """The cache or the disk cannot be used."""

    exit_code = 5


class CorruptEntryError(StorageError):
    """A stored response that is recorded but cannot be read back."""


class InterruptedBuildError(StoppedError):
    """Ctrl-C or SIGTERM."""

    exit_code = 130


def unusable(error: OSError, otherwise: Path | str) -> str:
    """What is said of a file that cannot be used; `otherwise` stands for one that the error does not name."""
    if error.errno == errno.EISDIR:
        return f"{error.filename or otherwise} is a folder, and a file belongs there: move it away"
    way = "written" if error.errno in NO_ROOM else "read or written"
    return f"{error.filename or otherwise} cannot be {way}: {error.strerror or error}"
