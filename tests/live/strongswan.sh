#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Keys from two real charons: itw-ping and itw-responder with --keys-from strongswan, over our plugin in charon and over the HA
# plugin of the stock daemon, in two network namespaces that are made here and end with this script. Needs root. Prints a line
# per case, and `N passed, N failed`.
# usage: tests/live/strongswan.sh BUILD [CASE-PATTERN]     BUILD: a build folder of this project
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/packages.sh"
CASES=${2:-}
. "$here/cases.sh"
cannot() { echo "strongswan.sh can't run here: $*" >&2; echo '0 passed, 1 failed'; exit 1; }
[ $# -ge 1 ] || { echo "usage: $0 BUILD [CASE-PATTERN]" >&2; exit 2; }
[ "$(id -u)" = 0 ] || cannot 'it takes root, for network namespaces'
build=$(cd "$1" && pwd)
ping=$build/examples/itw-ping responder=$build/examples/itw-responder
[ -x "$ping" ] && [ -x "$responder" ] || cannot "$build has no examples/itw-ping: meson setup, ninja"
need iproute2 charon-systemd strongswan-swanctl strongswan-pki libcharon-extra-plugins libstrongswan-standard-plugins \
  libstrongswan-extra-plugins util-linux procps python3 || cannot 'packages are missing'
"$here/../../examples/strongswan-plugin/build.sh" "$build" "$build/strongswan-plugin" >"$build/strongswan-plugin.log" 2>&1 ||
  { tail -n 20 "$build/strongswan-plugin.log"; cannot 'the plugin for charon could not be built'; }

scratch=$(mktemp -d "${TMPDIR:-/tmp}/ipsectwamp-swan.XXXXXX")
chmod 755 "$scratch" # one case is another user's
net=itw$$
declare -A charon=()

# ---- two hosts ----

on() { ip netns exec "$net-$1" "${@:2}"; }
leave() {
  local host
  [ -z "${server:-}" ] || kill "$server" 2>/dev/null
  for host in "${!charon[@]}"; do kill -9 "${charon[$host]}" 2>/dev/null; done
  wait 2>/dev/null
  for host in a b; do ip netns del "$net-$host" 2>/dev/null; done
  rm -rf "$scratch"
}
trap leave EXIT
trap 'exit 1' INT TERM
for host in a b; do
  ip netns add "$net-$host" || cannot 'no network namespaces'
  on $host ip link set lo up
  on $host sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/keep_addr_on_down' # one case takes the link down
done
ip link add "$net-a" netns "$net-a" type veth peer name "$net-b" netns "$net-b" || cannot 'no veth'
A=10.77.0.1 B=10.77.0.2 INNER_A=10.78.1.1 INNER=10.78.2.1
on a ip addr add $A/24 dev "$net-a" && on a ip addr add $INNER_A/32 dev lo && on a ip link set "$net-a" up
on b ip addr add $B/24 dev "$net-b" && on b ip addr add $INNER/32 dev lo && on b ip link set "$net-b" up
cp -a /usr/lib/ipsec/plugins "$scratch/plugins" && cp "$build/strongswan-plugin/libstrongswan-ipsectwamp.so" "$scratch/plugins/"

# ---- two charons ----

# settings HOST OWN OTHER: all that a charon reads. IKE_A, IKE_B (proposals), ESP, AUTH (psk, pubkey), CHILDLESS say how.
settings() {
  local folder=$scratch/$1 secret=''
  local -n ike=IKE_$1
  local plugins='random nonce openssl kdf sha1 sha2 aes hmac gmp xcbc cmac pem pkcs1 pkcs8 pubkey x509 constraints'
  plugins+=' revocation kernel-libipsec kernel-netlink socket-default vici updown ha ipsectwamp'
  mkdir -p "$folder"/swanctl/{conf.d,x509,x509ca,x509ocsp,x509aa,x509ac,x509crl,pubkey,private,rsa,ecdsa,bliss,pkcs8,pkcs12}
  [ $AUTH = psk ] && secret="secrets { ike { secret = $psk } }"
  cat >"$folder/strongswan.conf" <<CONF
charon-systemd {
  load = $plugins
  plugins {
    vici { socket = unix://$folder/vici.sock }
    ipsectwamp { socket = $folder/itw.sock }
    ha {
      local = 127.0.0.1
      remote = 127.0.0.2
      fifo_interface = no
      monitor = no
    }
    kernel-libipsec { allow_peer_ts = yes }
  }
  filelog {
    f {
      path = $folder/log
      flush_line = yes
    }
  }
}
CONF
  cat >"$folder/swanctl/swanctl.conf" <<CONF
connections {
  gold {
    version = 2
    local_addrs = $2
    remote_addrs = $3
    proposals = $ike
    childless = $CHILDLESS
    local {
      auth = $AUTH
      id = $1.test
      $([ $AUTH = psk ] || echo "certs = $1.pem")
    }
    remote {
      auth = $AUTH
      id = $4.test
    }
    children {
      c1 {
        local_ts = $5
        remote_ts = $6
        esp_proposals = $ESP
      }
    }
  }
}
$secret
CONF
}

certificates() {
  local host
  (
    cd "$scratch" || exit
    pki --gen --type ecdsa --size 256 --outform pem >ca.key
    pki --self --ca --in ca.key --type ecdsa --dn 'CN=ca' --outform pem >ca.pem
    for host in a b; do
      cp ca.pem $host/swanctl/x509ca/
      pki --gen --type ecdsa --size 256 --outform pem >$host/swanctl/private/$host.pem
      pki --pub --in $host/swanctl/private/$host.pem --type ecdsa |
        pki --issue --cacert ca.pem --cakey ca.key --type pub --dn "CN=$host" --san $host.test --outform pem \
          >$host/swanctl/x509/$host.pem
    done
    rm ca.key
  ) >"$scratch/pki.log" 2>&1
}

# swan HOST ARGUMENT...
swan() {
  SWANCTL_DIR=$scratch/$1/swanctl timeout 10 swanctl "${@:2}" --uri "unix://$scratch/$1/vici.sock" \
    >"$scratch/$1/swanctl.log" 2>&1 ||
    wrong "swanctl ${*:2} failed on $1: $(tail -n 1 "$scratch/$1/swanctl.log")"
}
start_charon() {
  rm -f "$scratch/$1/log"
  STRONGSWAN_CONF=$scratch/$1/strongswan.conf ip netns exec "$net-$1" sh -c \
    "mount --bind '$scratch/plugins' /usr/lib/ipsec/plugins && exec /usr/sbin/charon-systemd" >"$scratch/$1/out" 2>&1 &
  charon[$1]=$!
  until_line "$scratch/$1/log" 'spawning [0-9]+ worker threads'
  swan "$1" --load-all
}
stop_charon() { # HOST SIGNAL
  kill "-$2" "${charon[$1]}"
  wait "${charon[$1]}" 2>/dev/null
  unset "charon[$1]"
}
# charons: both anew, by the settings.
charons() {
  local host
  for host in "${!charon[@]}"; do stop_charon "$host" TERM; done
  psk=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
  settings a $A $B b $INNER_A $INNER
  settings b $B $A a $INNER $INNER_A
  [ $AUTH = psk ] || certificates
  start_charon a
  start_charon b
}
# forget HOST: deletes its IKE SA, whether or not the other side answers.
forget() {
  SWANCTL_DIR=$scratch/$1/swanctl timeout 4 swanctl --terminate --ike gold --force --timeout 1 --uri "unix://$scratch/$1/vici.sock" \
    >"$scratch/$1/swanctl.log" 2>&1 || true
}
# until_prf PRF: a's IKE SA, the only one, has it.
until_prf() {
  local tries=100 seen=''
  until [ "$seen" = "$1" ]; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { wrong "the PRF is $seen, not $1"; return; }
    swan a --list-sas
    seen=$(grep -oE 'PRF_[A-Z0-9_]+' "$scratch/a/swanctl.log" | paste -sd ' ')
  done
}
bring_up() { if [ $CHILDLESS = force ]; then swan a --initiate --ike gold; else swan a --initiate --child c1; fi; }

# ---- programs ----

logs=("$scratch/responder" "$scratch/a/tail" "$scratch/b/tail")
feed() { # HOST: what --keys-from is told
  if [ "$from" = plugin ]; then echo "strongswan:$scratch/$1/itw.sock"; else echo strongswan:ha; fi
}
from=plugin
serve() {
  : >"$scratch/responder"
  ip netns exec "$net-b" "$responder" --keys-from "$(feed b)" --port 8620 "$@" >"$scratch/responder" 2>&1 &
  server=$!
  until_line "$scratch/responder" '^listening on 0'
  [ -n "${early:-}" ] || until_line "$scratch/responder" 'keys from charon'
}
stop() {
  for host in a b; do grep -v '\[KNL\]\|\[NET\]\|\[ENC\]' "$scratch/$host/log" | tail -n 15 >"$scratch/$host/tail"; done
  kill -INT "$server"
  wait "$server" || wrong "the responder's exit status is $?"
  server=''
}
served() { grep -qE -- "$1" "$scratch/responder" || wrong "the responder has no line with: $1"; }
clean_service() { served "^test packets: $1 received, $1 replied; refused: 0 forged, 0 malformed, 0 of no session, 0 early, 0 late"; }
ask() { run on a timeout 20 "$ping" --keys-from "$(feed a)" -q -c 10 -i 0.01 -W 0.3 --connect 3 "$@"; }

at() { if [[ $1 = *:* ]]; then echo "[$1]:8620"; else echo "$1:8620"; fi; }

# begin_measuring NAME TO ARGUMENT...; later end_measuring NAME.
declare -A client=()
packets=120
begin_measuring() {
  : >"$scratch/ping-$1"
  ip netns exec "$net-a" timeout 30 "$ping" --keys-from "$(feed a)" -v -c $packets -i 0.01 -W 0.3 --connect 3 \
    "${@:3}" "$(at "$2")" >"$scratch/ping-$1" 2>&1 &
  client[$1]=$!
  until_line "$scratch/ping-$1" '^seq 20 '
}
end_measuring() {
  code=0
  wait "${client[$1]}" || code=$?
  out=$(grep -v '^seq' "$scratch/ping-$1")
}
# accounted: sent = received + lost, whatever was lost.
accounted() {
  local sent received lost
  read -r sent received lost < <(sed -nE 's/^([0-9]+) sent, ([0-9]+) received, ([0-9]+) lost, 0 dup.*/\1 \2 \3/p' <<<"$out")
  [ "${sent:-0}" = $packets ] && [ $((received + lost)) = $packets ] ||
    wrong "not accounted for: ${sent:-?} sent, ${received:-?} received, ${lost:-?} lost"
}

schemes_and_modes() { # KIND SCHEME...
  local kind=$1 scheme mode
  for scheme in "${@:2}"; do
    begin "$kind, $from: $scheme" || continue
    serve --scheme "$scheme"
    for mode in auth enc; do
      ask --scheme "$scheme" --mode $mode "$(at $B)"
      counted 10 0
      expect "mode $mode, keys from $scheme \((IKE|ESP) SA [0-9a-f]+_[0-9a-f]+\)"
    done
    stop
    clean_service 20
    [ "$from" = ha ] || served "keys from charon.s SAs \(IKE 1, CHILD [01]\)"
    end
  done
}

# ---- cases ----

IKE_a=aes256-sha512-prfsha512-ecp256,aes128-sha1-prfsha1-ecp256
IKE_b=aes128-sha1-prfsha1-ecp256,aes256-sha512-prfsha512-ecp256
ESP=aes256-sha256 AUTH=psk CHILDLESS=allow

set_up 'two charons come up, both feeds are there' && {
  charons
  early=1 serve
  bring_up
  until_line "$scratch/responder" 'SA up: IKE SA'
  stop
  end
}
for from in plugin ha; do schemes_and_modes PSK ikev2 shared shared-sid root; done
from=plugin

begin 'through the ESP tunnel and beside it' && {
  serve
  begin_measuring beside $B
  begin_measuring inside $INNER
  end_measuring beside
  counted $packets 0
  beside=$(grep '^rtt' <<<"$out")
  end_measuring inside
  counted $packets 0
  expect 'IKE SA'
  stop
  clean_service $((2 * packets))
  end
  printf '   beside the tunnel: %s\n   inside:            %s\n' "$beside" "$(grep '^rtt' <<<"$out")"
}

begin 'what leaves charon' && {
  swan a --terminate --ike gold
  mkfifo "$scratch/pids"
  exec {pids}<>"$scratch/pids"
  : >"$scratch/leaks"
  ip netns exec "$net-a" python3 "$here/leaks.py" "$scratch/a/itw.sock" "${charon[a]}" "$scratch" <&$pids >"$scratch/leaks" 2>&1 &
  looking=$!
  until_line "$scratch/leaks" '^ready$'
  bring_up
  serve --scheme root
  begin_measuring beside $B --scheme root -c 250
  echo "$(pgrep -P "${client[beside]}") $server" >&$pids
  wait "$looking" || wrong 'see below: FAULT'
  exec {pids}>&-
  end_measuring beside
  counted 250 0
  stop
  out=$(cat "$scratch/leaks")
  expect 'no secret of IPsec in the memory of itw-ping'
  end
}

# rekeyed NAME SCHEME HOST ike|child: in the middle of a measurement beside the tunnel and one inside, under both policies.
# With another_prf=1 the PRF changes: a responder takes the proposal that it prefers itself (PRF_OF), so first the other rekeys.
rekeyed() {
  local policy where places to what=(ESP --child c1) other=b packets=$packets
  [ "$4" = child ] || what=(IKE --ike gold)
  [ "$from $4" != 'ha child' ] || packets=300 # the HA feed tells of it after 1 or 2 s
  [ "$3" = a ] || other=a
  for policy in keep close; do
    begin "$1, $from: $policy" || continue
    places='beside inside'
    [ $from = plugin ] && [ $CHILDLESS != force ] || places=beside # HA: one program per host
    [ -z "${another_prf:-}" ] || { swan $other --rekey --ike gold; until_prf "${PRF_OF[$3]}"; }
    serve --scheme "$2" --rekey $policy
    for where in $places; do
      [ $where = inside ] && to=$INNER || to=$B
      begin_measuring $where $to --scheme "$2" --rekey $policy
    done
    swan "$3" --rekey "${what[@]:1}"
    for where in $places; do
      end_measuring $where
      accounted
      [ $where = inside ] || counted $packets 0
      if [ $policy = close ]; then expect '^part 2, (IKE|ESP) SA '; else refuse '^part'; fi
    done
    [ -z "${another_prf:-}" ] || until_prf "${PRF_OF[$other]}"
    until_line "$scratch/responder" "SA rekeyed: ${what[0]} SA"
    stop
    served 'refused: 0 forged, 0 malformed, 0 of no session, 0 early, 0 late'
    end
  done
}
declare -A PRF_OF=([a]=PRF_HMAC_SHA2_512 [b]=PRF_HMAC_SHA1)
for from in plugin ha; do
  rekeyed 'IKE rekey from a' ikev2 a ike
  another_prf=1 rekeyed 'IKE rekey from b, another PRF' ikev2 b ike
  rekeyed 'CHILD rekey from a' shared a child
  rekeyed 'CHILD rekey from b' root b child
done
from=plugin

# ---- what goes wrong ----

begin 'the wrong SA' && {
  random() { head -c "$1" /dev/urandom | od -An -tx1 | tr -d ' \n'; }
  printf '[ike-sa wrong]\nspi-i = %s\nspi-r = %s\nprf = hmac-sha2-256\nsk-d = %s\nskeyseed = %s\n' \
    "$(random 8)" "$(random 8)" "$(random 32)" "$(random 32)" >"$scratch/wrong"
  serve
  run on a "$ping" --keys "$scratch/wrong" -c 1 $B:8620
  status 2
  expect 'Accept 6'
  served 'Accept 6: no SA with this peer.*IKE SA [0-9a-f]{16}_[0-9a-f]{16}'
  stop
  serve --scheme shared
  run on a "$ping" --keys "$scratch/wrong" --scheme shared -c 1 $B:8620
  status 2
  expect 'name no SA that we have with this peer; the greeting names (ESP|IKE) SPIs'
  stop
  end
}
begin 'a user who may not ask' && {
  cp "$ping" "$scratch/ping" && cp -L "$build"/lib/libipsectwamp*.so.0 "$build"/lib/*/libipsectwamp-*.so.0 "$scratch/" 2>/dev/null
  nobody() {
    run on a setpriv --reuid 65534 --regid 65534 --clear-groups env LD_LIBRARY_PATH="$scratch" "$scratch/ping" \
      --keys-from "strongswan:$scratch/a/itw.sock" --connect 0.5 -c 1 $B:8620
  }
  nobody # the socket's mode
  status 2
  expect 'not permitted|Permission denied'
  chmod 666 "$scratch/a/itw.sock" # the plugin asks the kernel who it is
  nobody
  status 2
  chmod 600 "$scratch/a/itw.sock"
  grep -q 'user 65534 may not ask' "$scratch/a/log" || wrong "charon's log doesn't tell of the user"
  end
}
for from in plugin ha; do
  begin "$from: the SA is deleted" && {
    serve --rekey close
    begin_measuring beside $B --rekey close --connect 1
    swan b --terminate --ike gold
    end_measuring beside
    [ $code = 2 ] || wrong "exit status $code, not 2"
    expect 'the SA is gone, and there was no session with a new one'
    expect ' 0 lost, 0 duplicates'
    stop
    served 'SA gone: IKE SA'
    bring_up
    end
  }
  begin "$from: one side's SA is deleted" && {
    serve
    on b ip link set "$net-b" down
    forget b
    on b ip link set "$net-b" up
    until_line "$scratch/responder" 'SA gone: IKE SA'
    ask --connect 1 $B:8620
    status 2
    expect 'Accept 6'
    stop
    served 'Accept 6: no SA with this peer'
    forget a
    bring_up
    end
  }
  begin "$from: charon is restarted" && {
    serve
    ask $B:8620
    counted 10 0
    stop_charon b KILL
    until_line "$scratch/responder" 'IKE daemon is away'
    start_charon b
    forget a
    bring_up
    until_line "$scratch/responder" 'SA up: IKE SA' # the second
    ask $B:8620
    counted 10 0
    stop
    end
  }
done
from=plugin
begin 'charon is away: says so' && {
  run on a "$ping" --keys-from "strongswan:$scratch/nowhere" --connect 0.5 -c 1 $B:8620
  status 2
  expect 'no keys within'
  end
}

# settled: both have one IKE SA that isn't rekeyed, the same, and one CHILD SA; one of the two is new to each since the last call.
settled() {
  local host new end=$((SECONDS + 6))
  while [ $SECONDS -lt $end ]; do
    new=0
    for host in a b; do
      swan $host --list-sas
      sed -nE 's/^gold: #([0-9]+), ESTABLISHED, IKEv2, ([0-9a-f]+_i)[*]? ([0-9a-f]+_r).*/\1 \2 \3/p; s/^  c1: #([0-9]+), .* INSTALLED,.*/\1 CHILD/p' \
        "$scratch/$host/swanctl.log" >"$scratch/$host/sas"
      cmp -s "$scratch/$host/sas" "$scratch/$host/sas-before" || new=$((new + 1))
      cut -d' ' -f2- "$scratch/$host/sas" >"$scratch/$host/names"
    done
    if [ $new = 2 ] && [ "$(wc -l <"$scratch/a/names")" = 2 ] && cmp -s "$scratch/a/names" "$scratch/b/names"; then
      for host in a b; do mv "$scratch/$host/sas" "$scratch/$host/sas-before"; done
      return
    fi
    sleep 0.02
  done
  wrong "the two charons don't agree: $(xargs <"$scratch/a/names"), $(xargs <"$scratch/b/names")"
}
begin 'both rekey at the same time' && {
  settled
  for scheme in shared ikev2; do
    for what in '--child c1' '--ike gold'; do
      rekeying=()
      for host in a b; do
        # shellcheck disable=SC2086 # words
        swan $host --rekey $what &
        rekeying+=($!)
      done
      wait "${rekeying[@]}"
      settled
      serve --scheme $scheme
      ask --scheme $scheme $B:8620
      counted 10 0
      stop
    done
  done
  end
}

AUTH=pubkey ESP=aes128gcm16-ecp256 IKE_a=aes256-sha384-ecp384 IKE_b=aes256-sha384-ecp384
set_up 'certificates, AES-GCM, PFS' && {
  charons
  bring_up
  end
}
schemes_and_modes certificates ikev2 shared root
rekeyed 'CHILD rekey with PFS from a' shared a child
AUTH=psk CHILDLESS=force IKE_a=aes256-sha256-prfsha256-ecp256,aes128-aesxcbc-prfaesxcbc-ecp256
IKE_b=aes128-aesxcbc-prfaesxcbc-ecp256,aes256-sha256-prfsha256-ecp256
PRF_OF=([a]=PRF_HMAC_SHA2_256 [b]=PRF_AES128_XCBC)
set_up 'childless IKE SA' && {
  charons
  bring_up
  end
}
for from in plugin ha; do
  schemes_and_modes childless ikev2 shared shared-sid root
  another_prf=1 rekeyed 'childless: IKE rekey from a, another PRF' shared a ike
  another_prf=1 rekeyed 'childless: IKE rekey from b, another PRF' root b ike
done

AUTH=psk CHILDLESS=allow IKE_a=default IKE_b=default ESP=aes256-sha256
A=fd77::1 B=fd77::2 INNER_A=fd78:1::1 INNER=fd78:2::1
set_up 'IPv6' && {
  on a ip addr add $A/64 dev "$net-a" nodad && on a ip addr add $INNER_A/128 dev lo nodad
  on b ip addr add $B/64 dev "$net-b" nodad && on b ip addr add $INNER/128 dev lo nodad
  charons
  bring_up
  end
}
for from in plugin ha; do schemes_and_modes IPv6 ikev2 shared; done
from=plugin
begin 'IPv6 through the ESP tunnel' && {
  serve
  begin_measuring inside $INNER
  end_measuring inside
  counted $packets 0
  stop
  clean_service $packets
  end
}

tally
