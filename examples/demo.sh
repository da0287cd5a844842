#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs what is missing (Debian), builds, runs itw-demo. Arguments go to itw-demo. BUILD: another build folder.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/support/packages.sh
build=${BUILD:-build}

need gcc libc6-dev meson ninja-build pkg-config libssl-dev libsodium-dev libmnl-dev
mkdir -p "$build"
[ -f "$build/build.ninja" ] || quietly "$build/setup.log" meson setup "$build" -Dtests=false
quietly "$build/build.log" ninja -C "$build" examples/itw-demo
"$build/examples/itw-demo" "$@"
