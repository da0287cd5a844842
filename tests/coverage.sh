#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Line coverage of lib/, all backends together; fails below 95 %. FOLDER: where to build; default: a temporary one.
# usage: tests/coverage.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/support/packages.sh

need gcc g++ libc6-dev clang meson ninja-build pkg-config python3 libssl-dev libsodium-dev libmnl-dev libmbedtls-dev libcmocka-dev
if [ $# -gt 0 ]; then
  folder=$1
else
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
fi
mkdir -p "$folder"

for backends in openssl,sodium mbedtls,plain none,plain; do
  build=$folder/$backends
  [ -f "$build/build.ninja" ] || quietly "$folder/setup.log" meson setup "$build" -Db_coverage=true -Doptimization=0 \
    -Ddefault_library=static -Dexamples=false -Dcrypto="${backends%,*}" -Dsecrets="${backends#*,}"
  quietly "$folder/build.log" ninja -C "$build"
  quietly "$folder/test.log" meson test -C "$build" --no-rebuild -t 3
done
python3 tests/coverage.py . 95 "$folder"/*,*
