#!/usr/bin/env bash
# Makes the files of secrets that deploy/compose.yaml names, in the folder given, readable by you alone; one that is there stays.
set -euo pipefail
folder=${1:?usage: deploy/secrets.sh FOLDER}
umask 077
mkdir -p "${folder}"
cd "${folder}"
secret() { python3 -c 'import secrets; print(secrets.token_hex(24))'; }
once() { if [ -e "$1" ]; then echo "$1 stays"; cat >/dev/null; else cat >"$1"; echo "$1"; fi; }

database=$(secret) versions=$(secret) storage=$(secret)
if [ -e postgres.env ]; then
    database=$(sed -n 's/^ROUTEMOA_PASSWORD=//p' postgres.env) versions=$(sed -n 's/^MLFLOW_PASSWORD=//p' postgres.env)
fi
if [ -e s3-root.env ]; then storage=$(sed -n 's/^ROOT_SECRET_KEY=//p' s3-root.env); fi
once postgres.env <<EOF
POSTGRES_PASSWORD=$(secret)
ROUTEMOA_PASSWORD=${database}
MLFLOW_PASSWORD=${versions}
EOF
once routemoa.env <<EOF
ROUTEMOA_DATABASE_URL=postgresql://routemoa:${database}@postgres/routemoa
# the keys of vendors, by the names that pool.yaml gives them: OPENAI_API_KEY=...
EOF
once mlflow.env <<EOF
ROUTEMOA_MLFLOW_DATABASE=postgresql+psycopg://mlflow:${versions}@postgres/mlflow
EOF
once s3-root.env <<EOF
ROOT_ACCESS_KEY=routemoa
ROOT_SECRET_KEY=${storage}
EOF
once s3.env <<EOF
AWS_ACCESS_KEY_ID=routemoa
AWS_SECRET_ACCESS_KEY=${storage}
AWS_DEFAULT_REGION=us-east-1
AWS_ENDPOINT_URL=http://s3:7070
MLFLOW_S3_ENDPOINT_URL=http://s3:7070
EOF
once grafana.env <<EOF
GF_SECURITY_ADMIN_PASSWORD=$(secret)
EOF
once metrics.key </dev/null
chmod 644 metrics.key # Prometheus reads it as another user, through a mount; the folder is closed to others here
