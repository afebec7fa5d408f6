// What skipgate uses of IREE's C runtime API. `cargo xtask bindings` turns it into the Rust files beside it.

#include <stdint.h>

#include "iree/async/util/proactor_pool.h"
#include "iree/hal/drivers/local_sync/sync_device.h"
#include "iree/hal/local/loaders/embedded_elf_loader.h"
#include "iree/runtime/api.h"

// The multi-threaded driver only builds for 64-bit targets.
#if UINTPTR_MAX > UINT32_MAX
#include "iree/hal/drivers/local_task/task_device.h"
#include "iree/task/api.h"
#endif
