#!/usr/bin/env bash
# arm.sh arm64|armhf [STORY…]: the stories against a server for ARM, which qemu runs here. The stories themselves are this
# machine's own build; the server is what packaging/build.sh made, of the profile ARM_PROFILE for armhf, or ARM_BIN.
#
# Which stories cannot hold under emulation, and why, is in tests/emulation.txt; they are counted and named at the end.
# `--smoke` in place of stories runs a few that go through every floor once.
set -euo pipefail
cd "$(dirname "$0")/.."

architecture=${1:?usage: tests/arm.sh arm64|armhf [--smoke | STORY…]}
shift
smoke=(story:: health:: cli:: restart:: picture:: export:: native member:: login:: require_durability::r_d)
case $architecture in
arm64)
    target=aarch64-unknown-linux-gnu machine=AArch64 arch=aarch64 compiler=aarch64-linux-gnu-gcc
    runner="qemu-aarch64-static -L /usr/aarch64-linux-gnu"
    ;;
armhf)
    target=armv7-unknown-linux-gnueabihf machine=ARM arch=arm compiler=arm-linux-gnueabihf-gcc
    runner="qemu-arm-static -L /usr/arm-linux-gnueabihf"
    ;;
*) echo "tests/arm.sh: $architecture?"; exit 1 ;;
esac
profile=release
[ "$architecture" = arm64 ] || profile=${ARM_PROFILE:-release}
binary=${ARM_BIN:-$PWD/target/arm/$target/$profile/deuced}
[ -x "$binary" ] || { echo "tests/arm.sh: there is no $binary; packaging/build.sh $target makes it"; exit 1; }

# That it is what it is taken for.
readelf -h "$binary" | grep "Machine: *$machine\$" >/dev/null || { echo "$binary is not for $machine"; exit 1; }
said=$($runner "$binary" --version)
[ "${said##* }" = "($arch)" ] || { echo "$binary says it is $said"; exit 1; }
newest=$(readelf -W -V "$binary" | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -1)
[ "$(printf '%s\nGLIBC_2.36\n' "$newest" | sort -V | tail -1)" = GLIBC_2.36 ] || { echo "$binary needs $newest"; exit 1; }
size=$(stat -c %s "$binary")
# What is published is smaller than a quick build.
most=5800000
[ "$profile" = release ] || most=8000000
[ "$size" -le "$most" ] || { echo "$binary has grown past $most bytes: $size"; exit 1; }
echo "$said: $size bytes, needs $newest"

stories=("$@")
[ "${1:-}" != --smoke ] || stories=("${smoke[@]}")
cargo test --locked --test stories --no-run
all=$(cargo test --quiet --locked --test stories -- --list --format terse | sed -n 's/: test$//p')
skipped=() partial=0
while read -r kind name reason; do
    name=${name%:}
    grep -qxF "$name" <<<"$all" || { echo "tests/emulation.txt names $name, and there is no such story"; exit 1; }
    case $kind in
    skip) skipped+=("$name") ;;
    part) partial=$((partial + 1)) ;;
    *) echo "tests/emulation.txt: $kind?"; exit 1 ;;
    esac
    [ -n "$reason" ] || { echo "tests/emulation.txt: $name has no reason"; exit 1; }
done < <(grep -vE '^(#|$)' tests/emulation.txt)
# Names are compared in full only without a choice of stories: with one, the names to skip are only parts, too.
words=()
for name in "${skipped[@]}"; do words+=(--skip "$name"); done

# Each cycle of the stories that have cycles costs ten times as much here; the full numbers are for the native build
# (tests/proof.sh).
DEUCED_CYCLES=${DEUCED_CYCLES:-10} DEUCED_BIN=$binary DEUCED_RUNNER=$runner DEUCED_TARGET_CC=$compiler DEUCED_EXPECT_ARCH=$arch \
    cargo test --quiet --locked --test stories -- "${words[@]}" "${stories[@]}"

grep -E '^(skip|part)' tests/emulation.txt
echo "under emulation: $(wc -l <<<"$all") stories, ${#skipped[@]} not run, $partial without what they measure"
