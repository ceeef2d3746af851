/* Kronecker embeddings from C, and from every language that can call C: opens an embedding that
   kronecker::save or the tool kron wrote, and embeds.

   Functions return KRONECKER_OK or another code, and then kronecker_error_message() says what is wrong, with
   the value and its limit; nothing was written to the output. An embedding may be used by any number of
   threads at a time. Arrays are row-major float32; their sizes are given in floats and checked. */
#ifndef KRONECKER_H
#define KRONECKER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) && defined(KRONECKER_BUILDS_LIBRARY)
#define KRONECKER_API __declspec(dllexport)
#elif defined(_WIN32)
#define KRONECKER_API __declspec(dllimport)
#elif defined(__GNUC__)
#define KRONECKER_API __attribute__((visibility("default")))
#else
#define KRONECKER_API
#endif

typedef enum kronecker_status {
  KRONECKER_OK = 0,
  KRONECKER_INVALID_ARGUMENT = 1, /* a null pointer, a size that does not fit, a byte outside the alphabet */
  KRONECKER_OUT_OF_RANGE = 2,     /* a token id that is not in the vocabulary */
  KRONECKER_FILE_ERROR = 3,       /* a file that cannot be opened or is no saved embedding */
  KRONECKER_OUT_OF_MEMORY = 4,
  KRONECKER_INTERNAL_ERROR = 5
} kronecker_status;

/* An opened embedding. */
typedef struct kronecker_embedding kronecker_embedding;

/* Maps the file at `path` (UTF-8) and stores the embedding, to be closed, in `*embedding`. No row is read
 * yet. */
KRONECKER_API kronecker_status kronecker_open(const char* path, kronecker_embedding** embedding);

/* Ends the use of an embedding; null is none. */
KRONECKER_API void kronecker_close(kronecker_embedding* embedding);

/* Number of tokens, V, and length of an embedding, d_model; 0 for null. */
KRONECKER_API int32_t kronecker_vocab_size(const kronecker_embedding* embedding);
KRONECKER_API int32_t kronecker_d_model(const kronecker_embedding* embedding);

/* The embeddings of `count` tokens into `out`, (count, d_model). */
KRONECKER_API kronecker_status kronecker_embed_ids(const kronecker_embedding* embedding, const int32_t* ids,
                                                   size_t count, float* out, size_t out_size);

/* The embeddings of `count` byte strings of the given lengths, tokens or not, into `out`, (count, d_model).
 */
KRONECKER_API kronecker_status kronecker_embed_strings(const kronecker_embedding* embedding,
                                                       const char* const* strings, const size_t* lengths,
                                                       size_t count, float* out, size_t out_size);

/* The logits of all tokens for `count` hidden states, (count, d_model) -> (count, V), by the same weights as
   the output head. The first call makes the head, O(V). */
KRONECKER_API kronecker_status kronecker_logits(const kronecker_embedding* embedding, const float* hidden,
                                                size_t count, float* out, size_t out_size);

/* What was wrong in the last call of this thread that did not return KRONECKER_OK; "" if none. Valid until
   the next such call. */
KRONECKER_API const char* kronecker_error_message(void);

/* The library's version, "0.2.0". */
KRONECKER_API const char* kronecker_version(void);

#ifdef __cplusplus
}
#endif

#endif
