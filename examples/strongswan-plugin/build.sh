#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the plugin for the strongSwan that is installed (Debian). usage: build.sh BUILD OUT
#   BUILD  a build folder of ipsectwamp, with lib/libipsectwamp.a in it
#   OUT    gets libstrongswan-ipsectwamp.so; strongSwan's source is fetched into OUT/source, once
# Charon's headers come with no package, so they are taken from Debian's source package of the same upstream version.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../tests/support/packages.sh"
[ $# = 2 ] || { echo "usage: $0 BUILD OUT" >&2; exit 2; }
build=$(cd "$1" && pwd)
mkdir -p "$2" && out=$(cd "$2" && pwd)
[ -f "$build/lib/libipsectwamp.a" ] || { echo "$build has no lib/libipsectwamp.a: meson setup, ninja" >&2; exit 1; }
need gcc libc6-dev pkg-config libssl-dev libstrongswan bzip2

# source_list: apt's own sources, for source packages.
source_list() {
  awk '
    function flush(   u, s, i, j) {
      if (types ~ /(^| )deb( |$)/ && enabled !~ /no/)
        for (i in uris) for (j in suites)
          print "deb-src " (key ? "[signed-by=" key "] " : "") uris[i] " " suites[j] " " components
      types = key = components = enabled = ""; split("", uris); split("", suites)
    }
    FILENAME ~ /\.list$/ { if ($1 == "deb") { sub(/^deb /, "deb-src "); print } next }
    /^[[:space:]]*$/ { flush(); next }
    /^Types:/ { sub(/^[^:]*: */, ""); types = $0 }
    /^URIs:/ { sub(/^[^:]*: */, ""); split($0, uris, " +") }
    /^Suites:/ { sub(/^[^:]*: */, ""); split($0, suites, " +") }
    /^Components:/ { sub(/^[^:]*: */, ""); components = $0 }
    /^Signed-By:/ { sub(/^[^:]*: */, ""); key = $0 }
    /^Enabled:/ { sub(/^[^:]*: */, ""); enabled = $0 }
    END { flush() }
  ' /dev/null $(find /etc/apt/sources.list /etc/apt/sources.list.d -name '*.list' 2>/dev/null) \
    $(find /etc/apt/sources.list.d -name '*.sources' 2>/dev/null)
}

# fetch_source VERSION: Debian's source package into the current folder. Of several with this upstream version, the first that
# can be had: a security update may be in the archive before its source is.
fetch_source() {
  local upstream=${1%-*} version versions
  mkdir -p lists/partial
  source_list >sources.list
  local apt=(-qq -o "Dir::Etc::SourceList=$PWD/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$PWD/lists" -o APT::Sandbox::User=root)
  apt-get "${apt[@]}" update
  versions=$(apt-cache "${apt[@]}" showsrc strongswan | awk '$1 == "Version:" { print $2 }' | sort -Vr)
  for version in "$1" $versions; do
    [ "${version%-*}" = "$upstream" ] || continue
    apt-get "${apt[@]}" source --download-only "strongswan=$version" && return
    echo "Debian's source of strongswan $version can't be had" >&2
  done
  return 1
}

# headers VERSION: strongSwan's src folder in OUT/source.
headers() {
  local source=$out/source
  if [ ! -f "$source/$1/src/libcharon/daemon.h" ]; then
    mkdir -p "$source/$1"
    (cd "$source" && fetch_source "$1") >&2 || return 1
    tar -x -C "$source/$1" --strip-components=1 -f "$source/strongswan_${1%-*}.orig.tar."*[2z] >&2 || return 1
  fi
  echo "$source/$1/src"
}

version=$(dpkg-query -W -f '${source:Version}' libstrongswan)
src=$(headers "$version") || { echo "charon's headers can't be had: no source package of strongswan $version" >&2; exit 1; }

# What configure would have found: of all that charon's headers ask for, ME alone changes a struct, and Debian builds with
# it; stdbool.h says what a bool is.
cat >"$out/config.h" <<'C'
#define CONFIG_H_INCLUDED
#define HAVE_STDBOOL_H 1
#define HAVE_SIGWAITINFO 1
#define HAVE_CLOSEFROM 1
#define HAVE_EXPLICIT_BZERO 1
#define ME 1
C
# shellcheck disable=SC2046 # words
gcc -std=gnu11 -O2 -g -fPIC -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -D_GNU_SOURCE -include "$out/config.h" \
  -isystem "$src/libstrongswan" -isystem "$src/libcharon" -I "$here/../../include" \
  -shared -Wl,-z,defs -o "$out/libstrongswan-ipsectwamp.so" \
  "$here/plugin.c" "$here/sas.c" "$here/door.c" "$build/lib/libipsectwamp.a" \
  -L/usr/lib/ipsec -l:libcharon.so.0 -l:libstrongswan.so.0 -Wl,-rpath-link,/usr/lib/ipsec \
  $(pkg-config --libs libcrypto) $(pkg-config --silence-errors --libs libsodium)
echo "$out/libstrongswan-ipsectwamp.so for strongSwan $version"
