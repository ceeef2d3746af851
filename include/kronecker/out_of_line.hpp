#pragma once

/// KRONECKER_OUT_OF_LINE keeps what few callers need, with its memory on the stack, out of functions that all
/// callers go through: within `forward` it would cost the embedding of one token a tenth of its time.

#ifdef __GNUC__
#define KRONECKER_OUT_OF_LINE [[gnu::noinline]]
#else
#define KRONECKER_OUT_OF_LINE
#endif
