#!/bin/sh
# install.sh                      installs or upgrades deuced from the folder that this script lies in
# install.sh --uninstall          removes the program and keeps settings and diary
# install.sh --uninstall --purge  removes the settings, too; the diary is never deleted
#
# For systems with systemd and without the Debian package, which does the same and is better where it can be had.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
say() { echo "install.sh: $*"; }
fail() { echo "install.sh: $*" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "has to be run by root: sudo $0"
[ -d /run/systemd/system ] || fail "needs systemd"
case "$*" in '' | --uninstall | '--uninstall --purge') ;; *) fail "knows --uninstall and --uninstall --purge only" ;; esac
list=/usr/local/share/deuced/installed
units=$(cat "$here/UNITS")

if [ "${1:-}" = --uninstall ]; then
	[ -e "$list" ] || fail "deuced was not installed by this script"
	systemctl --quiet disable --now $units deuced.socket 2>/dev/null || true
	# Its own files only, as it has written them down.
	while read -r file; do rm -f "/$file"; done <"$list"
	rm -f "$list"
	rmdir /usr/local/share/deuced /usr/local/share/doc/deuced/examples /usr/local/share/doc/deuced 2>/dev/null || true
	systemctl daemon-reload
	if [ "${2:-}" = --purge ]; then rm -rf /etc/deuced; else say "the settings are still in /etc/deuced"; fi
	say "removed; the diary is still in /var/lib/deuced, and belongs to the user deuced"
	exit 0
fi

# What programs here are made for. The kernel may be another: a Pi's 32-bit system may have one of 64 bits.
if command -v dpkg >/dev/null; then
	wanted=$(dpkg --print-architecture)
	[ "$(cat "$here/ARCH")" = "$wanted" ] || fail "this is for $(cat "$here/ARCH"), and this system is $wanted"
	case "$(dpkg-query -W -f='${Status}' deuced 2>/dev/null)" in
	*' installed') fail "the Debian package deuced is installed; 'apt remove deuced' first, which keeps the diary" ;;
	esac
fi
(cd "$here" && sha256sum --check --quiet --strict SHA256SUMS) || fail "the files are not what SHA256SUMS says"
"$here/files/usr/local/bin/deuced" --version >/dev/null || fail "this program does not run here"

fresh=yes
[ ! -e "$list" ] || fresh=
if [ -z "$fresh" ] && [ -e /var/lib/deuced/deuced.db ] && [ -z "${DEUCED_NO_BACKUP:-}" ]; then
	say "making a verified backup before the upgrade"
	STATE_DIRECTORY=/var/lib/deuced runuser -u deuced -- /usr/local/bin/deuced backup ||
		fail "no backup could be made, so nothing was changed; DEUCED_NO_BACKUP=1 goes on without one"
fi

cd "$here/files"
find . -type f | while read -r file; do
	mode=644
	[ ! -x "$file" ] || mode=755
	# Renamed into place: a running server keeps the file that it has.
	install -D -m "$mode" "$file" "/$file.deuced-new"
	mv "/$file.deuced-new" "/$file"
done
mkdir -p "$(dirname "$list")"
find . -type f | sed 's#^\./##' >"$list"
systemd-sysusers deuced.conf
if [ ! -e /etc/deuced/deuced.toml ]; then
	install -d -o root -g deuced -m 0750 /etc/deuced
	install -m 644 "$here/settings/deuced.toml" /etc/deuced/deuced.toml
fi
systemctl daemon-reload
if [ -z "$fresh" ]; then
	# What was stopped stays stopped, and what was disabled stays disabled.
	systemctl try-restart $units
	say "upgraded to $(/usr/local/bin/deuced --version)"
	exit 0
fi
systemctl --quiet enable --now $units
for _ in $(seq 80); do
	[ ! -s /var/lib/deuced/address ] || break
	sleep 0.1
done
say "$(/usr/local/bin/deuced --version) is $(systemctl is-active deuced.service)"
STATE_DIRECTORY=/var/lib/deuced runuser -u deuced -- /usr/local/bin/deuced claim
