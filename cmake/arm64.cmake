# SPDX-License-Identifier: Apache-2.0
# Builds for arm64 with Debian's cross compiler (gcc-aarch64-linux-gnu) and the libraries of `dpkg --add-architecture arm64`:
# cmake --toolchain cmake/arm64.cmake. Programs that run while kiln is built, such as the compiler of seccomp filters,
# are built for arm64 too, and run by qemu: so the filters are arm64's by themselves.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_ASM_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
