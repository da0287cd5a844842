# SPDX-License-Identifier: BSD-3-Clause
# Sourced by uml-guest.sh: the kernel's SAs made and rekeyed by charon.

# charon HOST OWN OTHER: strongSwan's files for a host, in /run, which is the guest's own.
charon_files() {
  local folder=/run/charon-$1
  mkdir -p "$folder"/swanctl/{conf.d,x509,x509ca,x509ocsp,x509aa,x509ac,x509crl,pubkey,private,rsa,ecdsa,bliss,pkcs8,pkcs12}
  cat >"$folder/strongswan.conf" <<CONF
charon-systemd {
  load = random nonce openssl kdf sha1 sha2 aes hmac gmp pem pkcs1 x509 kernel-netlink socket-default vici updown
  plugins {
    vici {
      socket = unix://$folder/vici.sock
    }
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
    proposals = aes128-sha256-ecp256
    local {
      auth = psk
      id = $2
    }
    remote {
      auth = psk
      id = $3
    }
    children {
      c1 {
        mode = transport
        local_ts = $2
        remote_ts = $3
        esp_proposals = aes128-sha1
      }
    }
  }
}
secrets {
  ike {
    secret = $psk
  }
}
CONF
}
charon() { # HOST OWN OTHER
  charon_files "$@"
  STRONGSWAN_CONF=/run/charon-$1/strongswan.conf ip netns exec "$1" /usr/sbin/charon-systemd >/run/charon-$1/out 2>&1 &
  charons="${charons:-} $!"
  until_line /run/charon-$1/log 'loaded plugins'
  swan "$1" --load-all
}
swan() { # HOST ARGUMENT...
  local tries=50
  until SWANCTL_DIR=/run/charon-$1/swanctl swanctl "${@:2}" --uri "unix:///run/charon-$1/vici.sock" >/run/charon-$1/swanctl.log 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { wrong "swanctl ${*:2} failed on $1"; return; }
    sleep 0.05
  done
}

begin 'charon: SAs of the kernel' && {
  draw 16
  psk=$key
  charon a $A $B
  charon b $B $A
  swan a --initiate --child c1
  serve
  through 9 ask
  counted 5 0
  stop
  end
  for policy in keep close; do
    for host in a b; do
      begin "charon: CHILD rekey from $host under $policy" || continue
      serve --rekey $policy
      while_measuring --rekey $policy
      swan $host --rekey --child c1
      until_line /run/responder 'SA rekeyed: ESP SA'
      goes_on
      stop
      nothing_refused
      if [ $policy = close ]; then parts '[0-9a-f_]+' '[0-9a-f_]+'; else refuse '^part'; fi
      end
    done
  done
  begin 'charon: the SA is deleted' && {
    serve --rekey close
    while_measuring --rekey close
    swan b --terminate --child c1
    ended
    status 2
    expect 'the SA is gone, and there was no session with a new one'
    stop
    served 'SA gone'
    end
  }
  for pid in $charons; do kill "$pid"; done
}
