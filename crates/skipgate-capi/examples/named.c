// Runs a network with any inputs and outputs once, with all its blocks: fills every input with a pattern and prints every
// output's name, shape and the sum of its bytes.
//
//     cc named.c $(pkg-config --cflags --libs --static skipgate) -o named
//     ./named ARTIFACT

#include <skipgate.h>
#include <stdio.h>
#include <stdlib.h>

static void check(enum skipgate_status status) {
  if (status != SKIPGATE_STATUS_OK) {
    fprintf(stderr, "error: %s\n", skipgate_last_error());
    exit(1);
  }
}

static void *allocate(size_t bytes) {
  void *memory = calloc(bytes ? bytes : 1, 1);
  if (!memory) {
    fprintf(stderr, "error: no memory\n");
    exit(1);
  }
  return memory;
}

// Bytes and floats count from 0 in steps; everything else is zero.
static void fill(struct skipgate_tensor tensor, void *data) {
  for (size_t i = 0; tensor.element_type == SKIPGATE_ELEMENT_TYPE_U8 && i < tensor.bytes; i++) {
    ((uint8_t *)data)[i] = (uint8_t)(i % 251);
  }
  for (size_t i = 0; tensor.element_type == SKIPGATE_ELEMENT_TYPE_F32 && i < tensor.bytes / sizeof(float); i++) {
    ((float *)data)[i] = (float)(i % 8) / 8;
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
  size_t input_count = skipgate_artifact_inputs(artifact);
  size_t output_count = skipgate_artifact_outputs(artifact);
  struct skipgate_input *inputs = allocate(input_count * sizeof *inputs);
  struct skipgate_output *outputs = allocate(output_count * sizeof *outputs);
  bool *mask = allocate(gates * sizeof *mask);
  for (size_t i = 0; i < gates; i++) mask[i] = true;

  struct skipgate_tensor tensor;
  for (size_t i = 0; i < input_count; i++) {
    check(skipgate_artifact_input(artifact, i, &tensor));
    void *data = allocate(tensor.bytes);
    fill(tensor, data);
    inputs[i] = (struct skipgate_input){tensor.name, data, tensor.bytes};
  }
  for (size_t i = 0; i < output_count; i++) {
    check(skipgate_artifact_output(artifact, i, &tensor));
    outputs[i] = (struct skipgate_output){tensor.name, allocate(tensor.bytes), tensor.bytes};
  }

  check(skipgate_session_run_named(session, inputs, input_count, mask, gates, outputs, output_count));

  for (size_t i = 0; i < output_count; i++) {
    check(skipgate_artifact_output(artifact, i, &tensor));
    unsigned long sum = 0;
    for (size_t j = 0; j < tensor.bytes; j++) sum += ((unsigned char *)outputs[i].data)[j];
    printf("%s: [", tensor.name);
    for (size_t j = 0; j < tensor.rank; j++) printf(j ? ", %zu" : "%zu", tensor.shape[j]);
    printf("], sum of bytes %lu\n", sum);
  }

  // What is wrong is told, and the session stays usable.
  inputs[0].bytes--;
  if (skipgate_session_run_named(session, inputs, input_count, mask, gates, outputs, output_count) ==
      SKIPGATE_STATUS_INVALID_ARGUMENT) {
    printf("%s\n", skipgate_last_error());
  }

  for (size_t i = 0; i < input_count; i++) free((void *)inputs[i].data);
  for (size_t i = 0; i < output_count; i++) free(outputs[i].data);
  free(inputs);
  free(outputs);
  free(mask);
  skipgate_session_free(session);
  skipgate_artifact_free(artifact);
  return 0;
}
