#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Real ESP and AH of a Linux kernel: itw-ping and itw-responder with --keys-from xfrm, in a user-mode-linux guest that
# is started here and ends with this script. uml-guest.sh has the cases. A line per case, and `N passed, N failed`.
# usage: tests/live/uml.sh BUILD [CASE-PATTERN]     BUILD: a build folder of this project
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/packages.sh"
[ $# -ge 1 ] || { echo "usage: $0 BUILD [CASE-PATTERN]" >&2; exit 2; }
build=$(cd "$1" && pwd)
for program in itw-ping itw-responder; do
  [ -x "$build/examples/$program" ] || { echo "$build has no examples/$program: meson setup, ninja" >&2; exit 1; }
done
need user-mode-linux busybox-static iproute2 charon-systemd strongswan-swanctl libcharon-extra-plugins \
  libstrongswan-standard-plugins libstrongswan-extra-plugins util-linux

scratch=$(mktemp -d "${TMPDIR:-/tmp}/ipsectwamp-uml.XXXXXX")
guest=''
trap '[ -z "$guest" ] || kill "$guest"; rm -rf "$scratch"' EXIT
cat >"$scratch/init" <<INIT
#!/bin/sh
export BUILD='$build' CASES='${2:-}' TMPDIR=/run PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs run /run
mkdir /run/share
mount -t hostfs -o '$scratch' none /run/share
bash '$here/uml-guest.sh' >/run/share/log 2>&1
busybox poweroff -f
INIT
chmod +x "$scratch/init"
# The guest's root is this machine's, read-only; what it writes goes to its own /run, and its log to the scratch folder,
# which is a share. Its memory is a file there: a container's /dev/shm may be small and noexec.
HOME=$scratch TMPDIR=$scratch timeout -k 5 240 linux.uml mem=512M root=/dev/root rootfstype=hostfs rootflags=/ ro \
  init="$scratch/init" con=null con0=fd:0,fd:1 quiet </dev/null >"$scratch/console" 2>&1 &
guest=$!
wait $guest || true
guest=''

cat "$scratch/log" 2>/dev/null || true
grep -qE '^[0-9]+ passed, 0 failed$' "$scratch/log" 2>/dev/null && exit 0
grep -qE '^[0-9]+ passed, [0-9]+ failed$' "$scratch/log" 2>/dev/null && exit 1
tail -n 40 "$scratch/console"
echo "the guest didn't get to its end"
echo '0 passed, 1 failed'
exit 1
