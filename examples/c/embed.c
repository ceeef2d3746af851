/* Embeds words with a saved embedding, through the C interface:
       embed EMBEDDING WORD...
   prints the first numbers of each embedding. */

#include <kronecker.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
  kronecker_embedding* embedding = NULL;
  size_t count = argc > 2 ? (size_t)(argc - 2) : 0;
  int status = 1;
  if (argc < 2) {
    fprintf(stderr, "usage: embed EMBEDDING WORD...\n");
    return 2;
  }
  if (kronecker_open(argv[1], &embedding) != KRONECKER_OK) {
    fprintf(stderr, "embed: %s\n", kronecker_error_message());
    return 2;
  }
  size_t d_model = (size_t)kronecker_d_model(embedding);
  float* vectors = malloc(count * d_model * sizeof(float) + 1);
  size_t* lengths = malloc(count * sizeof(size_t) + 1);
  if (vectors != NULL && lengths != NULL) {
    for (size_t i = 0; i < count; ++i) lengths[i] = strlen(argv[i + 2]);
    if (kronecker_embed_strings(embedding, (const char* const*)argv + 2, lengths, count, vectors,
                                count * d_model) == KRONECKER_OK) {
      for (size_t i = 0; i < count; ++i) {
        printf("%s:", argv[i + 2]);
        for (size_t j = 0; j < d_model && j < 4; ++j) printf(" %.9g", (double)vectors[i * d_model + j]);
        printf("\n");
      }
      status = 0;
    } else {
      fprintf(stderr, "embed: %s\n", kronecker_error_message());
    }
  }
  free(vectors);
  free(lengths);
  kronecker_close(embedding);
  return status;
}
