#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A kernel that hides keys: `lockdown=confidentiality`, in a machine with Debian's cloud kernel, fetched
# and unpacked here, not installed. qemu-guest.sh has the cases. A line per case, and `N passed, N failed`.
# usage: tests/live/qemu.sh BUILD [CASE-PATTERN]     BUILD: a build folder of this project
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/packages.sh"
[ $# -ge 1 ] || { echo "usage: $0 BUILD [CASE-PATTERN]" >&2; exit 2; }
build=$(cd "$1" && pwd)
for program in itw-ping itw-responder; do
  [ -x "$build/examples/$program" ] || { echo "$build has no examples/$program: meson setup, ninja" >&2; exit 1; }
done
[ "$(uname -m)" = x86_64 ] || { echo 'the programs run as they are in an x86-64 machine' >&2; exit 1; }
need qemu-system-x86 busybox-static iproute2 cpio gzip

scratch=$(mktemp -d "${TMPDIR:-/tmp}/ipsectwamp-qemu.XXXXXX")
machine=''
trap '[ -z "$machine" ] || kill "$machine"; rm -rf "$scratch"' EXIT
guest=$scratch/guest

# unpack_kernel: to $scratch/kernel. The package linux-image-cloud-amd64 is but the name of the newest.
unpack_kernel() {
  local package
  package=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" { print $2; exit }')
  [ -n "$package" ] || { echo 'apt knows no linux-image-cloud-amd64: apt-get update' >&2; return 1; }
  (cd "$scratch" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download "$package")
  dpkg -x "$scratch/$package"_*.deb "$scratch/kernel"
  release=${package#linux-image-}
}

modules=(xfrm_algo xfrm_user esp4 authenc echainiv drbg)

# guest_modules: with a modules.dep of their own.
guest_modules() {
  local module from=$scratch/kernel/lib/modules/$release to=$guest/lib/modules/$release
  mkdir -p "$to"
  for module in "${modules[@]}"; do find "$from" -name "$module.ko" -exec cp -t "$to" {} +; done
  cp "$from"/modules.{order,builtin,builtin.modinfo} "$to"
  busybox depmod -b "$guest" "$release"
}

# guest_program FILE...: each with its shared libraries, where they are on this machine.
guest_program() {
  local file
  for file in "$@"; do
    cp --parents -L "$file" "$guest"
    ldd "$file" | grep -oE '/[^ ]+' | xargs -I{} cp --parents -L {} "$guest"
  done
}

guest_folder() {
  mkdir -p "$guest"/{bin,sbin,dev,proc,sys,run,tmp,cases}
  cp "$(command -v busybox)" "$guest/bin/busybox"
  for applet in sh mount mkdir mkfifo mktemp rm grep sed tail head od tr modprobe poweroff; do
    ln -s busybox "$guest/bin/$applet"
  done
  ln -s ../bin/busybox "$guest/sbin/modprobe"
  guest_modules
  guest_program "$(command -v bash)" "$(command -v ip)" "$build"/examples/itw-{ping,responder}
  cp "$here/cases.sh" "$here/qemu-guest.sh" "$guest/cases"
  cat >"$guest/init" <<INIT
#!/bin/sh
export BUILD='$build' CASES='${2:-}' PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t devtmpfs dev /dev
modprobe -a ${modules[*]}
busybox stty -F /dev/ttyS1 raw
$(command -v bash) /cases/qemu-guest.sh >/dev/ttyS1 2>&1
poweroff -f
INIT
  chmod +x "$guest/init"
}

unpack_kernel || { echo 'there is no kernel to start' >&2; exit 1; }
guest_folder
(cd "$guest" && find . | cpio --quiet -o -H newc | gzip -1) >"$scratch/initramfs"
timeout -k 5 120 qemu-system-x86_64 -accel tcg -m 512 -nodefaults -nographic -no-reboot \
  -kernel "$scratch/kernel/boot/vmlinuz-$release" -initrd "$scratch/initramfs" -append 'console=ttyS0 panic=-1 quiet' \
  -serial "file:$scratch/console" -serial "file:$scratch/log" </dev/null >"$scratch/qemu" 2>&1 &
machine=$!
wait $machine || true
machine=''

cat "$scratch/log" 2>/dev/null || true
grep -qE '^[0-9]+ passed, 0 failed$' "$scratch/log" 2>/dev/null && exit 0
grep -qE '^[0-9]+ passed, [0-9]+ failed$' "$scratch/log" 2>/dev/null && exit 1
tail -n 40 "$scratch/console" "$scratch/qemu"
echo "the guest didn't get to its end"
echo '0 passed, 1 failed'
exit 1
