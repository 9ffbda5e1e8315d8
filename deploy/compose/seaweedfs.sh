#!/bin/sh
# Write who may do what, then serve S3. Master, volume and filer know no passwords: they listen on
# loopback inside the container, and only S3 can be reached from outside.
set -eu
umask 077

bucket() { # s3://bucket/prefix -> bucket
  path="${1#s3://}"
  printf '%s' "${path%%/*}"
}

given="$PIPELINE_KEY$PIPELINE_SECRET$ADMIN_KEY$ADMIN_SECRET$ANALYST_KEY$ANALYST_SECRET"
if [ "$(printf '%s' "$given" | tr -d 'A-Za-z0-9_-' | wc -c)" -ne 0 ]; then
  echo "the S3 keys and secrets may hold letters, digits, _ and - only" >&2
  exit 1
fi

sed -e "s|@ADMIN_KEY@|$ADMIN_KEY|" -e "s|@ADMIN_SECRET@|$ADMIN_SECRET|" \
  -e "s|@PIPELINE_KEY@|$PIPELINE_KEY|" -e "s|@PIPELINE_SECRET@|$PIPELINE_SECRET|" \
  -e "s|@ANALYST_KEY@|$ANALYST_KEY|" -e "s|@ANALYST_SECRET@|$ANALYST_SECRET|" \
  -e "s|@LANDING@|$(bucket "$LANDING")|g" -e "s|@LAKE@|$(bucket "$LAKE")|g" \
  "${S3_TEMPLATE:-/deploy/s3.json.template}" > "${S3_CONFIG:-/tmp/s3.json}"

# volume.max=0 would stop at a number of volumes taken from the free disk at start.
exec weed -logtostderr=true server -dir="${S3_DATA:-/data}" \
  -ip=127.0.0.1 -ip.bind=127.0.0.1 -s3.ip.bind="${S3_BIND:-0.0.0.0}" \
  -filer -s3 -s3.port=8333 -s3.config="${S3_CONFIG:-/tmp/s3.json}" \
  -master.electionTimeout=1s -master.heartbeatInterval=100ms \
  -master.volumeSizeLimitMB=1024 -volume.max=400 \
  -master.telemetry=false -s3.port.iceberg=0 -s3.port.lance=0 "$@"
