"""Measured distances: the library beside plain DuckDB, dlt and pandas, on generated events (make bench)."""
