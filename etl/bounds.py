"""What this machine ran out of -> the setting that bounds it, and what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from etl.errors import SettingError
from etl.settings import Settings

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
SPILL = ("No space left", "max_temp_directory_size")  # DuckDB's words


@contextmanager
def named(settings: Settings) -> Iterator[None]:
    """Turn running out of memory or of disk space into a SettingError; everything else passes."""
    try:
        yield
    except (OSError, duckdb.OperationalError) as error:
        if getattr(error, "errno", None) in FULL or any(word in str(error) for word in SPILL):
            raise SettingError(
                f"USAGE_EXPORT_SCRATCH: {settings.scratch} is full: free space there, or name another "
                "folder; it must hold a day's files, unpacked, and what the engine spills"
            ) from error
        if isinstance(error, duckdb.OutOfMemoryException):
            raise SettingError(
                "USAGE_EXPORT_MEMORY is not enough for this day: raise it, or lower "
                "USAGE_EXPORT_THREADS, as each thread gets its part of the memory"
            ) from error
        raise
