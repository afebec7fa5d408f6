// SPDX-License-Identifier: Apache-2.0 OR MIT
//
// The C interface of skipgate: open an artifact, run it under a mask, pick a configuration of its front, and let a
// controller pick one for each request. Written by `cargo xtask bindings`; link with `pkg-config --libs skipgate`.

#ifndef SKIPGATE_H
#define SKIPGATE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// Version of this header, major part. A program checks that it runs with a library of the version that it was built for
// by comparing SKIPGATE_VERSION_NUMBER with skipgate_version_number().
#define SKIPGATE_VERSION_MAJOR 0

// Version of this header, minor part. Before 1.0 another one is another interface, and the SONAME has it.
#define SKIPGATE_VERSION_MINOR 1

// Version of this header, patch part.
#define SKIPGATE_VERSION_PATCH 0

// Version of this header as one number that grows: major * 1000000 + minor * 1000 + patch.
#define SKIPGATE_VERSION_NUMBER 1000

// Whether a call worked. If not, skipgate_last_error tells what is wrong.
enum skipgate_status {
  // It worked.
  SKIPGATE_STATUS_OK = 0,
  // An argument is null, is no UTF-8 text, or has the wrong length; nothing was done.
  SKIPGATE_STATUS_INVALID_ARGUMENT = 1,
  // The artifact cannot be opened: missing, damaged, or for another machine.
  SKIPGATE_STATUS_ARTIFACT = 2,
  // The network cannot be loaded or failed while it ran.
  SKIPGATE_STATUS_RUN = 3,
  // No configuration is left to choose from.
  SKIPGATE_STATUS_CONFIGURATIONS = 4,
  // The artifact does not say what is asked for.
  SKIPGATE_STATUS_ABSENT = 5,
};

// What latencies count.
enum skipgate_latency_unit {
  // The front does not say.
  SKIPGATE_LATENCY_UNIT_UNKNOWN = 0,
  // Median wall time of a call.
  SKIPGATE_LATENCY_UNIT_MICROSECONDS = 1,
  // Instructions of a call.
  SKIPGATE_LATENCY_UNIT_INSTRUCTIONS = 2,
};

// Order of the channels of an image.
enum skipgate_color {
  // Red, green, blue.
  SKIPGATE_COLOR_RGB = 0,
  // Blue, green, red.
  SKIPGATE_COLOR_BGR = 1,
  // One channel, with the weights of ITU-R 601.
  SKIPGATE_COLOR_GRAY = 2,
};

// What becomes of an image of another size than the input.
enum skipgate_resize {
  // It is refused.
  SKIPGATE_RESIZE_EXACT = 0,
  // It is resized to the size of the input, whatever its aspect.
  SKIPGATE_RESIZE_STRETCH = 1,
  // Its shorter side becomes resize_height pixels, and the middle of it is the input.
  SKIPGATE_RESIZE_SHORTER_SIDE = 2,
  // It becomes resize_height x resize_width pixels, and the middle of them is the input.
  SKIPGATE_RESIZE_SIZE = 3,
};

// The filter that resizes; where an image becomes smaller, the filter becomes wider.
enum skipgate_interpolation {
  // A triangle, torchvision's default.
  SKIPGATE_INTERPOLATION_BILINEAR = 0,
  // That of Catmull and Rom, timm's default.
  SKIPGATE_INTERPOLATION_BICUBIC = 1,
};

// Order of the axes of the input.
enum skipgate_layout {
  // Batch, channels, rows, columns.
  SKIPGATE_LAYOUT_NCHW = 0,
  // Batch, rows, columns, channels.
  SKIPGATE_LAYOUT_NHWC = 1,
};

// Type of the elements of a tensor.
enum skipgate_element_type {
  // `float`.
  SKIPGATE_ELEMENT_TYPE_F32 = 0,
  // IEEE 754 half precision, 2 bytes.
  SKIPGATE_ELEMENT_TYPE_F16 = 1,
  // `int8_t`.
  SKIPGATE_ELEMENT_TYPE_I8 = 2,
  // `uint8_t`.
  SKIPGATE_ELEMENT_TYPE_U8 = 3,
  // `int32_t`.
  SKIPGATE_ELEMENT_TYPE_I32 = 4,
  // `int64_t`.
  SKIPGATE_ELEMENT_TYPE_I64 = 5,
  // `bool`.
  SKIPGATE_ELEMENT_TYPE_BOOL = 6,
};

