#!/bin/bash
# Checks form: gofmt, go vet, staticcheck (pinned in tools/staticcheck), the syntax of shell scripts. Usage: lint.sh [packages]
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
[ $# -gt 0 ] || set -- ./...
rc=0

# What Git knows or would take, so that a file nobody has added yet is looked at as well.
tracked() { git ls-files -z --cached --others --exclude-standard -- "$@" | while IFS= read -r -d '' f; do [ -f "$f" ] && printf '%s\0' "$f"; done; }

unformatted=$(tracked '*.go' | xargs -0 -r gofmt -l) || rc=1
if [ -n "$unformatted" ]; then
  echo "not gofmt'ed:" $unformatted >&2
  rc=1
fi
go vet "$@" || rc=1
# Built, not run by go tool: its working directory must stay in the module under test.
bin=$(mktemp -d) || exit 1
trap 'rm -rf "$bin"' EXIT
if (cd tools/staticcheck && go build -o "$bin/staticcheck" honnef.co/go/tools/cmd/staticcheck); then
  "$bin/staticcheck" "$@" || rc=1
else
  rc=1
fi
while IFS= read -r -d '' script; do
  bash -n "$script" || rc=1
done < <(tracked '*.sh' .ci/run)
exit $rc
