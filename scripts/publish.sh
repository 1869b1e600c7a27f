#!/usr/bin/env bash
# Publishes the platform packages, then the root package that names them. A version that is there
# already is passed over, so that a release that stopped half way can be run again. With
# DRY_RUN=true nothing is sent.
set -euo pipefail
cd "$(dirname "$0")/.."

options=()
[ "${DRY_RUN:-true}" = false ] || options+=(--dry-run)
# A version such as 1.2.0-beta.1 must not become the one that `npm install` takes.
[[ $(node -p 'require("./package.json").version') != *-* ]] || options+=(--tag next)

for folder in npm/*/ ./; do
  id=$(node -p 'const { name, version } = require(require("path").resolve(process.argv[1], "package.json")); `${name}@${version}`' "$folder")
  if npm view "$id" version >/dev/null 2>&1; then
    echo "$id is published already"
  else
    npm publish "./$folder" "${options[@]}"
  fi
done
