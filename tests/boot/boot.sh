#!/usr/bin/env bash
# boot.sh [--share FOLDER=PATH]... SCRIPT [WORD...]: boots a real systemd as process 1, runs SCRIPT in there as root, and
# ends with its status.
#
# The machine is systemd-nspawn on the root that root.sh makes, below a throw-away layer, with a network of its own that
# has only `lo`. The checkout is /src in there, read-only, and SCRIPT, a file of the checkout, runs in it; every FOLDER
# is at its PATH, read-only, too. Limits in seconds: BOOT_WAIT (60) until it is up, BOOT_LIMIT (300) for SCRIPT.
# Needs root; brings systemd-container. Several may run at a time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { printf 'boot.sh: %s\n' "$*" >&2; }
[ "$(id -u)" = 0 ] || { say "needs root"; exit 1; }
binds=("--bind-ro=$PWD:/src")
while [ "${1:-}" = --share ]; do
    binds+=("--bind-ro=$(readlink -f "${2%%=*}"):${2#*=}")
    shift 2
done
script=$(realpath --relative-to="$PWD" "${1:?which script?}")
shift
[ -f "$script" ] || { say "$script: no such script"; exit 1; }

if ! command -v systemd-nspawn >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update >&2 || say "the lists are old; going on"
    for pause in 5 20 0; do
        apt-get install -y --no-install-recommends systemd-container >&2 && break
        [ "$pause" != 0 ] || { say "systemd-container cannot be installed"; exit 1; }
        sleep "$pause"
    done
fi
root=$(bash tests/boot/root.sh)

name=deuced-boot-$$
log=$(mktemp)
host= guest= groups=()
finish() {
    # SIGTERM halts the machine. nspawn itself is never killed while the machine lives: it would live on without it.
    [ -z "$host" ] || kill -TERM "$host" 2>/dev/null || true
    for _ in $(seq 150); do
        [ -n "$host" ] && kill -0 "$host" 2>/dev/null || break
        sleep 0.1
    done
    [ -z "$guest" ] || kill -KILL "$guest" 2>/dev/null || true
    wait 2>/dev/null || true
    for group in "${groups[@]}"; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true; done
    rm -f "$log"
}
trap finish EXIT

# Groups of its own: two machines in one would end each other's processes.
for tree in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    [ -e "$tree/cgroup.procs" ] && mkdir "$tree/$name" 2>/dev/null && groups+=("$tree/$name")
done
[ "${#groups[@]}" -gt 0 ] || { say "no control group can be made here"; exit 1; }
(
    for group in "${groups[@]}"; do echo 0 >"$group/cgroup.procs"; done
    # With these capabilities IPAddressDeny= counts in there.
    exec systemd-nspawn --quiet --directory="$root" --machine="$name" --register=no --keep-unit --private-network \
        --capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON --system-call-filter=bpf \
        --volatile=overlay "${binds[@]}" --boot --console=read-only \
        systemd.mask=console-getty.service systemd.show_status=0
) </dev/null >"$log" 2>&1 &
host=$!

inside() {
    nsenter --target "$guest" --mount --uts --ipc --net --pid --cgroup --root --wd \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb "$@"
}
begin=$(date +%s%N)
state=
for _ in $(seq $((${BOOT_WAIT:-60} * 10))); do
    kill -0 "$host" 2>/dev/null || { say "the machine ended at once"; cat "$log" >&2; exit 1; }
    guest=$(pgrep -P "$host" | head -1) || true
    [ -z "$guest" ] || state=$(inside systemctl is-system-running 2>/dev/null) || true
    case "$state" in running | degraded) break ;; esac
    sleep 0.1
done
case "$state" in
running) ;;
degraded) inside systemctl --failed --no-legend --plain >&2 || true ;;
*) say "not up after ${BOOT_WAIT:-60} s: ${state:-nothing}"; cat "$log" >&2; exit 1 ;;
esac
say "$state after $((($(date +%s%N) - begin) / 1000000)) ms: $(inside systemctl --version | head -1)"
inside timeout "${BOOT_LIMIT:-300}" bash -c 'cd /src && exec bash "$@"' - "$script" "$@"
