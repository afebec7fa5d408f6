// What becomes of masks that cannot be, and outputs without a copy. Prints a line for each.
//
//     cc masks.c $(pkg-config --cflags --libs skipgate) -o masks
//     ./masks ARTIFACT          # of a network with one input and one output of floats

#include <skipgate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(enum skipgate_status status) {
  if (status != SKIPGATE_STATUS_OK) {
    fprintf(stderr, "error: %s\n", skipgate_last_error());
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s ARTIFACT\n", argv[0]);
    return 2;
  }
  struct skipgate_artifact *artifact;
  struct skipgate_session *session;
  check(skipgate_artifact_open(argv[1], &artifact));
  check(skipgate_session_new(artifact, 1, &session));
  size_t gates = skipgate_artifact_gates(artifact);
  size_t length = skipgate_artifact_image_length(artifact);
  size_t classes = skipgate_artifact_logits_length(artifact);
  float *image = calloc(length, sizeof *image);
  float *logits = malloc(classes * sizeof *logits);
  // As large as the mask and no larger, so that Valgrind sees whoever reads behind it.
  unsigned char *bytes = malloc(gates);
  if (!image || !logits || !bytes) return 1;
  memset(bytes, 1, gates);
  const bool *mask = (const bool *)bytes;

  // The length is wrong, so nothing is read of the mask.
  enum skipgate_status status = skipgate_session_run(session, image, length, mask, gates + 1, logits, classes);
  printf("one gate too many: status %d, %s\n", status, skipgate_last_error());
  status = skipgate_session_run(session, image, length, NULL, gates, logits, classes);
  printf("no mask: status %d, %s\n", status, skipgate_last_error());
  bytes[gates - 1] = 2;
  status = skipgate_session_run(session, image, length, mask, gates, logits, classes);
  printf("a two: status %d, %s\n", status, skipgate_last_error());

  bytes[gates - 1] = 0;
  check(skipgate_session_run(session, image, length, mask, gates, logits, classes));
  check(skipgate_session_run(session, image, length, mask, gates, NULL, 0));
  const void *data;
  size_t size;
  check(skipgate_session_output(session, 0, &data, &size));
  bool same = size == classes * sizeof *logits && memcmp(data, logits, size) == 0;
  printf("without a copy: %s\n", same ? "the same" : "different");

  skipgate_session_free(session);
  skipgate_artifact_free(artifact);
  free(bytes);
  free(logits);
  free(image);
  return 0;
}
