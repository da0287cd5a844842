#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs what is missing (Debian), builds, runs all tests, ends with a line `N passed, N failed, N skipped`. Arguments go
# to meson test: names of tests, --suite ... BUILD: another build folder.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/support/packages.sh
build=${BUILD:-build}

need gcc g++ libc6-dev clang meson ninja-build pkg-config python3 libssl-dev libsodium-dev libmnl-dev libcmocka-dev
mkdir -p "$build"
if [ -f "$build/build.ninja" ]; then
  quietly "$build/setup.log" meson configure "$build" -Dtests=true -Dexamples=true
else
  quietly "$build/setup.log" meson setup "$build"
fi
if ! quietly "$build/build.log" ninja -C "$build"; then
  echo '0 passed, 1 failed, 0 skipped'
  exit 1
fi
meson test -C "$build" --no-rebuild --print-errorlogs "$@" | grep -vE '^(ninja: |$)|^Full log' || true
python3 tests/tally.py "$build"
