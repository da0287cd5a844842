#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Uses the library as its users do: installed, by pkg-config, shared and static; and as a meson subproject.
# usage: .ci/consumer.sh BUILD_FOLDER SCRATCH_FOLDER
set -euo pipefail
build=$1 scratch=$2
root=$(cd "$(dirname "$0")/.." && pwd)
rm -rf "$scratch" && mkdir -p "$scratch/prefix" "$scratch/app/subprojects"
cd "$scratch"

DESTDIR=$scratch/prefix meson install -C "$build" --no-rebuild --quiet
pc=$(find prefix -name ipsectwamp.pc)
export PKG_CONFIG_PATH=$scratch/${pc%/*}
export PKG_CONFIG_SYSROOT_DIR=$scratch/prefix

cat >app/app.c <<'C'
#include <ipsectwamp/ipsectwamp.h>
#include <stdio.h>
int main(void)
{
  itw_keyring *ring;
  if (itw_keyring_new(&ring, 1, NULL)) return 1;
  itw_keyring_free(ring);
  printf("%x %s %s\n", (unsigned)itw_version(), itw_crypto_backend(), itw_secrets_backend());
  return 0;
}
C
cat >app/meson.build <<'M'
project('app', 'c')
executable('app', 'app.c', dependencies: dependency('ipsectwamp', fallback: 'ipsectwamp'))
M
ln -s "$root" app/subprojects/ipsectwamp

# The system's own libraries aren't under the prefix: their flags must not be moved there.
own() { pkg-config "$@" | sed "s|$scratch/prefix$scratch/prefix|$scratch/prefix|g"; }
cc app/app.c -o shared $(own --cflags --libs ipsectwamp)
libdir=$(pkg-config --variable=libdir ipsectwamp | sed "s|^|$scratch/prefix|; s|$scratch/prefix$scratch/prefix|$scratch/prefix|")
LD_LIBRARY_PATH=$libdir ./shared
cc app/app.c -o static $(own --cflags ipsectwamp) -Wl,-Bstatic $(own --libs ipsectwamp) \
  -Wl,-Bdynamic $(env -u PKG_CONFIG_SYSROOT_DIR pkg-config --static --libs ipsectwamp | sed 's/-lipsectwamp//')
./static

# The sources of SAs are libraries of their own.
cat >app/sources.c <<'C'
#include <ipsectwamp/strongswan.h>
#include <ipsectwamp/xfrm.h>
#include <stdio.h>
int main(void)
{
  uint32_t pairs = 1;
  itw_xfrm_free(NULL);
  itw_strongswan_free(NULL);
  printf("%s %u\n", itw_strongswan_path(), itw_xfrm_count(NULL, &pairs) + pairs);
  return 0;
}
C
cc app/sources.c -o sources $(own --cflags --libs ipsectwamp-xfrm ipsectwamp-strongswan) -Wl,-rpath-link,"$libdir"
LD_LIBRARY_PATH=$libdir ./sources
env -u PKG_CONFIG_PATH -u PKG_CONFIG_SYSROOT_DIR meson setup sub app >/dev/null
ninja -C sub >/dev/null
./sub/app
if find sub -name 'test_*' -o -name 'itw-demo' | grep -q .; then
  echo 'a subproject builds tests or programs' >&2
  exit 1
fi
