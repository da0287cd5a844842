/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ITW_IPSECTWAMP_H
#define ITW_IPSECTWAMP_H

/* All of ipsectwamp. Conventions: types.h. Where to begin: client.h or server.h for control, sender.h, reflector.h and
   receiver.h for measurement, key.h for keys. */

#include <ipsectwamp/client.h>
#include <ipsectwamp/error.h>
#include <ipsectwamp/kdf.h>
#include <ipsectwamp/key.h>
#include <ipsectwamp/receiver.h>
#include <ipsectwamp/record.h>
#include <ipsectwamp/reflector.h>
#include <ipsectwamp/schedule.h>
#include <ipsectwamp/sender.h>
#include <ipsectwamp/server.h>
#include <ipsectwamp/session.h>
#include <ipsectwamp/stats.h>
#include <ipsectwamp/types.h>
#include <ipsectwamp/version.h>

#endif
