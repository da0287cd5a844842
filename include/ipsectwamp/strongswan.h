/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_STRONGSWAN_H
#define ITW_STRONGSWAN_H

/* libipsectwamp-strongswan: charon's IKE and CHILD SAs as a source of keys for `ikev2`, `shared`, `shared-sid` and `root`.
   How a source is used: source.h. There are two feeds:

   plugin   examples/strongswan-plugin, loaded into charon, derives inside charon and hands out only what a scheme needs, as
            RFC 7717 §5.1 recommends: for `ikev2` prf(SK_d, "IPPM"), for the others what is derived from SKEYSEED or KEYMAT
            for one connection or session. Over a Unix socket; both ends check the other's credentials. Questions travel to
            charon, so answers come later: itw_strongswan_answer hands them out. Nothing is kept here.
   HA       a stock daemon's High Availability plugin: nothing to compile, but its datagrams carry SK_d, nonces and the
            Diffie-Hellman secret in clear over UDP. For loopback only: any other address is ITW_ERR_ARGUMENT. Whoever may
            bind this port or capture on loopback can read all keys, and who binds charon's port while charon is away can
            make us believe in SAs. SAs are kept here, in guarded memory (key.h). In strongswan.conf:
              ha {
                local = 127.0.0.1
                remote = 127.0.0.2
                fifo_interface = no
                monitor = no
              }
            strongSwan 5.9.8 is what this was run with; 6.0 is read as its source says, others are ITW_SOURCE_UNFIT,
            ITW_ERR_NEWER or ITW_ERR_UNSUPPORTED. One program per daemon: the port is one.

   SAs count only when they are authenticated. HA, in particular:
   - charon is asked to tell all SAs that it has when the source is made, when charon was away, and when datagrams were lost
     (ITW_SOURCE_RESYNC but for the first time). charon rekeys its CHILD SAs for that. ITW_SOURCE_LOST comes within a second.
   - A rekeyed CHILD SA is told ITW_SOURCE_REKEYED after a second, and kept until charon deletes it, after 5 s: a peer whose
     charon has the new one a little later may still ask for it. New connections are offered the newest.
   - A CHILD SA's traffic selectors count for it and for its IKE SA: four of each side at most, those for any protocol or TCP.
   - Not known from this feed: SK_d after a post-quantum PPK (RFC 8784), until the IKE SA is rekeyed: then SKEYSEED serves, and
     CHILD SAs are ITW_ERR_SA_KEYS; keys of several key exchanges (RFC 9370); that an address changed (MOBIKE). */

#include <ipsectwamp/key.h>
#include <ipsectwamp/source.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct itw_strongswan itw_strongswan;

enum { ITW_STRONGSWAN_PLUGIN = 1, ITW_STRONGSWAN_HA = 2 };

struct itw_strongswan_config {
  uint32_t size;
  uint32_t feed;     /* ITW_STRONGSWAN_* */
  uint32_t capacity; /* HA: SAs; PLUGIN: questions under way; 0: 4096; at most 2^19 */
  uint32_t schemes;  /* HA: the set that SAs may serve; 0: ikev2, shared, shared-sid, root. `direct`, if it is in it: as ESP's
                        keys are known. PLUGIN: what the plugin is configured for */
  uint32_t uid;      /* PLUGIN: the user that charon runs as: another one's socket isn't believed; usually 0 */
  uint32_t flags;    /* 0 */
  struct itw_addr local, remote; /* HA: ours, which charon's `ha.remote` names, and charon's `ha.local`; port 0: 4510,
                                    the only one that charon knows. family 0: 127.0.0.2 and 127.0.0.1 */
  const char *path;  /* PLUGIN: the socket; NULL: ITW_STRONGSWAN_PATH. Copied */
  const void *crypto; /* kdf.h */
};
#define ITW_STRONGSWAN_PATH "/run/charon.ipsectwamp"
ITW_API const char *itw_strongswan_path(void); /* the same, for bindings */

/* PLUGIN: a charon that isn't there yet is no error; the source tries again each second. ITW_SOURCE_LOST is told when it
   goes, with ITW_ERR_PERMISSION if it isn't ours to talk to, and with other reasons if what it says isn't right.
   HA: binds, and asks charon to tell all SAs that it has; ITW_ERR_SYSTEM: the port is taken. NULL for detail: not
   interested. */
ITW_MUST itw_status itw_strongswan_new(itw_strongswan **out, const struct itw_strongswan_config *, struct itw_detail *detail,
                                       itw_mono now);
ITW_API void itw_strongswan_free(itw_strongswan *); /* wipes; NULL is fine */

/* The descriptor to poll for reading; -1: none now (PLUGIN, while charon is away). May change with each call of a verb. */
ITW_API int itw_strongswan_fd(const itw_strongswan *);
/* When to call itw_strongswan_read though nothing is readable; ITW_NEVER: no need. */
ITW_API itw_mono itw_strongswan_deadline(const itw_strongswan *);
/* Takes what is there, some hundred messages at most; what is left keeps the descriptor readable. Never waits. ITW_AGAIN:
   PLUGIN, while charon is away. */
ITW_MUST itw_status itw_strongswan_read(itw_strongswan *, itw_mono now);
/* The next event. ITW_EMPTY: none. */
ITW_MUST itw_status itw_strongswan_event(itw_strongswan *, struct itw_source_event *out);
/* PLUGIN: the next answer from charon, for itw_conn_answer of the connection with this tag (itw_ask.tag); a secret, wipe it.
   While charon is away, questions are answered ITW_ANS_NONE, ITW_ERR_SOURCE_LOST. ITW_EMPTY: none; HA: always. */
ITW_MUST itw_status itw_strongswan_answer(itw_strongswan *, uint64_t *tag, struct itw_answer *out);

/* How many SAs there are that can be used: IKE SAs, and CHILD SAs. PLUGIN: those that charon had at first, and events since. */
ITW_API uint32_t itw_strongswan_count(const itw_strongswan *, uint32_t *child_sas);

/* A provider of keys for Servers and clients. HA: answers at once. PLUGIN: ITW_AGAIN. The source is borrowed. */
ITW_API struct itw_keys itw_strongswan_keys(itw_strongswan *);

/* ---- what the plugin and this library say to each other ----

   A SOCK_SEQPACKET socket; each message is one packet: struct itw_plugin_head and what `kind` says. Both are on one
   machine: the host's octet order, and `octets` is the length of what follows. The plugin speaks first: HELLO. */

enum {
  ITW_PLUGIN_HELLO = 1,  /* to the agent: struct itw_plugin_hello; before all others */
  ITW_PLUGIN_ASK = 2,    /* to the plugin: struct itw_ask */
  ITW_PLUGIN_ANSWER = 3, /* to the agent: struct itw_answer; tag is the ask's */
  ITW_PLUGIN_EVENT = 4   /* to the agent: struct itw_source_event */
};
enum { ITW_PLUGIN_MAGIC = 0x49545750, ITW_PLUGIN_VERSION = 1, ITW_PLUGIN_OCTETS = 1024 /* of a message, at most */ };
struct itw_plugin_head {
  uint32_t kind;   /* ITW_PLUGIN_* */
  uint32_t octets;
  uint64_t tag;
};
struct itw_plugin_hello {
  uint32_t magic, version; /* another version isn't spoken to */
  uint32_t ike_sas, child_sas;
};

#ifdef __cplusplus
}
#endif
#endif
