# SPDX-License-Identifier: BSD-3-Clause
# Inside the virtual machine: one host with two addresses. First as kernels are, then locked down: there's no way back.
cd "${0%/*}" && . ./cases.sh
ping=$BUILD/examples/itw-ping responder=$BUILD/examples/itw-responder
A=127.0.0.1 B=127.0.0.2

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t securityfs security /sys/kernel/security
ip link set lo up

random_key() { echo "0x$(head -c "$1" /dev/urandom | od -An -tx1 | tr -d ' \n')"; }
# pair N: SPIs 0xN01 and 0xN02.
pair() {
  local way
  for way in "$A $B 1" "$B $A 2"; do
    set -- "$1" $way
    ip xfrm state add src "$2" dst "$3" proto esp spi "0x${1}0$4" reqid "$1" mode transport \
      auth 'hmac(sha1)' "$(random_key 20)" enc 'cbc(aes)' "$(random_key 16)" || wrong "ip xfrm state add: no $way"
  done
}
logs=(/run/responder)
serve() {
  : >/run/responder
  $responder --keys-from xfrm --port 8620 "$@" >/run/responder 2>&1 &
  server=$!
  until_line /run/responder '^listening on 0'
}
stop() {
  kill -INT $server
  wait $server || wrong "the responder's exit status is $?"
}
served() { grep -qE -- "$1" /run/responder || wrong "the responder has no line with: $1"; }
ask() { run $ping --keys-from xfrm "$@" -q -c 5 -i 0.01 -W 1 --connect 5 $B:8620; }

redacted='zeros: it runs with lockdown=confidentiality'

begin 'not locked down: keys' && {
  pair 1
  serve
  ask --mode enc
  counted 5 0
  stop
  end
}
ip xfrm state flush
pair 1
serve --modes open,auth,enc
echo confidentiality >/sys/kernel/security/lockdown
grep -q '\[confidentiality\]' /sys/kernel/security/lockdown || echo "this kernel can't be locked down"

begin 'lockdown: zeros in a dump' && {
  ask --mode enc
  status 2
  expect "$redacted"
  end
}
begin 'lockdown: zeros in a notification' && {
  pair 2
  until_line /run/responder "SA up: ESP SA 0000020.*$redacted"
  end
}
begin 'lockdown: unauthenticated mode' && {
  ask --mode open --scheme direct
  counted 5 0
  end
}
stop
begin 'lockdown: a responder with nothing but zeros' && {
  serve --modes auth,enc
  ask --mode enc
  status 2
  stop
  served "$redacted"
  end
}
tally