// A compiled network. Any number of threads may use one.
struct skipgate_artifact;

// Chooses for each request which configuration runs. It has no thread and no clock: every call is told the time, in
// nanoseconds since any moment that stays the same. One thread at a time may use one.
struct skipgate_controller;

// A network that is ready to run. One thread at a time may use one.
struct skipgate_session;

// A configuration of a front. What was not measured is NaN. What it points to belongs to the artifact.
struct skipgate_configuration {
  // Its mask, of as many elements as there are gates; true runs the block.
  const bool *mask;
  // Number of elements of the mask.
  size_t gates;
  // Share of images that are classified right, from 0 to 1.
  double accuracy;
  // Lower end of the interval that holds the accuracy with a probability of 95 %.
  double accuracy_low;
  // Upper end of that interval.
  double accuracy_high;
  // Latency of one image.
  double latency;
  // What the latency counts.
  enum skipgate_latency_unit latency_unit;
};

// A configuration of a front, as controllers see it.
struct skipgate_level {
  // From 0 to 1.
  double accuracy;
  // Median latency on an idle device.
  uint64_t median_ns;
  // The latency that 99 of 100 calls do not exceed there.
  uint64_t p99_ns;
};

// A residual block that can be skipped. What it points to belongs to the artifact.
struct skipgate_gate {
  // Name of the block in the ONNX model.
  const char *block;
  // Number of the segment that it belongs to; the blocks of a segment have results of one shape.
  size_t segment;
  // Multiply-accumulate operations that skipping it saves, per image.
  uint64_t macs;
  // Weights inside of it.
  uint64_t parameters;
};

// How an image becomes the input: put its channels in the order of color, resize, cut out the middle of height x width,
// divide by 255, subtract mean, divide by deviation, and write in layout. What it points to belongs to the artifact.
struct skipgate_preprocessing {
  // Order of the channels.
  enum skipgate_color color;
  // What becomes of an image of another size.
  enum skipgate_resize resize;
  // Pixels after resizing; 0 where resize needs none.
  uint32_t resize_height;
  // Pixels after resizing; 0 where resize needs none.
  uint32_t resize_width;
  // The filter that resizes.
  enum skipgate_interpolation interpolation;
  // Order of the axes.
  enum skipgate_layout layout;
  // Pixels of the input from top to bottom.
  uint32_t height;
  // Pixels of the input from left to right.
  uint32_t width;
  // Number of channels.
  size_t channels;
  // Subtracted from each channel, on the scale from 0 to 1.
  const float *mean;
  // Divides each channel after that.
  const float *deviation;
};

// The elements of an input, in row-major order.
struct skipgate_input {
  // Name of the input.
  const char *name;
  // Its elements, aligned as their type asks for.
  const void *data;
  // Number of bytes there, which must be that of the tensor.
  size_t bytes;
};

// Where the elements of an output go, in row-major order.
struct skipgate_output {
  // Name of the output.
  const char *name;
  // Where its elements go.
  void *data;
  // Number of bytes there, which must be that of the tensor.
  size_t bytes;
};

