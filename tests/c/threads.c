/* Eight threads use one embedding: ids, strings, logits, mistakes, and files that they open themselves. Exit
   code 1 if one of them saw other numbers or another message than it should.
     threads EMBEDDING */
#include <kronecker.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { thread_count = 8, rounds = 50, d_model = 24, vocab_size = 5 };

static const char* path;
static kronecker_embedding* shared;
static float hidden[d_model], expected_token[d_model], expected_word[d_model], expected_logits[vocab_size];
static const char word[] = " unfoxlike";

struct work {
  int32_t number;
  int failures;
};

static void* use(void* argument) {
  struct work* work = argument;
  const int32_t good = 1, bad = 100 + work->number;
  const char* const strings[] = {word};
  const size_t lengths[] = {sizeof word - 1};
  float out[d_model], logits[vocab_size];
  char message[100];
  sprintf(message, "token id %d at index 0 is outside the vocabulary of 5 tokens", (int)bad);
  for (int round = 0; round < rounds; ++round) {
    kronecker_embedding* own = NULL;
    work->failures += kronecker_logits(shared, hidden, 1, logits, vocab_size) != KRONECKER_OK;
    work->failures += memcmp(logits, expected_logits, sizeof logits) != 0;
    work->failures += kronecker_embed_ids(shared, &good, 1, out, d_model) != KRONECKER_OK;
    work->failures += memcmp(out, expected_token, sizeof out) != 0;
    work->failures += kronecker_embed_ids(shared, &bad, 1, out, d_model) != KRONECKER_OUT_OF_RANGE;
    work->failures += strcmp(kronecker_error_message(), message) != 0;
    work->failures += kronecker_open(path, &own) != KRONECKER_OK;
    work->failures += kronecker_embed_strings(own, strings, lengths, 1, out, d_model) != KRONECKER_OK;
    work->failures += memcmp(out, expected_word, sizeof out) != 0;
    kronecker_close(own);
  }
  return NULL;
}

int main(int argc, char** argv) {
  pthread_t threads[thread_count];
  struct work work[thread_count];
  const int32_t token = 1;
  const char* const strings[] = {word};
  const size_t lengths[] = {sizeof word - 1};
  int failures = 0;
  kronecker_embedding*
      first; /* the threads must be the first to ask `shared` for logits: that makes its head */
  if (argc != 2) return 2;
  path = argv[1];
  for (int i = 0; i < d_model; ++i) hidden[i] = (float)(i + 1) / d_model;
  if (kronecker_open(path, &first) != KRONECKER_OK || kronecker_open(path, &shared) != KRONECKER_OK ||
      kronecker_embed_ids(first, &token, 1, expected_token, d_model) != KRONECKER_OK ||
      kronecker_embed_strings(first, strings, lengths, 1, expected_word, d_model) != KRONECKER_OK ||
      kronecker_logits(first, hidden, 1, expected_logits, vocab_size) != KRONECKER_OK) {
    fprintf(stderr, "threads: %s\n", kronecker_error_message());
    return 1;
  }
  for (int i = 0; i < thread_count; ++i) {
    work[i].number = i;
    work[i].failures = 0;
    if (pthread_create(&threads[i], NULL, use, &work[i]) != 0) return 2;
  }
  for (int i = 0; i < thread_count; ++i) {
    pthread_join(threads[i], NULL);
    failures += work[i].failures;
  }
  kronecker_close(first);
  kronecker_close(shared);
  if (failures > 0) fprintf(stderr, "threads: %d failures\n", failures);
  return failures > 0;
}
