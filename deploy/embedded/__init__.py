"""The whole stack on one machine, for a laptop and for tests: object store, Airflow, sample."""