// An input or output of a network. What it points to belongs to the artifact.
struct skipgate_tensor {
  // Its name in the ONNX model.
  const char *name;
  // Type of its elements.
  enum skipgate_element_type element_type;
  // Number of its dimensions.
  size_t rank;
  // Extent of every dimension, outermost first.
  const size_t *shape;
  // Number of bytes of all its elements.
  size_t bytes;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Opens the artifact in the folder `path`, and the front in it if there is one.
//
// An artifact is native code: only open those that you made or trust. On success, *artifact is the caller's, who frees
// it with skipgate_artifact_free. Errors: SKIPGATE_STATUS_INVALID_ARGUMENT, SKIPGATE_STATUS_ARTIFACT.
//
// The caller promises:
//
// `path` is null or a NUL-terminated string; `artifact` is null or can be written to.
enum skipgate_status skipgate_artifact_open(const char *path,
                                            struct skipgate_artifact **artifact);

// Like skipgate_artifact_open, but refuses an artifact that the owner of a key did not sign, every file of it. `key` is the text
// of the public key, one of minisign's: its file's contents, or the second line of it alone.
//
// Errors: SKIPGATE_STATUS_INVALID_ARGUMENT, also for what is no key; SKIPGATE_STATUS_ARTIFACT.
//
// The caller promises:
//
// `path` and `key` are null or NUL-terminated strings; `artifact` is null or can be written to.
enum skipgate_status skipgate_artifact_open_signed(const char *path,
                                                   const char *key,
                                                   struct skipgate_artifact **artifact);

// Frees an artifact; null is passed over. Sessions made from it stay usable.
//
// The caller promises:
//
// `artifact` is null, or from skipgate_artifact_open and not used again.
void skipgate_artifact_free(struct skipgate_artifact *artifact);

// Number of gates, which is the length of a mask.
//
// The caller promises:
//
// `artifact` is null (then 0) or live.
size_t skipgate_artifact_gates(const struct skipgate_artifact *artifact);

// Number of values of an image: for a CIFAR network 3 x 32 x 32, channel by channel, row by row, preprocessed as the
// manifest says. 0 for a network with other inputs than one of floats.
//
// The caller promises:
//
// `artifact` is null (then 0) or live.
size_t skipgate_artifact_image_length(const struct skipgate_artifact *artifact);

// Number of logits; 0 for a network with other outputs than one of floats.
//
// The caller promises:
//
// `artifact` is null (then 0) or live.
size_t skipgate_artifact_logits_length(const struct skipgate_artifact *artifact);

// Number of configurations on the artifact's front; 0 if it was not explored by `skipgate pareto`.
//
// The caller promises:
//
// `artifact` is null (then 0) or live.
size_t skipgate_artifact_configurations(const struct skipgate_artifact *artifact);

// The configuration `number` of the front, counted from 0. What it points to is valid until the artifact is freed.
//
// Errors: SKIPGATE_STATUS_INVALID_ARGUMENT.
//
// The caller promises:
//
// `artifact` is null or live; `configuration` is null or can be written to.
enum skipgate_status skipgate_artifact_configuration(const struct skipgate_artifact *artifact,
                                                     size_t number,
                                                     struct skipgate_configuration *configuration);

// Skips one step more after each request that finds the device busy and is dropped, one step less after a pause of more
// than `idle_ns` between requests (algorithm 1 of the paper, section II-B).
//
// `levels` are those of the front, in its order; only those that are more accurate than `minimum_accuracy` are used. On
// success, *controller is the caller's, who frees it with skipgate_controller_free. Errors:
// SKIPGATE_STATUS_INVALID_ARGUMENT, SKIPGATE_STATUS_CONFIGURATIONS.
//
// The caller promises:
//
// `levels` is null or points to `count` levels; `controller` is null or can be written to.
enum skipgate_status skipgate_controller_stepwise(const struct skipgate_level *levels,
                                                  size_t count,
                                                  double minimum_accuracy,
                                                  uint64_t idle_ns,
                                                  struct skipgate_controller **controller);

// The same, but lets up to `room` requests wait instead of dropping them.
//
// The caller promises:
//
// As for skipgate_controller_stepwise.
enum skipgate_status skipgate_controller_queueing(const struct skipgate_level *levels,
                                                  size_t count,
                                                  double minimum_accuracy,
                                                  uint64_t idle_ns,
                                                  size_t room,
                                                  struct skipgate_controller **controller);

// Runs the most accurate configuration that is expected to be through `deadline_ns` after the request arrived.
//
// The caller promises:
//
// As for skipgate_controller_stepwise.
enum skipgate_status skipgate_controller_deadline(const struct skipgate_level *levels,
                                                  size_t count,
                                                  double minimum_accuracy,
                                                  uint64_t deadline_ns,
                                                  struct skipgate_controller **controller);

// Runs the most accurate configuration with which the device keeps up, and drops only what cannot be through `deadline_ns`
// after it arrived any more. The one to begin with; twice the latency with all blocks is a good deadline.
//
// The caller promises:
//
// As for skipgate_controller_stepwise.
enum skipgate_status skipgate_controller_keep_up(const struct skipgate_level *levels,
                                                 size_t count,
                                                 double minimum_accuracy,
                                                 uint64_t deadline_ns,
                                                 struct skipgate_controller **controller);

// The same, but drops nothing, and keeps 99 of 100 requests within `bound_ns` from arrival to answer.
//
// The caller promises:
//
// As for skipgate_controller_stepwise.
enum skipgate_status skipgate_controller_percentile(const struct skipgate_level *levels,
                                                    size_t count,
                                                    double minimum_accuracy,
                                                    uint64_t bound_ns,
                                                    struct skipgate_controller **controller);

// Like skipgate_controller_keep_up, but the device works no more than `share` of the time, above 0 and at most 1, and so needs no
// more power than idle + share * (busy - idle).
//
// The caller promises:
//
// As for skipgate_controller_stepwise.
enum skipgate_status skipgate_controller_energy_budget(const struct skipgate_level *levels,
                                                       size_t count,
                                                       double minimum_accuracy,
                                                       uint64_t deadline_ns,
                                                       double share,
                                                       struct skipgate_controller **controller);

// Frees a controller; null is passed over.
//
// The caller promises:
//
// `controller` is null, or was handed out by this library and is not used again.
void skipgate_controller_free(struct skipgate_controller *controller);

// A request arrives at `now_ns`, while `waiting` others are being processed or wait for it: whether it is kept. If not, it
// is dropped. A null controller keeps none.
//
// The caller promises:
//
// `controller` is null, or live and used by no other thread.
bool skipgate_controller_admit(struct skipgate_controller *controller,
                               uint64_t now_ns,
                               size_t waiting);

// The same for a request that must be answered by a deadline of its own, at the time `deadline_ns`. Controllers without
// deadlines pass it over.
//
// The caller promises:
//
// As for skipgate_controller_admit.
bool skipgate_controller_admit_by(struct skipgate_controller *controller,
                                  uint64_t now_ns,
                                  uint64_t deadline_ns,
                                  size_t waiting);

// The device begins at `now_ns` with a request that arrived at `arrived_ns`, while `waiting` others wait behind it: the
// number of the configuration to run. 0 for a null controller.
//
// The caller promises:
//
// `controller` is null, or live and used by no other thread.
size_t skipgate_controller_choose(struct skipgate_controller *controller,
                                  uint64_t now_ns,
                                  uint64_t arrived_ns,
                                  size_t waiting);

// The device took this long for a request in that configuration.
//
// The caller promises:
//
// `controller` is null, or live and used by no other thread.
void skipgate_controller_finished(struct skipgate_controller *controller,
                                  size_t configuration,
                                  uint64_t took_ns);

// The gate `number`, counted from 0 as in a mask. What it points to is valid until the artifact is freed.
//
// Errors: SKIPGATE_STATUS_INVALID_ARGUMENT.
//
// The caller promises:
//
// `artifact` is null or live; `gate` is null or can be written to.
enum skipgate_status skipgate_artifact_gate(const struct skipgate_artifact *artifact,
                                            size_t number,
                                            struct skipgate_gate *gate);

// Number of classes, which the first output has a number for each; 0 for a null artifact.
//
// The caller promises:
//
// `artifact` is null or live.
size_t skipgate_artifact_classes(const struct skipgate_artifact *artifact);

// Name of the class `number`, counted from 0 as in the first output; null if the artifact has no name for it. It is valid
// until the artifact is freed.
//
// The caller promises:
//
// `artifact` is null (then null) or live.
const char *skipgate_artifact_class(const struct skipgate_artifact *artifact,
                                    size_t number);

// How an image becomes the input. What it points to is valid until the artifact is freed.
//
// Errors: SKIPGATE_STATUS_INVALID_ARGUMENT; SKIPGATE_STATUS_ABSENT if the artifact does not say.
//
// The caller promises:
//
// `artifact` is null or live; `preprocessing` is null or can be written to.
enum skipgate_status skipgate_artifact_preprocessing(const struct skipgate_artifact *artifact,
                                                     struct skipgate_preprocessing *preprocessing);

// Loads an artifact. With 1 thread, the caller of skipgate_session_run does all the work; more need a 64-bit machine.
//
// On success, *session is the caller's, who frees it with skipgate_session_free. Errors:
// SKIPGATE_STATUS_INVALID_ARGUMENT, SKIPGATE_STATUS_RUN.
//
// The caller promises:
//
// `artifact` is null or live; `session` is null or can be written to.
enum skipgate_status skipgate_session_new(const struct skipgate_artifact *artifact,
                                          size_t threads,
                                          struct skipgate_session **session);

// Frees a session; null is passed over.
//
// The caller promises:
//
// `session` is null, or from skipgate_session_new and not used again.
void skipgate_session_free(struct skipgate_session *session);

// Runs a network with one input and one output, both of floats, on `image` with the blocks whose element of `mask` is true, and
// writes the logits. Both `logits` null and `logits_length` 0 write nothing; skipgate_session_output then gives them without a copy.
//
// The lengths must be those of the artifact; that of the mask is checked before it is read, and each of its elements must be
// 0 or 1. Nothing is kept of the arguments, and nothing is allocated on this side of IREE. Errors:
// SKIPGATE_STATUS_INVALID_ARGUMENT, SKIPGATE_STATUS_RUN; the session stays usable.
//
// The caller promises:
//
// `session` is null or live and used by no other thread; the arrays are null or of their lengths, and `logits` can be
// written to.
enum skipgate_status skipgate_session_run(struct skipgate_session *session,
                                          const float *image,
                                          size_t image_length,
                                          const bool *mask,
                                          size_t gates,
                                          float *logits,
                                          size_t logits_length);

// Runs any network on `inputs`, in any order, with the blocks whose element of `mask` is true, and writes those of its
// outputs that `outputs` names.
//
// Nothing is kept of the arguments. Errors: SKIPGATE_STATUS_INVALID_ARGUMENT, SKIPGATE_STATUS_RUN; the session stays
// usable.
//
// The caller promises:
//
// `session` is null or live and used by no other thread; the arrays are null or of their lengths; names are null or
// NUL-terminated strings; every `data` is null or of its `bytes`, and those of `outputs` can be written to and do not
// overlap.
enum skipgate_status skipgate_session_run_named(struct skipgate_session *session,
                                                const struct skipgate_input *inputs,
                                                size_t input_count,
                                                const bool *mask,
                                                size_t gates,
                                                const struct skipgate_output *outputs,
                                                size_t output_count);

// An output of the last run, without a copy: where its elements are, in row-major order, and how many bytes. Before the
// first run they are zero.
//
// They belong to the session and are valid until it runs again or is freed. Errors: SKIPGATE_STATUS_INVALID_ARGUMENT.
//
// The caller promises:
//
// `session` is null or live and used by no other thread; `data` and `bytes` are null or can be written to.
enum skipgate_status skipgate_session_output(const struct skipgate_session *session,
                                             size_t number,
                                             const void **data,
                                             size_t *bytes);

// What was wrong with the last call of this thread that did not return SKIPGATE_STATUS_OK; empty if all worked.
//
// The text belongs to the library and is valid until the next call of this thread that fails.
const char *skipgate_last_error(void);

// Number of inputs, the mask not counted.
//
// The caller promises:
//
// `artifact` is null (then 0) or live.
size_t skipgate_artifact_inputs(const struct skipgate_artifact *artifact);

// Number of outputs.
//
// The caller promises:
//
// `artifact` is null (then 0) or live.
size_t skipgate_artifact_outputs(const struct skipgate_artifact *artifact);

// The input `number`, counted from 0. What it points to is valid until the artifact is freed.
//
// Errors: SKIPGATE_STATUS_INVALID_ARGUMENT.
//
// The caller promises:
//
// `artifact` is null or live; `input` is null or can be written to.
enum skipgate_status skipgate_artifact_input(const struct skipgate_artifact *artifact,
                                             size_t number,
                                             struct skipgate_tensor *input);

// The output `number`, counted from 0. What it points to is valid until the artifact is freed.
//
// Errors: SKIPGATE_STATUS_INVALID_ARGUMENT.
//
// The caller promises:
//
// `artifact` is null or live; `output` is null or can be written to.
enum skipgate_status skipgate_artifact_output(const struct skipgate_artifact *artifact,
                                              size_t number,
                                              struct skipgate_tensor *output);

// Version of the library that the program runs with, as SKIPGATE_VERSION_NUMBER has it.
uint32_t skipgate_version_number(void);

// The same as text, such as \"0.1.0\"; it belongs to the library and is always valid.
const char *skipgate_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SKIPGATE_H */
