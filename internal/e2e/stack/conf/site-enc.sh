#!/bin/sh
# The site's own ENC: one YAML document per certname, or the default one. CERTNAME.exit holds an exit code instead.
cd {{.}} || exit 1
[ -f "$1.exit" ] && { echo "site ENC: told to fail for $1" >&2; read -r code <"$1.exit"; exit "$code"; }
[ -f "$1.yaml" ] && exec cat "$1.yaml"
exec cat default.yaml
