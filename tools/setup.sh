#!/bin/bash
# Installs what the tests need on Debian 12 with Go: the real PostgreSQL, PuppetDB, puppetserver, Puppet and Prometheus
# from Debian packages, consul and consul-template built from tools/, and the class cache that makes the JVMs boot in a
# third of the time. Everything but the packages goes into $SLUICE_CACHE (default $HOME/.cache/sluice).
# tools/setup.sh --also PACKAGE...: Debian packages that only a comparison needs.
# Says nothing, and takes less than a second, when all is there.
set -euo pipefail
umask 022
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${SLUICE_CACHE:-${HOME:?set HOME or SLUICE_CACHE}/.cache/sluice}
packages=(gcc libc6-dev postgresql dbconfig-no-thanks puppetdb puppetserver puppet puppet-terminus-puppetdb prometheus
  ruby-rspec-puppet puppet-lint r10k g10k git python3 curl)
if [ "${1:-}" = --also ]; then
  packages+=("${@:2}")
fi

say() { echo "tools/setup.sh: $*" >&2; }
die() { say "$@"; exit 1; }

mkdir -p "$cache/bin" "$cache/aot"
exec 9>"$cache/lock"
flock 9 # two test runs may start on a fresh machine at once

# missing_packages prints what dpkg does not know as installed.
missing_packages() {
  local have
  have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null || true)
  local p
  for p in "${packages[@]}"; do grep -qx "$p installed" <<<"$have" || echo "$p"; done
}

install_packages() {
  local missing guard= tmp
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  say "installing" $missing
  [ "$(id -u)" = 0 ] || die "packages are missing and need root: apt-get install --no-install-recommends ${packages[*]}"
  # Without this guard, and without systemd, packages may start their services while they are configured.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    guard=1
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
  fi
  tmp=$(mktemp -d) # apt's own temporary directory has vanished in mid-run before
  local rc=0
  export DEBIAN_FRONTEND=noninteractive
  TMPDIR=$tmp apt-get -q -o DPkg::Lock::Timeout=300 update </dev/null >&2 &&
    TMPDIR=$tmp apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${packages[@]}" </dev/null >&2 || rc=$?
  rm -rf "$tmp"
  [ -z "$guard" ] || rm -f /usr/sbin/policy-rc.d
  [ "$rc" = 0 ] || die "apt-get failed with exit code $rc"
  [ -z "$(missing_packages)" ] || die "apt-get succeeded, but these are still missing: $(missing_packages | xargs)"
}

# pinned prints the version of a module that a tool's go.mod requires.
pinned() { awk -v m="$2" '$1 == m && $2 ~ /^v/ { print $2 } $1 == "require" && $2 == m { print $3 }' "$here/$1/go.mod"; }

# recent says whether a program is the wanted version or a newer one.
recent() {
  local all have
  all=$("$1" -version 2>/dev/null) || return 1 # whole: a reader that stops early would make the writer fail
  have=$(grep -oE 'v?[0-9]+\.[0-9]+\.[0-9]+' <<<"$all" | sed -n 1p)
  [ -n "$have" ] || return 1
  [ "$(printf '%s\n%s\n' "${2#v}" "${have#v}" | sort -V | tail -n 1)" = "${have#v}" ]
}

# build makes a Go program unless the cache or PATH has it. The build is stamped, since asking a program costs more than
# reading a file.
build() { # tool package module
  local tool=$1 package=$2 want path
  want=$(pinned "$tool" "$3")
  [ -n "$want" ] || die "tools/$tool/go.mod does not pin $3"
  if [ -x "$cache/bin/$tool" ]; then
    [ "$(cat "$cache/bin/.$tool.version" 2>/dev/null)" = "$want" ] && return 0
    if recent "$cache/bin/$tool" "$want"; then echo "$want" >"$cache/bin/.$tool.version"; return 0; fi
    rm -f "$cache/bin/$tool" # an old one must not be found before a newer one on PATH
  fi
  path=$(type -P "$tool" || true)
  if [ -n "$path" ] && recent "$path" "$want"; then return 0; fi
  say "building $tool $want"
  (cd "$here/$tool" && CGO_ENABLED=0 go build -o "$cache/bin/.$tool.new" "$package")
  mv "$cache/bin/.$tool.new" "$cache/bin/$tool"
  echo "$want" >"$cache/bin/.$tool.version"
}

# PuppetDB and puppetserver are jars of Clojure sources that are compiled at every boot. compile does it once, into a jar
# that goes first on the class path.
compile() { # name jar namespace...
  local name=$1 jar=$2 dir
  shift 2
  dir=$(mktemp -d -p "$cache/aot")
  java -Xmx1500m -XX:+UseSerialGC -Djava.security.egd=file:/dev/urandom -Djruby.lib=/usr/share/jruby/lib \
    -Dclojure.compile.path="$dir" -cp "$dir:$jar" clojure.lang.Compile "$@" >"$cache/aot/$name.log" 2>&1 </dev/null ||
    { tail -n 20 "$cache/aot/$name.log" >&2; rm -rf "$dir"; die "cannot compile $jar, see $cache/aot/$name.log"; }
  (cd "$dir" && python3 -m zipfile -c "$cache/aot/.$name.new" .)
  mv "$cache/aot/.$name.new" "$cache/aot/$name.jar"
  rm -rf "$dir"
}

# namespaces prints the Clojure namespaces of the services in trapkeeper bootstrap files.
namespaces() { cat "$@" | grep -v '^#' | sed 's#/.*##' | sort -u; }

class_cache() {
  local stamp pdb ps
  stamp=$(echo 2 # count up when what is compiled changes
    dpkg-query -W -f '${Package} ${Version}\n' puppetdb puppetserver jruby)
  if [ -s "$cache/aot/puppetdb.jar" ] && [ -s "$cache/aot/puppetserver.jar" ] &&
    [ "$(cat "$cache/aot/versions" 2>/dev/null)" = "$stamp" ]; then return 0; fi
  say "compiling PuppetDB and puppetserver, once (about a minute)"
  rm -f "$cache/aot/versions"
  compile puppetdb /usr/share/puppetdb/puppetdb.jar \
    puppetlabs.puppetdb.core $(namespaces /etc/puppetdb/bootstrap.cfg) & pdb=$!
  compile puppetserver /usr/share/puppetserver/puppetserver.jar \
    puppetlabs.trapperkeeper.main $(namespaces /etc/puppet/puppetserver/services.d/*.cfg) \
    puppetlabs.services.ca.certificate-authority-disabled-service & ps=$!
  wait $pdb || die "the class cache of puppetdb failed"
  wait $ps || die "the class cache of puppetserver failed"
  echo "$stamp" >"$cache/aot/versions"
}

type -P go >/dev/null || die "go is not on PATH"
install_packages
build consul github.com/hashicorp/consul github.com/hashicorp/consul
build consul-template github.com/hashicorp/consul-template github.com/hashicorp/consul-template
class_cache
