#!/usr/bin/env bash
# build-tarball.sh BINARY ARCH FOLDER: makes FOLDER/deuced-VERSION-ARCH.tar.xz, for systems without the .deb: the same
# files and install.sh. Reproducible, like build-deb.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. packaging/contents.sh

begin "$@"
name=deuced-$version-$arch
tree=$work/$name
mkdir "$tree"

# `files` is laid over /; the settings file is not, because it may be there and edited.
contents "$binary" "$arch" "$tree" files/usr/local /usr/local/bin/deuced files/etc/systemd/system files/etc/sysusers.d settings
mkdir -p "$tree/files/usr/local/share/zsh/site-functions"
mv "$tree/files/usr/local/share/zsh/vendor-completions/_deuced" "$tree/files/usr/local/share/zsh/site-functions/"
rmdir "$tree/files/usr/local/share/zsh/vendor-completions"
install -m644 LICENSE LICENSE-MIT LICENSE-APACHE "$tree/"
install -m755 packaging/install.sh "$tree/"
echo "$arch" >"$tree/ARCH"
echo "${enabled[*]}" >"$tree/UNITS"
(cd "$tree" && find . -type f ! -name SHA256SUMS -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum >SHA256SUMS)
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" |
    xz -6 -T1 >"$out/$name.tar.xz"
