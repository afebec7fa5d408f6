// What the functions that skipgate links into artifacts for the board compute, for its test of them.
//
// Reads lines of two 64-bit numbers in hexadecimal, and writes for each what every function gives for their bits, as
// hexadecimal. Most are called by the operators that GCC, as LLVM, calls them for; so the test is of their convention, too.

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BASE_CONVENTION __attribute__((pcs("aapcs")))

extern BASE_CONVENTION uint16_t __aeabi_d2h(double);
extern uint16_t __truncsfbf2(float);
extern float fmaxf(float, float);
extern float fminf(float, float);
extern float truncf(float);

static double as_double(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float as_float(uint64_t bits) {
  uint32_t low = (uint32_t)bits;
  float value;
  memcpy(&value, &low, sizeof value);
  return value;
}

static void show_integer(uint64_t value) { printf("%" PRIx64 " ", value); }

static void show_double(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  show_integer(bits);
}

static void show_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  show_integer(bits);
}

int main(void) {
  uint64_t x, y;
  while (scanf("%" SCNx64 " %" SCNx64, &x, &y) == 2) {
    show_integer(x / y);
    show_integer(x % y);
    show_integer((uint64_t)((int64_t)x / (int64_t)y));
    show_integer((uint64_t)((int64_t)x % (int64_t)y));
    show_integer((uint64_t)as_double(x));
    show_integer((uint64_t)(int64_t)as_double(x));
    show_integer((uint64_t)as_float(x));
    show_integer((uint64_t)(int64_t)as_float(x));
    show_integer((uint32_t)x / (uint32_t)y);
    show_integer((uint32_t)x % (uint32_t)y);
    show_integer((uint32_t)((int32_t)x / (int32_t)y));
    show_integer((uint32_t)((int32_t)x % (int32_t)y));
    show_double((double)x);
    show_double((double)(int64_t)x);
    show_float((float)x);
    show_float((float)(int64_t)x);
    show_float(fmaxf(as_float(x), as_float(y)));
    show_float(fminf(as_float(x), as_float(y)));
    show_float(truncf(as_float(x)));
    show_integer(__aeabi_d2h(as_double(x)));
    printf("%x\n", (unsigned)__truncsfbf2(as_float(x)));
  }
  return 0;
}
