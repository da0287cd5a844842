# SPDX-License-Identifier: BSD-3-Clause
# Inside the guest, as its init's only child: three hosts a, b, c as network namespaces, with the kernel's real ESP
# and AH. Keys are drawn anew for each SA.
mount -t proc proc /proc
mount -t sysfs sys /sys
cd "$(dirname "$0")" && . ./cases.sh
ping=$BUILD/examples/itw-ping responder=$BUILD/examples/itw-responder

# ---- the guest ----

mkdir /run/netns
ulimit -n 4096
modules=$(echo /usr/lib/uml/modules/*)
declare -A file=() needs=() loaded=()
while IFS=: read -r path others; do
  name=${path##*/}
  file[${name%.ko}]=$path needs[${name%.ko}]=$others
done <"$modules/modules.dep"

# load MODULE...: with what they need.
load() {
  local module need others
  for module in "$@"; do
    [ -z "${loaded[$module]:-}" ] || continue
    loaded[$module]=1 others=()
    for need in ${needs[$module]}; do need=${need##*/} others+=("${need%.ko}"); done
    load "${others[@]}"
    busybox insmod "$modules/${file[$module]}" || echo "insmod $module"
  done
}
load hmac cbc ansi_cprng authenc authencesn echainiv seqiv gcm ctr ghash-generic sha512_generic xfrm_user ipv6 \
  esp4 ah4 esp6 ah6 veth tun >/run/modules 2>&1
ip xfrm state || { cat /run/modules; exit 1; }

# Networks a-b and b-c, 10.0.N.0/24 and fd00:N::/64, each a veth pair; 10.1.0.1 and .2 are behind a and b.
for host in a b c; do ip netns add $host; done
ip -batch - <<'IP'
link add to-b netns a type veth peer name to-a netns b
link add to-b netns c type veth peer name to-c netns b
IP
ip -n a -batch - <<'IP'
link set lo up
addr add 10.0.1.1/24 dev to-b
addr add fd00:1::1/64 dev to-b nodad
link set to-b up
addr add 10.1.0.1/32 dev lo
route add 10.1.0.2/32 via 10.0.1.2 src 10.1.0.1
IP
ip -n b -batch - <<'IP'
link set lo up
addr add 10.0.1.2/24 dev to-a
addr add fd00:1::2/64 dev to-a nodad
link set to-a up
addr add 10.1.0.2/32 dev lo
route add 10.1.0.1/32 via 10.0.1.1 src 10.1.0.2
addr add 10.0.2.2/24 dev to-c
link set to-c up
IP
ip -n c -batch - <<'IP'
link set lo up
addr add 10.0.2.1/24 dev to-b
link set to-b up
IP
A=10.0.1.1 B=10.0.1.2 packets=0

# ---- SAs ----

# draw OCTETS: a key, by the kernel's random numbers (of which UUIDs have some fixed bits).
draw() {
  local uuid
  key=0x
  until [ ${#key} -ge $((2 + 2 * $1)) ]; do
    read -r uuid </proc/sys/kernel/random/uuid
    key+=${uuid//-/}
  done
  key=${key:0:2 + 2 * $1}
}
# What an SA is made with, in $alg; an empty key is one of no octets.
esp() { draw "$3"; alg="auth hmac($2) $key"; draw "$1"; alg+=" enc cbc(aes) $key"; } # CIPHER-OCTETS HASH HASH-OCTETS
ah() { draw 32; alg="auth hmac(sha256) $key"; }
aead() { draw 20; alg="aead rfc4106(gcm(aes)) $key 128"; }
null() { draw 20; alg="auth hmac(sha1) $key enc ecb(cipher_null) ''"; }
bare() { draw 16; alg="enc cbc(aes) $key"; }

# on HOSTS LINES: commands of `ip` on each.
on() {
  local host
  for host in $1; do ip -n "$host" -batch - <<<"$2" || wrong "ip failed on $host: ${2:0:90}"; done
}
# pair SPI ALGORITHM...: between a and b (or src, dst), known to both (or to hosts); there SPI 1, back SPI 2.
pair() {
  local from=${src:-$A} to=${dst:-$B} like="reqid 7 mode ${mode:-transport}" there back
  "${@:2}"
  there="xfrm state add src $from dst $to proto ${proto:-esp} spi 0x${1}1 $like $alg"
  "${@:2}"
  back="xfrm state add src $to dst $from proto ${proto:-esp} spi 0x${1}2 $like $alg"
  on "${hosts:-a b}" "$there"$'\n'"$back"
}
drop_pair() { # SPI
  on 'a b' "xfrm state delete src $A dst $B proto esp spi 0x${1}1"
  on 'a b' "xfrm state delete src $B dst $A proto esp spi 0x${1}2"
}
# policies A B: for traffic between these addresses of a and b, so that it really goes through the SAs.
policies() {
  local there=tmpl back=tmpl like="proto esp reqid 7 mode ${mode:-transport}"
  [ "${mode:-transport}" = transport ] || { there="tmpl src $A dst $B" back="tmpl src $B dst $A"; }
  on a "xfrm policy add src $1 dst $2 dir out $there $like"$'\n'"xfrm policy add src $2 dst $1 dir in $back $like"
  on b "xfrm policy add src $2 dst $1 dir out $back $like"$'\n'"xfrm policy add src $1 dst $2 dir in $there $like"
}
clean() { # HOSTS
  on "${1:-a b}" $'xfrm state flush\nxfrm policy flush'
  packets=0
}
# packets HOST: $packets, that went through its SAs so far.
packets() {
  local text
  packets=0
  text=$(ip -n "$1" -s xfrm state)
  while [[ $text =~ ([0-9]+)\(packets\)(.*) ]]; do
    packets=$((packets + BASH_REMATCH[1]))
    text=${BASH_REMATCH[2]}
  done
}
# through COUNT COMMAND...: which sends more packets than that through a's SAs, new ones or those of the last time.
through() {
  local before=$packets
  "${@:2}"
  packets a
  [ "$packets" -gt $((before + $1)) ] || wrong "the packets didn't go through the SA"
}

# ---- programs ----

logs=(/run/responder)
# serve ARGUMENT...: the responder on b.
serve() {
  : >/run/responder
  busybox nsenter --net=/run/netns/b "$responder" --keys-from xfrm --port 8620 "$@" >/run/responder 2>&1 &
  server=$!
  until_line /run/responder '^listening on 0'
}
# stop: ends it; its summary is in the log.
stop() {
  kill -INT $server
  wait $server || wrong "the responder's exit status is $?"
}
ask() {
  run busybox nsenter --net="/run/netns/${from:-a}" "$ping" --keys-from xfrm "$@" -q -c 5 -i 0.01 -W 0.5 --connect 2 \
    "${to:-$B}:8620"
}
served() { has /run/responder "$1" || wrong "the responder has no line with: $1"; }

# ---- cases: each algorithm, both modes ----

# measured ALGORITHM...: with keys of its SA, and through it.
measured() {
  pair 10 "$@"
  serve
  local mode
  for mode in auth enc; do
    through 9 ask --mode $mode
    counted 5 0
    expect "mode $mode, keys from direct \(ESP SA "
  done
  stop
  served '^test packets: 10 received, 10 replied; refused: 0 forged'
}
while read -r cipher hash octets; do
  begin "transport AES-$((cipher * 8))-CBC, HMAC-$hash" || continue
  policies $A $B
  measured esp $cipher $hash $octets
  end
  clean
done <<<'16 sha1 20
16 sha256 32
24 sha384 48
32 sha1 20
32 sha256 32
32 sha512 64'
begin 'transport IPv6' && {
  src=fd00:1::1 dst=fd00:1::2 to='[fd00:1::2]'
  policies $src $dst
  measured esp 16 sha1 20
  unset src dst to
  end
  clean
}
begin 'tunnel, by its policies' && {
  mode=tunnel to=10.1.0.2
  policies 10.1.0.1 10.1.0.2
  measured esp 32 sha256 32
  unset mode to
  end
  clean
}
begin 'several peers, each with its SA' && {
  pair 10 esp 16 sha1 20
  hosts='c b' src=10.0.2.1 dst=10.0.2.2 pair 20 esp 16 sha1 20
  serve
  ask
  counted 5 0
  expect 'ESP SA 00000102_00000101|ESP SA 00000101_00000102'
  from=c to=10.0.2.2 ask
  counted 5 0
  expect 'ESP SA 00000202_00000201|ESP SA 00000201_00000202'
  stop
  end
  clean 'a b c'
}

# ---- cases: what isn't served ----

# unfit NAME WORDS ALGORITHM: refused, but for unauthenticated mode.
unfit() {
  begin "refused: $1" || return
  pair 10 "$3"
  serve --modes open,auth,enc
  ask --mode enc
  status 2
  served "$2"
  ask --mode open --scheme direct
  counted 5 0
  stop
  end
  clean
}
proto=ah unfit 'AH' 'is AH' ah
unfit 'AEAD' 'is an AEAD' aead
unfit 'NULL cipher' 'cipher is NULL' null
begin 'refused: encryption-only ESP' && {
  pair 10 bare
  serve
  ask
  status 2
  served 'encryption-only'
  stop
  end
  clean
}
begin 'an SA in one direction only' && {
  esp 16 sha1 20
  on 'a b' "xfrm state add src $A dst $B proto esp spi 0x1001 reqid 7 mode transport $alg"
  serve
  ask
  status 2
  served 'one direction only'
  stop
  end
  clean
}
begin 'a larval SA' && {
  on 'a b' "xfrm state allocspi src $A dst $B proto esp reqid 7 mode transport min 0x2000 max 0x2010" >/dev/null
  serve
  ask
  status 2
  served 'larval'
  stop
  end
  clean
}
begin 'no SA: says where it looked' && {
  serve
  ask
  status 2
  expect "no SA that suits between $B and $A"
  stop
  served "no SA.*$B.*$A"
  end
  clean
}
begin 'no SA, fall-back' && {
  serve --fallback
  ask --mode enc --fallback
  counted 5 0
  expect 'mode open'
  stop
  end
  clean
}
begin 'the wrong SA' && {
  hosts=a pair 10 esp 16 sha1 20
  hosts=b pair 20 esp 16 sha1 20
  serve
  ask
  status 2
  expect 'name no SA.*00000[12]0[12]'
  stop
  end
  clean
}
begin 'the same SPIs with other keys' && {
  hosts=a pair 10 esp 16 sha1 20
  hosts=b pair 10 esp 16 sha1 20
  serve
  ask
  status 2
  stop
  served 'HMAC is wrong|left during set-up'
  end
  clean
}
begin 'no CAP_NET_ADMIN' && {
  run setpriv --bounding-set -net_admin --inh-caps -net_admin ip netns exec a true
  run ip netns exec a setpriv --bounding-set -net_admin --inh-caps -net_admin "$ping" --keys-from xfrm -c 1 $B:8620
  status 2
  expect 'CAP_NET_ADMIN'
  run ip netns exec b setpriv --bounding-set -net_admin --inh-caps -net_admin "$responder" --keys-from xfrm --port 8620
  status 2
  expect 'CAP_NET_ADMIN'
  end
}

# ---- cases: rekey, by hand ----

# while_measuring ARGUMENT...: a measurement without end in the background, under way already.
while_measuring() {
  : >/run/ping
  busybox nsenter --net=/run/netns/a timeout 20 "$ping" --keys-from xfrm "$@" -v -c 100000 -i 0.01 -W 0.5 \
    --connect 2 $B:8620 >/run/ping 2>&1 &
  client=$!
  more_packets 20
}
# more_packets COUNT: waits for so many.
more_packets() {
  local lines
  mapfile -t lines </run/ping
  until_line /run/ping "^seq $((${#lines[@]} + $1)) "
}
# measurement: waits for its end, and looks at its summary: $sent, all of them received.
measurement() {
  ended
  status 0
  [[ $out =~ ([0-9]+)' sent, '([0-9]+)' received, 0 lost, 0 duplicates' ]] || wrong 'no summary without losses'
  sent=${BASH_REMATCH[1]:-0}
  [ "$sent" = "${BASH_REMATCH[2]:-}" ] || wrong "of $sent some weren't received"
}
ended() {
  code=0
  wait $client || code=$?
  out=$(grep -v '^seq' /run/ping)
}
# goes_on: the measurement, for a while; then it is interrupted.
goes_on() {
  more_packets 50
  kill -INT $client
  measurement
}
# parts SA SA: one for each, nothing lost, and together what was sent.
parts() {
  local counts='([0-9]+) sent, ([0-9]+) received, 0 lost'
  [[ $out =~ part\ 1,\ ESP\ SA\ $1:\ $counts.*part\ 2,\ ESP\ SA\ $2:\ $counts ]] ||
    { wrong "no parts $1, $2 without losses"; return; }
  [ $((BASH_REMATCH[1] + BASH_REMATCH[3])) = "$sent" ] && [ $((BASH_REMATCH[2] + BASH_REMATCH[4])) = "$sent" ] ||
    wrong "the parts aren't the whole"
}
nothing_refused() {
  served "^test packets: $sent received, $sent replied"
  served 'refused: 0 forged, 0 malformed, 0 of no session, 0 early, 0 late'
}
for policy in keep close; do
  begin "rekey under $policy" && {
    pair 10 esp 16 sha1 20
    serve --rekey $policy
    while_measuring --rekey $policy
    pair 20 esp 16 sha1 20
    until_line /run/responder 'SA up: ESP SA 0000020[12]_0000020[12]'
    drop_pair 10
    until_line /run/responder 'SA rekeyed'
    goes_on
    stop
    nothing_refused
    if [ $policy = close ]; then parts '0000010[12]_0000010[12]' '0000020[12]_0000020[12]'; else refuse '^part'; fi
    end
    clean
  }
done
begin 'an SA deleted under keep' && {
  pair 10 esp 16 sha1 20
  serve
  while_measuring
  drop_pair 10
  until_line /run/responder 'SA gone'
  goes_on
  stop
  nothing_refused
  end
  clean
}
begin 'an SA deleted under close' && {
  pair 10 esp 16 sha1 20
  serve --rekey close
  while_measuring --rekey close
  drop_pair 10
  ended
  status 2
  expect 'the SA is gone, and there was no session with a new one'
  expect ' received, 0 lost'
  stop
  served 'SA gone'
  end
  clean
}
# flood: /run/add, /run/delete: 2,000 SAs.
flood() {
  local i
  esp 16 sha1 20
  for i in {1..2000}; do
    echo "xfrm state add src 10.9.$((i / 250)).$((i % 250 + 1)) dst $B proto esp spi $((0x10000 + i)) reqid $i" \
      "mode transport $alg"
  done >/run/add
  sed 's/ state add / state delete /; s/ reqid .*//' /run/add >/run/delete
}
begin 'flood: 2,000 SAs come and go' && {
  flood
  pair 10 esp 16 sha1 20
  serve
  while_measuring
  ip -n b -batch /run/add
  ip -n b -batch /run/delete
  goes_on
  ask
  counted 5 0
  on b 'xfrm state flush'
  ask
  status 2
  stop
  sent=$((sent + 5))
  nothing_refused
  end
  clean
}
begin 'notifications missed: all is read again' && {
  flood
  pair 10 esp 16 sha1 20
  serve
  kill -STOP $server
  ip -n b -batch /run/add
  pair 20 esp 16 sha1 20
  kill -CONT $server
  until_line /run/responder 'something was missed'
  ask
  counted 5 0
  expect 'ESP SA 0000020'
  stop
  end
  clean
}

# ---- cases: two charons ----

. ./uml-charon.sh
tally
