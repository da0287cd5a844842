# SPDX-License-Identifier: BSD-3-Clause
# Sourced. need PACKAGE... installs the Debian packages that are missing; if it may not, it names them and exits.

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# The list of packages may be newer than the archive's, or not there at all: then once more after an update.
install_packages() {
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install)
  as_root "${apt[@]}" "$@" >/dev/null 2>&1 && return
  as_root apt-get -qq update >/dev/null && as_root "${apt[@]}" "$@" >/dev/null
}

need() {
  local package missing=()
  if ! command -v dpkg-query >/dev/null; then
    echo "not a Debian: if something is missing below, it is what these Debian packages hold: $*" >&2
    return
  fi
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    echo "missing, and neither root nor sudo to install them: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "installing ${missing[*]}"
  if ! install_packages "${missing[@]}"; then
    echo "could not install them: apt-get install ${missing[*]}" >&2
    exit 1
  fi
}

# quietly LOG COMMAND...: shows what it said only if it failed.
quietly() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 && return
  local status=$?
  tail -n 60 "$log" >&2
  echo "failed: $* (all of it: $log)" >&2
  return $status
}
