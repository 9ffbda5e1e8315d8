#!/bin/sh
# One shot, safe to repeat: the metadata database, the pool and the buckets.
set -eu
airflow db migrate
airflow pools set usage_engine "${USAGE_EXPORT_ENGINE_SLOTS}" "processes that use the engine"
python -m deploy.compose.buckets
