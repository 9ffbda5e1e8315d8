"""Everything that can stop a run, by who must act.

* UsageError              base; never raised itself
  - SettingError          the environment is wrong           -> the operator sets what is named
    + Denied              object storage refuses us an object -> allow it, or restore it from its archive
  - ContractError         a contract file is wrong           -> its author fixes the file
  - SourceError           landing cannot be used as it is    -> ask the producer, then run again
    + Vanished            an object that was named is not there
    + NoArrival           an object's metadata delivered-at is not a time
  - QualityError          a table breaks an expectation      -> not published; look at the rows named
  - OutOfBalance          rows or totals do not add up       -> our bug; nothing was published
  - Corrupt               bytes differ from their hash       -> restore the object named, or make it again
  - StaleInput            another run published what this one had read -> run again from its first stage
  - Retryable             the same task may succeed in a minute, nothing was published
    + UnstableLanding     objects changed while we listed them
    + ObjectChanged       an object changed while we read it
    + StoreUnavailable    object storage did not answer

Messages name the object, table or setting and what to do next; they never hold a value of a record.
"""

from etl import shown


class UsageError(Exception):
    """Base of all errors raised on purpose."""

    def __str__(self) -> str:
        return shown.lines(super().__str__())


class SettingError(UsageError):
    """A setting is missing or wrong."""


class Denied(SettingError):
    """Object storage refuses us an object."""


class ContractError(UsageError):
    """A contract file is wrong: file, key and reason are in the message."""


class SourceError(UsageError):
    """Landing holds something that no run can account for."""


class Vanished(SourceError):
    """There is no object of that name."""


class NoArrival(SourceError):
    """An object's metadata does not say when it was delivered."""


class QualityError(UsageError):
    """An expectation of severity critical failed; the table is not published."""


class OutOfBalance(UsageError):
    """A tally does not add up."""


class Corrupt(UsageError):
    """Bytes read back, or to be put, differ from the sha256 or size on record."""


class StaleInput(UsageError):
    """A partition that this run read was published again by another run; nothing was published."""


class Retryable(UsageError):
    """Trying the same task again can help; nothing was published."""


class UnstableLanding(Retryable):
    """Two listings of landing kept differing."""


class ObjectChanged(Retryable):
    """An object was replaced between the manifest and the read."""


class StoreUnavailable(Retryable):
    """Object storage refused or did not answer, also after retries."""
