/* Kronecker embeddings from C, and from every language that can call C. Three parts:
     - kronecker_open and what follows: embeddings that kronecker::save or the tool kron wrote;
     - kronecker_forward and kronecker_backward: the layer and its gradient on arrays of the caller's, for
       frameworks that hold the weights themselves;
     - kronecker_vocabulary_open and what follows: the bytes of a tokenizer's tokens.

   Functions return KRONECKER_OK or another code, and then kronecker_error_message() says what is wrong, with
   the value, its limit and its place; nothing was written to the output. Any number of threads may call them
   at a time, on one embedding or vocabulary too. Arrays are row-major. */
#ifndef KRONECKER_H
#define KRONECKER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The package defines KRONECKER_STATIC where it is a static library. */
#if defined(KRONECKER_STATIC)
#define KRONECKER_API
#elif defined(_WIN32) && defined(KRONECKER_BUILDS_LIBRARY)
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
  KRONECKER_FILE_ERROR = 3,       /* a file that cannot be opened or is not what it should be */
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

/* The embeddings of `count` tokens into `out`, (count, d_model). Sizes of outputs are given in floats and
   checked. */
KRONECKER_API kronecker_status kronecker_embed_ids(const kronecker_embedding* embedding, const int32_t* ids,
                                                   size_t count, float* out, size_t out_size);

/* The embeddings of `count` byte strings of the given lengths, tokens or not, into `out`, (count, d_model).
 */
KRONECKER_API kronecker_status kronecker_embed_strings(const kronecker_embedding* embedding,
                                                       const char* const* strings, const size_t* lengths,
                                                       size_t count, float* out, size_t out_size);

/* The logits of all tokens for `count` hidden states, (count, d_model) -> (count, V), by the same weights as
   the output head, with what corrects it if the file has that. The first call makes the head, O(V). */
KRONECKER_API kronecker_status kronecker_logits(const kronecker_embedding* embedding, const float* hidden,
                                                size_t count, float* out, size_t out_size);

/* How numbers are stored. */
typedef enum kronecker_type {
  KRONECKER_FLOAT32 = 0,  /* IEEE single precision */
  KRONECKER_BFLOAT16 = 1, /* the upper half of a float32 */
  KRONECKER_FLOAT16 = 2   /* IEEE half precision */
} kronecker_type;

/* How a token's bytes become a code of D = char_dim * pos_dim numbers: byte b at position p lights cell
   b * pos_dim + p. */
typedef struct kronecker_code {
  int32_t char_dim;         /* bytes are below it; 2 to 256 */
  int32_t pos_dim;          /* bytes kept of a token; 1 to 255 */
  int32_t length_normalize; /* not 0: lit cells hold 1 / sqrt(number of bytes) instead of 1 */
  int32_t z_normalize; /* not 0: codes are shifted and scaled to mean 0 and deviation 1; 2: and the mean of
                          the rows, which that subtracts, is 0 already, so it is not computed */
  float epsilon;       /* added to the deviation; finite and >= 0, 1e-6 as a rule */
} kronecker_code;

/* The tokens of a vocabulary. Only those whose ids are used are looked at. */
typedef struct kronecker_tokens {
  const uint8_t* bytes;   /* (vocab_size, pos_dim): each token's bytes, padded with anything */
  const uint8_t* lengths; /* (vocab_size): how many they are, at most pos_dim */
  int64_t vocab_size;
} kronecker_tokens;

/* The embeddings of `count` tokens into `out`, (count, d_model): W z of each token's code z, zeros for a
   token without bytes. `rows`, (D, d_model), are the weights as they lie, W transposed; of z-normalized codes
   their mean is subtracted on the way, which reads them once. Numbers of 16 bits are summed in float32 and
   rounded once. The arrays may have any alignment and must not overlap.

   At most 2^31 - 1 ids at a time. `threads` >= 1 is how many threads may work, this one among them: others
   are started for about half a millisecond of work each (2^22 numbers), and joined before the call returns,
   unless there is a pool (kronecker_use_pool); results have the same bits for every number. Takes memory for
   the bytes of the tokens, count * (pos_dim + 5), and, z-normalizing, (4 * (pos_dim + 1) + 136) * d_model.

   KRONECKER_OUT_OF_RANGE if an id is negative or not less than vocab_size; KRONECKER_INVALID_ARGUMENT if a
   pointer is null, a size or type is none, a length is more than pos_dim or a byte not less than char_dim. */
