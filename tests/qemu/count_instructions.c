// TCG plugin that counts the instructions a guest program executes.
//
//   qemu-arm -plugin file=libcount_instructions.so,out=FILE PROGRAM...
//
// writes the total to FILE, in decimal with a newline, when the program exits.
//
// The declarations below stand in for qemu-plugin.h, which distributions do not ship with qemu-user. They are the part
// of the plugin API that every QEMU from 4.2 on has; only the number in qemu_plugin_version differs, and the build sets
// it: QEMU 8 and older want 0 or 1, QEMU 9 and newer at least 2.

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef QEMU_PLUGIN_API
#error "define QEMU_PLUGIN_API as the plugin API version of the QEMU that loads this"
#endif

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;

// The callback neither reads nor writes guest registers (QEMU_PLUGIN_CB_NO_REGS).
enum { NO_REGISTERS = 0 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
                                                  void (*translated)(plugin_id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, void (*executed)(unsigned, void *),
                                                 int flags, void *data);
extern void qemu_plugin_register_atexit_cb(plugin_id id, void (*exited)(plugin_id, void *), void *data);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);

EXPORT int qemu_plugin_version = QEMU_PLUGIN_API;
EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

static uint64_t total;
static char out[4096];

// Runs at the start of each translated block. Guest threads run in parallel, hence the atomic addition.
static void block_executed(unsigned vcpu, void *instructions) {
  (void)vcpu;
  __atomic_fetch_add(&total, (uintptr_t)instructions, __ATOMIC_RELAXED);
}

static void block_translated(plugin_id id, struct qemu_plugin_tb *block) {
  (void)id;
  // The number itself travels in the pointer, so that a block needs no memory of its own.
  void *instructions = (void *)(uintptr_t)qemu_plugin_tb_n_insns(block);
  qemu_plugin_register_vcpu_tb_exec_cb(block, block_executed, NO_REGISTERS, instructions);
}

static void program_exited(plugin_id id, void *data) {
  (void)id;
  (void)data;
  FILE *file = fopen(out, "w");
  if (file == NULL || fprintf(file, "%" PRIu64 "\n", total) < 0 || fclose(file) != 0) {
    fprintf(stderr, "count_instructions: cannot write %s: %s\n", out, strerror(errno));
  }
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
  (void)info;
  const char *prefix = "out=";
  if (argc != 1 || strncmp(argv[0], prefix, strlen(prefix)) != 0) {
    fprintf(stderr, "count_instructions: wants exactly one argument, out=FILE\n");
    return -1;
  }
  int length = snprintf(out, sizeof out, "%s", argv[0] + strlen(prefix));
  if (length <= 0 || (size_t)length >= sizeof out) {
    fprintf(stderr, "count_instructions: the name of the output file is empty or too long\n");
    return -1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
  qemu_plugin_register_atexit_cb(id, program_exited, NULL);
  return 0;
}
