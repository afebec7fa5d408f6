// Opens an artifact, runs every configuration of its front on an image, and then lets a controller choose for a series of
// requests, one of which finds the device busy.
//
//     cc adaptive.c $(pkg-config --cflags --libs --static skipgate) -o adaptive
//     ./adaptive ARTIFACT IMAGE.f32        # the image's values as the manifest says, 32-bit floats

#include <skipgate.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void check(enum skipgate_status status) {
  if (status != SKIPGATE_STATUS_OK) {
    fprintf(stderr, "error: %s\n", skipgate_last_error());
    exit(1);
  }
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static float *read_image(const char *path, size_t length) {
  float *image = malloc(length * sizeof *image);
  FILE *file = fopen(path, "rb");
  if (!image || !file || fread(image, sizeof *image, length, file) != length) {
    fprintf(stderr, "error: %s is no image of %zu values\n", path, length);
    exit(1);
  }
  fclose(file);
  return image;
}

static size_t largest(const float *logits, size_t count) {
  size_t best = 0;
  for (size_t i = 1; i < count; i++) {
    if (logits[i] > logits[best]) best = i;
  }
  return best;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s ARTIFACT IMAGE.f32\n", argv[0]);
    return 2;
  }
  struct skipgate_artifact *artifact;
  struct skipgate_session *session;
  check(skipgate_artifact_open(argv[1], &artifact));
  check(skipgate_session_new(artifact, 1, &session));

  size_t gates = skipgate_artifact_gates(artifact);
  size_t length = skipgate_artifact_image_length(artifact);
  size_t classes = skipgate_artifact_logits_length(artifact);
  size_t count = skipgate_artifact_configurations(artifact);
  float *image = read_image(argv[2], length);
  float *logits = malloc(classes * sizeof *logits);
  struct skipgate_configuration *front = malloc(count * sizeof *front);
  struct skipgate_level *levels = malloc(count * sizeof *levels);
  if (!logits || !front || !levels) return 1;

  for (size_t i = 0; i < count; i++) {
    check(skipgate_artifact_configuration(artifact, i, &front[i]));
    levels[i].accuracy = front[i].accuracy;
    uint64_t start = now_ns();
    check(skipgate_session_run(session, image, length, front[i].mask, gates, logits, classes));
    levels[i].median_ns = levels[i].p99_ns = now_ns() - start;
    printf("configuration %zu: class %zu\n", i, largest(logits, classes));
  }

  // Any configuration will do, and a pause of a second makes the next request skip less.
  struct skipgate_controller *controller;
  check(skipgate_controller_stepwise(levels, count, 0.0, 1000000000u, &controller));
  for (int request = 0; request < 4; request++) {
    uint64_t arrived = now_ns();
    size_t waiting = request == 1 ? 1 : 0;  // As if the first one were not through yet.
    if (!skipgate_controller_admit(controller, arrived, waiting)) {
      printf("request %d: dropped\n", request);
      continue;
    }
    uint64_t start = now_ns();
    size_t chosen = skipgate_controller_choose(controller, start, arrived, waiting);
    check(skipgate_session_run(session, image, length, front[chosen].mask, gates, logits, classes));
    skipgate_controller_finished(controller, chosen, now_ns() - start);
    printf("request %d: configuration %zu, class %zu\n", request, chosen, largest(logits, classes));
  }

  skipgate_controller_free(controller);
  skipgate_session_free(session);
  skipgate_artifact_free(artifact);
  free(levels);
  free(front);
  free(logits);
  free(image);
  return 0;
}
