#!/usr/bin/env bash
# Builds the release binary for one target, without Docker, and says where it lies.
#
#   packaging/build.sh aarch64-unknown-linux-gnu       Pi 3, 4, 5 and Zero 2 with a 64-bit system
#   packaging/build.sh armv7-unknown-linux-gnueabihf   Pi 2 and newer with a 32-bit system
#   packaging/build.sh arm-unknown-linux-gnueabihf     every Pi with a 32-bit system; what the armhf package is made of
#   packaging/build.sh aarch64-unknown-linux-musl      static, for any Linux of 64 bits
#   packaging/build.sh x86_64-unknown-linux-gnu        this machine
#
# The first two take Debian's cross compilers. ARMv6 and musl have no standard library in Debian: for them it is compiled
# from source, and zig (from PyPI) is the C compiler and brings the C library. That takes twice as long.
# PROFILE names another profile of cargo. Everything stays below target/arm.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:?usage: packaging/build.sh TARGET}
profile=${PROFILE:-release}
home=$PWD/target/arm
words=(--profile "$profile" --locked --bin deuced)

case $target in
x86_64-unknown-linux-gnu)
    cargo build "${words[@]}"
    echo "target/$profile/deuced"
    exit 0
    ;;
aarch64-unknown-linux-gnu | armv7-unknown-linux-gnueabihf)
    packaging/arm-toolchain.sh >&2
    . "$home/rustc/env"
    cargo build "${words[@]}" --target "$target" --target-dir "$home"
    ;;
arm-unknown-linux-gnueabihf | *-unknown-linux-musl)
    WITH_SOURCE=1 packaging/arm-toolchain.sh >&2
    . "$home/rustc/env"
    if [ ! -x "$home/zig/bin/cargo-zigbuild" ]; then
        python3 -m venv "$home/zig"
        "$home/zig/bin/pip" install --quiet ziglang==0.17.0 cargo-zigbuild==0.24.0
    fi
    export PATH="$home/zig/bin:$PATH" RUSTC_BOOTSTRAP=1
    standard=(-Zbuild-std=std,panic_unwind)
    case $target in
    # The number is the oldest C library that will do.
    *-gnueabihf) cargo-zigbuild zigbuild "${words[@]}" --target "$target.2.28" --target-dir "$home" "${standard[@]}" ;;
    # Without its own start files, because zig brings them.
    *) cargo-zigbuild rustc "${words[@]}" --target "$target" --target-dir "$home" "${standard[@]}" -- -C link-self-contained=no ;;
    esac
    ;;
*)
    echo "packaging/build.sh: $target is not one of ours" >&2
    exit 1
    ;;
esac
case $profile in dev) profile=debug ;; esac
echo "target/arm/$target/$profile/deuced"
