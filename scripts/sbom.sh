#!/usr/bin/env bash
# Writes the software bills of materials (CycloneDX) into target/sbom/: of each platform's binary,
# and of the npm package. Needs cargo-cyclonedx: cargo install --locked cargo-cyclonedx
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/target/sbom
rm -rf "$out" && mkdir -p "$out"

for target in $(node -p 'require("./package.json").napi.targets.join(" ")'); do
  cargo cyclonedx --format json --spec-version 1.5 --target "$target" \
    --no-build-deps --override-filename "memorystore-rs-$target" --quiet
  mv "memorystore-rs-$target.json" "$out/memorystore-rs-$target.cdx.json"
done

# npm lists what is installed, and wants all of it: so install what users get, and ask for no more.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
folder=$scratch/memorystore-rs && mkdir "$folder"
cp package.json "$folder"
(cd "$folder" && npm pkg delete devDependencies scripts)
(cd "$folder" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
(cd "$folder" && npm sbom --sbom-format cyclonedx) >"$out/memorystore-rs-npm.cdx.json"
ls -l "$out"
