/*
 * The driver of fuzz targets, for compilers without libFuzzer. A target is one file with LLVMFuzzerTestOneInput, as libFuzzer wants it, linked with driver.c:
 *
 *     fuzz_x [--runs N] [--seed S] [FILE or FOLDER]...
 *
 * runs the target on every file (without any: those of $srcdir/t/fuzz/corpus/x), on the target's own seeds, and on N mutations of them (2,000), each in
 * memory of exactly its size. N and S decide every byte, so a run can be repeated. The target runs in a child process: when it dies, or hangs for 20 s,
 * the input is kept as crash-x-S-NUMBER and the driver ends with 1. A target that finds its own fault calls abort.
 */
#ifndef OG_T_FUZZ_DRIVER_H
#define OG_T_FUZZ_DRIVER_H

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Optional, of the target: seed number nr (from 0 on) appended to `out`; false: no more. */
bool og_fuzz_seed(unsigned nr, struct og_buf *out) __attribute__((weak));

#endif
