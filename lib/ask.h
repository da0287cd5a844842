/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITWI_ASK_H
#define ITWI_ASK_H

/* One open question of a connection. Layer 4. */

#include <ipsectwamp/key.h>
#include <stdbool.h>

enum { ITWI_ASK_NONE, ITWI_ASK_OPEN, ITWI_ASK_TAKEN };
struct itwi_asking {
  struct itw_ask ask;   /* id stays when the question is closed, so that the next one differs */
  uint32_t state;       /* ITWI_ASK_* */
  uint32_t mbz;
  struct itw_keys keys; /* who is asked */
};

/* Opens a question of this kind; the rest of ask is the caller's to fill. */
struct itw_ask *itwi_ask_open(struct itwi_asking *, uint32_t kind);
/* Closes it; tells the provider if it has it still. */
void itwi_ask_cancel(struct itwi_asking *);
/* Asks the provider. ITW_OK: out is its answer, checked; ITW_AGAIN: later, or there is no provider to ask. */
itw_status itwi_ask_provider(struct itwi_asking *, struct itw_answer *out);
/* Whether an answer fits the question: lengths, kinds, sets. */
bool itwi_answer_fits(const struct itw_ask *, const struct itw_answer *);
/* What to report when the answer is NONE. */
itw_status itwi_answer_why(const struct itw_ask *, const struct itw_answer *);
/* enc and auth of a DERIVED answer. */
void itwi_answer_pair(struct itw_key_pair *out, const struct itw_answer *);

#endif
