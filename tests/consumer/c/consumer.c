/* Succeeds if the embedding that the command line names can be opened. */
#include <kronecker.h>

int main(int argc, char** argv) {
  kronecker_embedding* embedding = NULL;
  if (argc < 2 || kronecker_open(argv[1], &embedding) != KRONECKER_OK) return 1;
  kronecker_close(embedding);
  return 0;
}
