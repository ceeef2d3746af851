/* A C program's arrays: forward and backward against arithmetic in double, on 1, 2 and 7 threads, on those of
   a pool and after a fork, and a vocabulary's bytes. Exit code 1 if a number is wrong.
     arrays VOCABULARY_FILE */
#include <kronecker.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { char_dim = 256, pos_dim = 16, code_dim = char_dim * pos_dim, d_model = 1000, count = 2500 };

static int failures = 0;

static void expect(int holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "arrays: %s\n", what);
  ++failures;
}

/* Uniform numbers from -1 to 1. */
static float next_number(void) {
  static uint32_t state = 1;
  state = state * 1664525u + 1013904223u;
  return (float)(state >> 8) / 8388608.0f - 1.0f;
}

static void* numbers(size_t size) {
  void* memory = malloc(size * sizeof(double));
  if (memory == NULL) exit(2);
  return memory;
}

static double scale_of(const kronecker_code* code, int length) {
  const double d = code_dim, l = length, s = code->length_normalize ? 1 / sqrt(l) : 1;
  if (length == 0) return 0;
  return code->z_normalize ? s / (s * sqrt(l * (1 - l / d) / (d - 1)) + (double)code->epsilon) : s;
}

static double largest_difference(const float* found, const double* expected, size_t size) {
  double largest = 0, difference = 0;
  for (size_t i = 0; i < size; ++i) {
    if (fabs(expected[i]) > largest) largest = fabs(expected[i]);
    if (!(fabs(found[i] - expected[i]) <= difference)) difference = fabs(found[i] - expected[i]);
  }
  return difference / largest;
}

/* A pool of three threads, whoever asks. */
static void (*work_of_pool)(void*);
static int uses_of_pool = 0;

static void* work_once(void* argument) {
  work_of_pool(argument);
  return NULL;
}

static void pool(void (*work)(void*), void* argument, unsigned threads, unsigned flags) {
  pthread_t others[2];
  expect(threads > 1 && threads <= 7 && flags == 0, "a pool is asked for no threads");
  work_of_pool = work;
  ++uses_of_pool;
  for (int i = 0; i < 2; ++i)
    if (pthread_create(&others[i], NULL, work_once, argument) != 0) exit(2);
  work(argument);
  for (int i = 0; i < 2; ++i) pthread_join(others[i], NULL);
}

