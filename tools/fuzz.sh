#!/bin/bash
# Runs every fuzz target of the packages for a while. Usage: fuzz.sh TIME [packages]
set -euo pipefail
time=${1:?usage: fuzz.sh TIME [packages]}
shift
[ $# -gt 0 ] || set -- ./...
targets=0 rc=0
packages=$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' "$@")
for package in $packages; do
  # A package that does not compile has targets that nobody runs: that is a failure, not an empty list.
  listed=$(go test -list '^Fuzz' "$package") || { echo "$listed" >&2; rc=1; continue; }
  for target in $(grep '^Fuzz' <<<"$listed" || true); do
    targets=$((targets + 1))
    echo "== $package $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" || rc=1
  done
done
echo "$targets fuzz targets"
[ "$targets" -gt 0 ] || { echo "fuzz.sh: no fuzz target in $*" >&2; exit 1; }
exit $rc
