/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a fuzz target without a fuzzer: the files that are named, or some thousand inputs made from a fixed seed, so that
   every build and every machine tries the same ones. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROUNDS = 4000, MOST = 700 };

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint32_t draw(uint32_t below)
{
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 32) % below;
}

/* Mostly zeros and small numbers: more of that passes for a message than noise does. */
static uint8_t octet(uint32_t kind)
{
  if (kind == 0) return (uint8_t)draw(256);
  return draw(4) ? 0 : (uint8_t)draw(kind == 1 ? 16 : 256);
}

static int run_file(const char *name)
{
  static uint8_t octets[1 << 16];
  FILE *f = fopen(name, "rb");
  size_t n;
  if (!f) {
    perror(name);
    return 1;
  }
  n = fread(octets, 1, sizeof octets, f);
  fclose(f);
  return LLVMFuzzerTestOneInput(octets, n);
}

int main(int argc, char **argv)
{
  for (int i = 1; i < argc; i++)
    if (run_file(argv[i])) return 1;
  for (int round = 0; argc < 2 && round < ROUNDS; round++) {
    size_t n = draw(MOST);
    uint32_t kind = draw(3);
    uint8_t *octets = malloc(n ? n : 1); /* its own, so that one octet too far is seen */
    if (!octets) return 1;
    for (size_t i = 0; i < n; i++) octets[i] = i < 2 ? (uint8_t)draw(256) : octet(kind);
    (void)LLVMFuzzerTestOneInput(octets, n);
    free(octets);
  }
  return 0;
}
