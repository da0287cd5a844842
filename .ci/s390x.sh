#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Builds library, programs and tests for s390x (big-endian) and runs the tests under qemu-s390x.
# usage: .ci/s390x.sh FOLDER; its FOLDER/build is a meson build folder.
#
# Foreign libraries can't be installed beside the native ones when their versions differ, so they are unpacked into a
# sysroot, by an apt with a state of its own: the system's isn't touched.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/support/packages.sh

arch=s390x
triplet=$arch-linux-gnu
need gcc-$triplet libc6-dev-$arch-cross qemu-user meson ninja-build pkg-config python3 clang g++
mkdir -p "$1"
folder=$(cd "$1" && pwd)
sysroot=$folder/sysroot

unpack() {
  local apt=$folder/apt
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs" "$sysroot"
  : >"$apt/status"
  local options=(-qq -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State=$apt"
    -o "Dir::State::lists=$apt/lists" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache"
    -o "APT::Sandbox::User=$(id -un)" -o Acquire::Languages=none)
  apt-get "${options[@]}" update
  (cd "$apt/debs" && apt-get "${options[@]}" download "$@")
  for deb in "$apt"/debs/*.deb; do dpkg -x "$deb" "$sysroot"; done
}

[ -d "$sysroot/usr/include/openssl" ] || unpack libssl3 libssl-dev libsodium23 libsodium-dev libmnl0 libmnl-dev libcmocka0 libcmocka-dev
libs=$sysroot/usr/lib/$triplet

cat >"$folder/cross.ini" <<INI
[binaries]
c = '$triplet-gcc'
ar = '$triplet-ar'
nm = '$triplet-nm'
strip = '$triplet-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['qemu-$arch', '-L', '/usr/$triplet', '-E', 'LD_LIBRARY_PATH=$libs']

[properties]
sys_root = '$sysroot'
pkg_config_libdir = ['$libs/pkgconfig', '$sysroot/usr/share/pkgconfig']

[built-in options]
c_args = ['-isystem', '$sysroot/usr/include/$triplet']
c_link_args = ['-Wl,-rpath-link,$libs']

[host_machine]
system = 'linux'
cpu_family = '$arch'
cpu = '$arch'
endian = 'big'
INI

[ -f "$folder/build/build.ninja" ] || meson setup "$folder/build" --cross-file "$folder/cross.ini" -Dsecrets=sodium
ninja -C "$folder/build"
meson test -C "$folder/build" --no-rebuild --print-errorlogs -t 10
