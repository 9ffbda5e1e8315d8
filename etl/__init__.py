"""The library of usage-export: raw usage files in, released Parquet out. Never imports airflow."""

__version__ = "0.1.0"