KRONECKER_API kronecker_status kronecker_forward(const kronecker_code* code, const kronecker_tokens* tokens,
                                                 const void* rows, kronecker_type row_type, int64_t d_model,
                                                 const int64_t* ids, size_t count, void* out,
                                                 kronecker_type out_type, int32_t threads);

/* The gradient of the weights into `grad_rows`, (D, d_model), every number of which is written, given that of
   the output, `grad_out` of (count, d_model). Terms are summed in float32, of each 1,024 tokens apart, so
   that the error stays near a matrix product's for any count; what z-normalization subtracts is summed in
   double. Threads and errors as in kronecker_forward. Takes memory for the bytes of the tokens, 150 * d_model
   + 5 * D bytes and, for each thread, to sort 1,024 tokens, at most 4 KB * pos_dim + 8 * D; for gradients of
   16 bits, which are rounded once, also 4 * d_model bytes for each row that the tokens light. */
KRONECKER_API kronecker_status kronecker_backward(const kronecker_code* code, const kronecker_tokens* tokens,
                                                  int64_t d_model, const int64_t* ids, size_t count,
                                                  const void* grad_out, kronecker_type grad_type,
                                                  void* grad_rows, kronecker_type row_type, int32_t threads);

/* Calls `work(argument)` on at least one and at most `threads` threads, this one among them, and returns when
   all have returned; `flags` is 0. GNU OpenMP's GOMP_parallel is one. */
typedef void (*kronecker_pool)(void (*work)(void*), void* argument, unsigned threads, unsigned flags);

/* Has kronecker_forward and kronecker_backward work on the threads of a pool from now on, instead of starting
   some; null: no more. For programs whose other threads wait for work by spinning, as OpenMP's do for
   milliseconds: a thread that is started would wait for a processor all that time. After a fork, a pool's
   threads are as a rule not there in the child process, which has to say so. */
KRONECKER_API void kronecker_use_pool(kronecker_pool run);

/* The tokens of a tokenizer file. */
typedef struct kronecker_vocabulary kronecker_vocabulary;

/* Reads the tokenizer file at `path` (UTF-8), or that in the folder of a model: tokenizer.json, encoder.json,
   tekken.json, tiktoken ranks, a SentencePiece model, GGUF or RWKV's vocabulary ("-": standard input), and
   stores the vocabulary, to be closed, in `*vocabulary`. Tokens have their true bytes; if
   `reference_text` is not 0, those of the string that the PyTorch reference makes of them. */
KRONECKER_API kronecker_status kronecker_vocabulary_open(const char* path, int32_t reference_text,
                                                         kronecker_vocabulary** vocabulary);

/* Ends the use of a vocabulary; null is none. */
KRONECKER_API void kronecker_vocabulary_close(kronecker_vocabulary* vocabulary);

/* Number of tokens, V; 0 for null. */
KRONECKER_API int32_t kronecker_vocabulary_size(const kronecker_vocabulary* vocabulary);

/* Stores where the bytes of token `id` are, and how many, all of them; valid until the vocabulary is closed.
   They may be any bytes, and no zero follows them. */
KRONECKER_API kronecker_status kronecker_vocabulary_bytes(const kronecker_vocabulary* vocabulary, int32_t id,
                                                          const char** bytes, size_t* length);

/* Note `index`, counted from 0: a sentence in UTF-8 about what was assumed because the file does not say it,
   is missing or is lost; valid until the vocabulary is closed. Null after the last note, and for null. */
KRONECKER_API const char* kronecker_vocabulary_note(const kronecker_vocabulary* vocabulary, size_t index);

/* Writes the tokens as kronecker_tokens takes them: `bytes`, (V, pos_dim), padded with zeros, and `lengths`,
   (V). Longer tokens are cut before pos_dim bytes, between characters if they are UTF-8.
   KRONECKER_INVALID_ARGUMENT if a byte is not less than char_dim. */
KRONECKER_API kronecker_status kronecker_vocabulary_arrays(const kronecker_vocabulary* vocabulary,
                                                           const kronecker_code* code, uint8_t* bytes,
                                                           uint8_t* lengths);

/* What was wrong in the last call of this thread that did not return KRONECKER_OK; "" if none. Valid until
   the next such call. */
KRONECKER_API const char* kronecker_error_message(void);

/* The library's version, "0.2.0". */
KRONECKER_API const char* kronecker_version(void);

#ifdef __cplusplus
}
#endif

#endif