static void check(const kronecker_code* code, const kronecker_tokens* tokens) {
  static const int threads[] = {1, 2, 7, 2, 7}; /* the last two with a pool */
  const size_t out_size = (size_t)count * d_model, rows_size = (size_t)code_dim * d_model;
  float *rows = numbers(rows_size), *grad_out = numbers(out_size), *out = numbers(out_size),
        *first_out = numbers(out_size), *grad = numbers(rows_size), *first_grad = numbers(rows_size);
  double *mean = numbers(d_model), *expected_out = numbers(out_size), *expected_grad = numbers(rows_size);
  int64_t* ids = numbers(count);
  for (size_t i = 0; i < rows_size; ++i) rows[i] = next_number() + 0.25f;
  for (size_t i = 0; i < out_size; ++i) grad_out[i] = next_number();
  for (int i = 0; i < count; ++i) ids[i] = (i * 37) % tokens->vocab_size;

  memset(mean, 0, d_model * sizeof(double));
  for (size_t i = 0; i < rows_size; ++i) mean[i % d_model] += (double)rows[i] / code_dim;
  if (code->z_normalize == 2)
    for (size_t i = 0; i < rows_size; ++i) rows[i] = (float)((double)rows[i] - mean[i % d_model]);
  memset(expected_grad, 0, rows_size * sizeof(double));
  for (int i = 0; i < count; ++i) {
    const int length = tokens->lengths[ids[i]];
    const double scale = scale_of(code, length);
    for (size_t column = 0; column < d_model; ++column) {
      double sum = code->z_normalize == 1 ? -length * mean[column] : 0;
      for (int p = 0; p < length; ++p) {
        const size_t place = (size_t)(tokens->bytes[ids[i] * pos_dim + p] * pos_dim + p) * d_model;
        sum += rows[place + column];
        expected_grad[place + column] += scale * grad_out[(size_t)i * d_model + column];
      }
      expected_out[(size_t)i * d_model + column] = scale * sum;
    }
  }
  if (code->z_normalize == 1) {
    memset(mean, 0, d_model * sizeof(double));
    for (size_t i = 0; i < rows_size; ++i) mean[i % d_model] += expected_grad[i] / code_dim;
    for (size_t i = 0; i < rows_size; ++i) expected_grad[i] -= mean[i % d_model];
  }

  for (int i = 0; i < 5; ++i) {
    if (i == 3) kronecker_use_pool(pool);
    memset(out, 0xff, out_size * sizeof(float));
    memset(grad, 0xff, rows_size * sizeof(float));
    if (kronecker_forward(code, tokens, rows, KRONECKER_FLOAT32, d_model, ids, count, out, KRONECKER_FLOAT32,
                          threads[i]) != KRONECKER_OK ||
        kronecker_backward(code, tokens, d_model, ids, count, grad_out, KRONECKER_FLOAT32, grad,
                           KRONECKER_FLOAT32, threads[i]) != KRONECKER_OK)
      expect(0, kronecker_error_message());
    if (i == 0) {
      memcpy(first_out, out, out_size * sizeof(float));
      memcpy(first_grad, grad, rows_size * sizeof(float));
    }
    expect(memcmp(out, first_out, out_size * sizeof(float)) == 0, "threads change an embedding");
    expect(memcmp(grad, first_grad, rows_size * sizeof(float)) == 0, "threads change a gradient");
  }
  kronecker_use_pool(NULL);
  expect(uses_of_pool > 4, "the pool is not used");
  uses_of_pool = 0;
  expect(largest_difference(first_out, expected_out, out_size) < 1e-6, "an embedding is wrong");
  expect(largest_difference(first_grad, expected_grad, rows_size) < 1e-6, "a gradient is wrong");

  const pid_t child = fork();
  if (child == 0) {
    memset(out, 0xff, out_size * sizeof(float));
    kronecker_forward(code, tokens, rows, KRONECKER_FLOAT32, d_model, ids, count, out, KRONECKER_FLOAT32, 2);
    _exit(memcmp(out, first_out, out_size * sizeof(float)) != 0);
  }
  int status = 1;
  waitpid(child, &status, 0);
  expect(status == 0, "a child process has other embeddings");
  void* const memory[] = {rows,       grad_out, out,          first_out,     grad,
                          first_grad, mean,     expected_out, expected_grad, ids};
  for (size_t i = 0; i < sizeof memory / sizeof memory[0]; ++i) free(memory[i]);
}

int main(int argc, char** argv) {
  kronecker_vocabulary* vocabulary = NULL;
  kronecker_code code = {char_dim, pos_dim, 1, 1, 1e-6f};
  kronecker_tokens tokens = {NULL, NULL, 0};
  if (argc != 2) return 2;
  if (kronecker_vocabulary_open(argv[1], 0, &vocabulary) != KRONECKER_OK) {
    fprintf(stderr, "arrays: %s\n", kronecker_error_message());
    return 1;
  }
  const int32_t vocab_size = kronecker_vocabulary_size(vocabulary);
  uint8_t *bytes = numbers((size_t)vocab_size * pos_dim), *lengths = numbers((size_t)vocab_size);
  expect(kronecker_vocabulary_arrays(vocabulary, &code, bytes, lengths) == KRONECKER_OK,
         kronecker_error_message());
  for (int32_t id = 0; id < vocab_size; ++id) {
    const char* all = NULL;
    size_t length = 0;
    expect(kronecker_vocabulary_bytes(vocabulary, id, &all, &length) == KRONECKER_OK, "no bytes");
    expect(length > pos_dim || length == lengths[id], "another length");
    expect(memcmp(all, bytes + (size_t)id * pos_dim, lengths[id]) == 0, "other bytes");
  }
  kronecker_vocabulary_close(vocabulary);
  tokens.bytes = bytes;
  tokens.lengths = lengths;
  tokens.vocab_size = vocab_size;
  check(&code, &tokens);
  code.z_normalize = 2; /* of rows that are centered already */
  check(&code, &tokens);
  code.z_normalize = code.length_normalize = 0;
  check(&code, &tokens);
  free(bytes);
  free(lengths);
  return failures > 0;
}
