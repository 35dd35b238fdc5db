#!/usr/bin/env bash
# release.sh [ARCH…]: builds everything that is published, below target/dist: the .deb and the tarball for amd64, arm64
# and armhf, the bill of materials, and SHA256SUMS.
#
# armhf is built for ARMv6, so that its package runs on the first Pi and the Zero. ARMHF_TARGET names another target.
set -euo pipefail
cd "$(dirname "$0")/.."
. packaging/contents.sh

architectures=("$@")
[ $# -gt 0 ] || architectures=(amd64 arm64 armhf)
out=target/dist
rm -rf "$out"
mkdir -p "$out"
for arch in "${architectures[@]}"; do
    case $arch in
    amd64) target=x86_64-unknown-linux-gnu ;;
    arm64) target=aarch64-unknown-linux-gnu ;;
    armhf) target=${ARMHF_TARGET:-arm-unknown-linux-gnueabihf} ;;
    *) echo "release.sh: $arch?" >&2; exit 1 ;;
    esac
    binary=$(packaging/build.sh "$target" | tail -1)
    packaging/build-deb.sh "$binary" "$arch" "$out"
    packaging/build-tarball.sh "$binary" "$arch" "$out"
done
packaging/sbom.py >"$out/deuced-$version.cdx.json"
(cd "$out" && sha256sum -- * >SHA256SUMS && cat SHA256SUMS)
