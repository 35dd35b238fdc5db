#!/usr/bin/env bash
# root.sh: makes a small Debian root with systemd below target/boot, unless it is there already, and prints where it is.
#
# It is what a fresh machine has, and curl and Python for the tests. Nobody changes it: boot.sh runs it below a throw-away
# layer. BOOT_ROOT names another place, so that several checkouts can share one. Needs root, and brings mmdebstrap.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

suite=bookworm
packages=systemd,systemd-sysv,dbus,init-system-helpers,procps,iproute2,curl,python3
root=${BOOT_ROOT:-$PWD/target/boot/$suite}
stamp="$suite $packages"

say() { printf 'root.sh: %s\n' "$*" >&2; }
[ "$(id -u)" = 0 ] || { say "needs root"; exit 1; }
mkdir -p "$(dirname "$root")"
# Whoever comes second waits for the first.
exec 9>"$root.lock"
flock 9
if [ "$(cat "$root.stamp" 2>/dev/null)" = "$stamp" ] && [ -x "$root/usr/bin/systemctl" ]; then
    echo "$root"
    exit 0
fi

# Packages come from a mirror that may just be changing.
try() {
    for pause in 5 20 0; do
        "$@" && return
        say "failed: $1; $([ "$pause" = 0 ] && echo "giving up" || echo "again in $pause s")"
        sleep "$pause"
    done
    return 1
}
if ! command -v mmdebstrap >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update >&2 || say "the lists are old; going on"
    try apt-get install -y --no-install-recommends mmdebstrap >&2
fi

make() {
    rm -rf --one-file-system "$root"
    mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
        --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' --dpkgopt='force-unsafe-io' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='rm -f "$1/etc/machine-id" "$1/etc/hostname"; touch "$1/etc/machine-id"' \
        --customize-hook='rm -rf "$1"/var/cache/apt/archives/*.deb' \
        "$suite" "$root" "${BOOT_MIRROR:-http://deb.debian.org/debian}" >&2
}
rm -f "$root.stamp"
try make || { say "no root could be made"; exit 1; }
[ -x "$root/usr/bin/systemctl" ] || { say "the root has no systemd"; exit 1; }
echo "$stamp" >"$root.stamp"
echo "$root"
