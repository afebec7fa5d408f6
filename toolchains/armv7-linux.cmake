# Any armv7 Linux board with hard float and NEON, from the Cortex-A8 and A9 on: no hardware division, no VFPv4.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7)

set(CMAKE_C_COMPILER arm-linux-gnueabihf-gcc)
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)

set(cpu "-march=armv7-a+simd -mtune=cortex-a15 -mfloat-abi=hard")
# 64-bit masks that IREE shifts into 32-bit handles. The C++ files of a runtime build only hold constants too wide for int.
set(CMAKE_C_FLAGS_INIT "${cpu} -Wno-shift-count-overflow -Wno-pointer-to-int-cast -Wno-int-to-pointer-cast")
set(CMAKE_CXX_FLAGS_INIT "${cpu} -Wno-narrowing")

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
