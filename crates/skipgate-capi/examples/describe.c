// Prints everything that an artifact says of itself, with nothing but this header: no program needs a JSON reader.
//
//     cc describe.c $(pkg-config --cflags --libs skipgate) -o describe
//     ./describe ARTIFACT

#include <math.h>
#include <skipgate.h>
#include <stdio.h>
#include <stdlib.h>

static void check(enum skipgate_status status) {
  if (status != SKIPGATE_STATUS_OK) {
    fprintf(stderr, "error: %s\n", skipgate_last_error());
    exit(1);
  }
}

static void print_tensor(const char *side, struct skipgate_tensor tensor) {
  static const char *const types[] = {"f32", "f16", "i8", "u8", "i32", "i64", "bool"};
  printf("%s %s: %s[", side, tensor.name, types[tensor.element_type]);
  for (size_t i = 0; i < tensor.rank; i++) printf("%s%zu", i ? ", " : "", tensor.shape[i]);
  printf("], %zu bytes\n", tensor.bytes);
}

static void print_images(const struct skipgate_artifact *artifact) {
  static const char *const colors[] = {"rgb", "bgr", "gray"};
  static const char *const sizes[] = {"exact", "stretch", "shorter side", "size"};
  static const char *const filters[] = {"bilinear", "bicubic"};
  static const char *const layouts[] = {"nchw", "nhwc"};
  struct skipgate_preprocessing images;
  enum skipgate_status status = skipgate_artifact_preprocessing(artifact, &images);
  if (status == SKIPGATE_STATUS_ABSENT) {
    printf("images: %s\n", skipgate_last_error());
    return;
  }
  check(status);
  printf("images: %s, %s, %s %ux%u, %s, to %ux%u\n", colors[images.color], layouts[images.layout], sizes[images.resize],
         images.resize_height, images.resize_width, filters[images.interpolation], images.height, images.width);
  for (size_t i = 0; i < images.channels; i++) {
    printf("channel %zu: mean %.6f, deviation %.6f\n", i, (double)images.mean[i], (double)images.deviation[i]);
  }
}

static void print_front(const struct skipgate_artifact *artifact) {
  static const char *const units[] = {"of an unknown unit", "us", "instructions"};
  for (size_t i = 0; i < skipgate_artifact_configurations(artifact); i++) {
    struct skipgate_configuration found;
    check(skipgate_artifact_configuration(artifact, i, &found));
    printf("configuration %zu: ", i);
    for (size_t gate = 0; gate < found.gates; gate++) putchar(found.mask[gate] ? '1' : '0');
    if (!isnan(found.accuracy)) printf(", accuracy %.4f", found.accuracy);
    if (!isnan(found.accuracy_low)) printf(" (%.4f to %.4f)", found.accuracy_low, found.accuracy_high);
    if (!isnan(found.latency)) printf(", latency %.1f %s", found.latency, units[found.latency_unit]);
    putchar('\n');
  }
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: %s ARTIFACT\n", argv[0]);
    return 2;
  }
  if (skipgate_version_number() != SKIPGATE_VERSION_NUMBER) {
    fprintf(stderr, "error: built for another version than %s\n", skipgate_version());
    return 1;
  }
  struct skipgate_artifact *artifact;
  check(skipgate_artifact_open(argv[1], &artifact));
  for (size_t i = 0; i < skipgate_artifact_inputs(artifact); i++) {
    struct skipgate_tensor tensor;
    check(skipgate_artifact_input(artifact, i, &tensor));
    print_tensor("input", tensor);
  }
  for (size_t i = 0; i < skipgate_artifact_outputs(artifact); i++) {
    struct skipgate_tensor tensor;
    check(skipgate_artifact_output(artifact, i, &tensor));
    print_tensor("output", tensor);
  }
  print_images(artifact);
  for (size_t i = 0; i < skipgate_artifact_gates(artifact); i++) {
    struct skipgate_gate gate;
    check(skipgate_artifact_gate(artifact, i, &gate));
    printf("gate %zu: %s, segment %zu, %llu MACs, %llu parameters\n", i, gate.block, gate.segment,
           (unsigned long long)gate.macs, (unsigned long long)gate.parameters);
  }
  for (size_t i = 0; i < skipgate_artifact_classes(artifact); i++) {
    const char *name = skipgate_artifact_class(artifact, i);
    printf("class %zu: %s\n", i, name ? name : "without a name");
  }
  print_front(artifact);
  skipgate_artifact_free(artifact);
  return 0;
}
