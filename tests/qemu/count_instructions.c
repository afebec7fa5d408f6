// TCG plugin that counts the instructions a guest program executes.
//
//   qemu-arm -plugin file=libcount_instructions.so,out=FILE[,blocks=FILE] PROGRAM...
//
// writes the total to FILE, in decimal with a newline, when the program exits, and to the other FILE a line for every
// translated block: its address, its instructions and how often it ran, in decimal, and `arm` or `thumb`; then its
// instructions, each on a line that begins with a tab, as far as QEMU can disassemble them.
//
// The declarations below stand in for qemu-plugin.h, which distributions do not ship with qemu-user. They are the part
// of the plugin API that every QEMU from 4.2 on has; only the number in qemu_plugin_version differs, and the build sets
// it: QEMU 8 and older want 0 or 1, QEMU 9 and newer at least 2. qemu_plugin_insn_data is not used because its
// arguments changed in QEMU 9.1, which still loads plugins for version 2.

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef QEMU_PLUGIN_API
#error "define QEMU_PLUGIN_API as the plugin API version of the QEMU that loads this"
#endif

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_insn;
struct qemu_plugin_tb;

// The callback neither reads nor writes guest registers (QEMU_PLUGIN_CB_NO_REGS).
enum { NO_REGISTERS = 0 };

// Code of one page lies together in the emulator's memory.
enum { PAGE = 4096 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
                                                  void (*translated)(plugin_id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, void (*executed)(unsigned, void *),
                                                 int flags, void *data);
extern void qemu_plugin_register_atexit_cb(plugin_id id, void (*exited)(plugin_id, void *), void *data);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *instruction);
extern void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *instruction);
extern char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *instruction);

EXPORT int qemu_plugin_version = QEMU_PLUGIN_API;
EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

struct block {
  uint64_t address;
  uint64_t instructions;
  uint64_t runs;
  const char *mode;
  char **code;
  struct block *next;
};

// All of them; the emulator may translate a piece of code again, which then has several. None is ever freed: threads
// may still run it.
static struct block *blocks;
static char out[4096];
static char blocks_out[4096];

// Runs at the start of each translated block. Guest threads run in parallel, hence the atomic addition.
static void block_executed(unsigned vcpu, void *block) {
  (void)vcpu;
  __atomic_fetch_add(&((struct block *)block)->runs, 1, __ATOMIC_RELAXED);
}

static void *allocate(size_t size) {
  void *memory = malloc(size);
  if (memory == NULL) {
    fprintf(stderr, "count_instructions: out of memory\n");
    abort();
  }
  return memory;
}

// Disassembles the instructions of a block and finds out in which mode they are, which QEMU does not say and text alone
// does not always tell: Thumb code has instructions of two bytes, or begins those of four with other bytes than Arm
// code. Only those on the block's first page are looked at: before QEMU 8, the others may have a wrong host address.
static void read_code(const struct qemu_plugin_tb *translated, struct block *block) {
  size_t offset = block->address % PAGE;
  int may_be_thumb = 1;
  int must_be_thumb = 0;
  block->code = allocate(block->instructions * sizeof *block->code);
  for (size_t index = 0; index < block->instructions; index++) {
    const struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(translated, index);
    const unsigned char *bytes = qemu_plugin_insn_haddr(instruction);
    block->code[index] = qemu_plugin_insn_disas(instruction);
    must_be_thumb |= qemu_plugin_insn_size(instruction) == 2;
    may_be_thumb &= offset >= PAGE || bytes == NULL || bytes[1] >= 0xe8;
    offset += qemu_plugin_insn_size(instruction);
  }
  block->mode = must_be_thumb || may_be_thumb ? "thumb" : "arm";
}

static void block_translated(plugin_id id, struct qemu_plugin_tb *translated) {
  (void)id;
  struct block *block = allocate(sizeof *block);
  *block = (struct block){0};
  block->address = qemu_plugin_tb_vaddr(translated);
  block->instructions = qemu_plugin_tb_n_insns(translated);
  if (blocks_out[0] != '\0') {
    read_code(translated, block);
  }
  block->next = __atomic_load_n(&blocks, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(&blocks, &block->next, block, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
  }
  qemu_plugin_register_vcpu_tb_exec_cb(translated, block_executed, NO_REGISTERS, block);
}

static void check(const char *name, FILE *file, int written) {
  if (file == NULL || written < 0 || fclose(file) != 0) {
    fprintf(stderr, "count_instructions: cannot write %s: %s\n", name, strerror(errno));
  }
}

// Writes the lines of a block; negative if that fails.
static int write_block(FILE *file, const struct block *block) {
  int written = fprintf(file, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %s\n", block->address, block->instructions,
                        block->runs, block->mode);
  for (size_t index = 0; index < block->instructions && written >= 0; index++) {
    const char *code = block->code[index];
    written = fprintf(file, "\t%s\n", code == NULL ? "" : code);
  }
  return written;
}

static void program_exited(plugin_id id, void *data) {
  (void)id;
  (void)data;
  uint64_t total = 0;
  for (const struct block *block = blocks; block != NULL; block = block->next) {
    total += block->instructions * block->runs;
  }
  FILE *file = fopen(out, "w");
  check(out, file, file == NULL ? -1 : fprintf(file, "%" PRIu64 "\n", total));
  if (blocks_out[0] == '\0') {
    return;
  }
  file = fopen(blocks_out, "w");
  int written = file == NULL ? -1 : 0;
  for (const struct block *block = blocks; block != NULL && written >= 0; block = block->next) {
    written = write_block(file, block);
  }
  check(blocks_out, file, written);
}

// Copies what follows `prefix` in `argument`; whether there is anything and it fits.
static int value_of(const char *argument, const char *prefix, char *value, size_t size) {
  if (strncmp(argument, prefix, strlen(prefix)) != 0) {
    return 0;
  }
  int length = snprintf(value, size, "%s", argument + strlen(prefix));
  return length > 0 && (size_t)length < size;
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
  (void)info;
  if (argc < 1 || argc > 2 || !value_of(argv[0], "out=", out, sizeof out) ||
      (argc == 2 && !value_of(argv[1], "blocks=", blocks_out, sizeof blocks_out))) {
    fprintf(stderr, "count_instructions: wants out=FILE and perhaps blocks=FILE, with names of less than 4096 bytes\n");
    return -1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
  qemu_plugin_register_atexit_cb(id, program_exited, NULL);
  return 0;
}
