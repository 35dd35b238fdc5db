#!/usr/bin/env bash
# Brings what cross-compiling for ARM takes, without Docker: Debian's C cross compilers, and Debian's rustc 1.85.0 with the
# standard libraries of aarch64-unknown-linux-gnu and armv7-unknown-linux-gnueabihf. That compiler is unpacked below DIR
# (target/arm/rustc unless said otherwise) and not installed: for apt the ARM halves would conflict with the system's own
# libraries, and nothing of what they conflict over is needed.
#
#   packaging/arm-toolchain.sh [DIR] && . target/arm/rustc/env
#   cargo build --release --locked --target aarch64-unknown-linux-gnu --target-dir target/arm
#
# WITH_SOURCE=1 brings the source of the standard library, too, for packaging/build.sh with ARMv6 and musl.
# Needs a Debian of amd64 and root. A compiler of another version has no such ARM halves in Debian: the version is fixed.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.85.0+dfsg3-1~deb12u3
home=${1:-target/arm/rustc}
mkdir -p "$home"
home=$(readlink -f "$home")

packages=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user-static)
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    # A mirror that is being copied fails to update, and has the packages nevertheless.
    apt-get update || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}"
fi

wanted="$version${WITH_SOURCE:+ with source}"
if [ "$(cat "$home/version" 2>/dev/null)" = "$wanted" ] || [ "$(cat "$home/version" 2>/dev/null)" = "$version with source" ]; then
    exit 0
fi

find "$home" -mindepth 1 -delete
state=$home/apt
mkdir -p "$state"/{lists,cache,packages}/partial
mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
[ -n "$mirror" ] || mirror=$(awk '$1 == "deb" && $2 ~ /^http/ { print $2; exit }' /etc/apt/sources.list 2>/dev/null || true)
printf 'deb [arch=amd64,arm64,armhf signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s bookworm main\n' \
    "${mirror:-http://deb.debian.org/debian}" >"$state/sources.list"
# Lists and architectures of its own: the system's stay as they are.
apt=(apt-get -q -o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$state/lists"
    -o "Dir::Cache=$state/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=5
    -o APT::Architectures::=amd64 -o APT::Architectures::=arm64 -o APT::Architectures::=armhf)
"${apt[@]}" update
(cd "$state/packages" && "${apt[@]}" download "rustc-web:amd64=$version" "libstd-rust-web-1.85:amd64=$version" \
    "libstd-rust-web-dev:amd64=$version" "libstd-rust-web-dev:arm64=$version" "libstd-rust-web-dev:armhf=$version" \
    libllvm19:amd64 ${WITH_SOURCE:+"rust-web-src=$version"})
for package in "$state"/packages/*.deb; do dpkg-deb -x "$package" "$home"; done
rm -rf "$state"

mkdir -p "$home/bin" "$home/lib"
mv "$home"/usr/lib/x86_64-linux-gnu/lib{LLVM*,rustc_driver*} "$home/lib/"
mv "$home/usr/lib/rustlib" "$home/lib/"
[ -z "${WITH_SOURCE:-}" ] || ln -sfn ../../../usr/src/rustc-1.85.0 "$home/lib/rustlib/src/rust"
for name in rustc rustdoc; do
    mv "$home/usr/bin/$name" "$home/bin/$name.real"
    # bash, because dash drops what cargo hands over in names with a hyphen (CARGO_BIN_EXE_a-b).
    cat >"$home/bin/$name" <<WRAPPER
#!/bin/bash
home=\$(dirname "\$(readlink -f "\$0")")
LD_LIBRARY_PATH="\$home/../lib" exec -a "\$0" "\$home/$name.real" "\$@"
WRAPPER
    chmod 755 "$home/bin/$name"
done
cat >"$home/env" <<ENV
export RUSTC="$home/bin/rustc" RUSTDOC="$home/bin/rustdoc"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER=arm-linux-gnueabihf-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -L /usr/aarch64-linux-gnu"
export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_RUNNER="qemu-arm-static -L /usr/arm-linux-gnueabihf"
ENV
"$home/bin/rustc" -V
echo "$wanted" >"$home/version"
