/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMMON_KEYSFILE_H
#define COMMON_KEYSFILE_H

/* A keys file read into the library's keyring:

     # a comment; blank lines are fine too
     [psk NAME]            NAME is the KeyID
     passphrase = TEXT     to the end of the line, blanks around it cut off
     passphrase-hex = HEX  any octets; instead of the other

     [ike-sa NAME]         NAME is for people only
     spi-i = HEX           16 digits
     spi-r = HEX
     prf = WORD            hmac-sha1, hmac-sha2-256, hmac-sha2-384, hmac-sha2-512, aes128-xcbc, aes128-cmac
     skeyseed = HEX        one of these two, or both,
     sk-d = HEX
     ni, nr, g-ir = HEX    or all three of these, from which both are computed

     [child-sa NAME]
     protocol = esp        or ah
     spi-i = HEX           8 digits
     spi-r = HEX
     prf = WORD            of the IKE SA whose exchange made it; for all schemes but direct
     keymat = HEX          for all schemes but direct
     encr = WORD           aes-cbc (default for esp), null, aes-ctr, aes-gcm, aes-ccm, chacha20-poly1305, 3des-cbc,
                           camellia-cbc
     integ = WORD          the same words as for prf, or none: how to cut keymat into keys
     encr-key = HEX        of the packets from the initiator to the responder; for direct, unless keymat and integ say it
     integ-key = HEX

   and in both kinds of SA
     peer = ADDR[/PREFIX]  the other end; default: any
     schemes = S[,S]       which schemes it may serve; default: all that it suits

   An SA further down is newer. */

#include <ipsectwamp/key.h>
#include <stdbool.h>

struct keys {
  itw_keyring *ring;
  unsigned psks, ike_sas, child_sas;
  char last_psk[81]; /* the name of the last passphrase: the only one if psks is 1 */
};

enum { KEYS_WHY = 256 };
/* False: why is one line, without a newline and without anything secret. */
bool keys_read(struct keys *, const char *path, char why[KEYS_WHY]);
void keys_free(struct keys *);

#endif
