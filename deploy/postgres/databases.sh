#!/usr/bin/env bash
# Two databases, each with an owner of its own: the platform's and MLflow's. The image runs it once, on an empty volume.
set -euo pipefail
for name in routemoa mlflow; do
    password=$(printenv "$(echo "${name}" | tr '[:lower:]' '[:upper:]')_PASSWORD")
    psql --set=ON_ERROR_STOP=1 --username=postgres --set=name="${name}" --set=password="${password}" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
