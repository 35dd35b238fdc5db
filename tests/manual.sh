#!/usr/bin/env bash
# The manual pages and completions, judged by the programs that read them: mandoc and man find nothing to complain of, and
# bash, zsh and fish complete what there is. DEUCED_BIN is the binary, or else the one that cargo built.
set -euo pipefail
cd "$(dirname "$0")/.."
deuced=${DEUCED_BIN:-$PWD/target/debug/deuced}
bring() { apt-get update || true; DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"; }
for program in mandoc groff man zsh fish; do command -v "$program" >/dev/null || bring mandoc groff man-db zsh fish; done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "manual: $*"; exit 1; }

for page in deuced.8 deuced.toml.5; do
    "$deuced" man "$page" >"$work/$page"
    complaints=$(mandoc -Tlint "$work/$page" || true)
    [ -z "$complaints" ] || fail "mandoc: $complaints"
    complaints=$(man --warnings -E UTF-8 -l -Tutf8 -Z "$work/$page" 2>&1 >/dev/null)
    [ -z "$complaints" ] || fail "man: $complaints"
    echo "manual: $page: $(mandoc -Tutf8 "$work/$page" | wc -l) lines, nothing to complain of"
done
mandoc -Tascii "$work/deuced.8" | col -b >"$work/text"
for words in 'user remove' 'check-config' '--backup-warn-hours' 'DEUCED_METRICS_TOKEN_FILE'; do
    grep -qF -- "$words" "$work/text" || fail "deuced(8) does not say: $words"
done

for shell in bash zsh fish; do
    "$deuced" completions "$shell" >"$work/$shell"
    "$shell" -n "$work/$shell" || fail "$shell cannot read its completions"
done
# What fish offers for a line.
fish_offers() { fish --no-config -c "source $work/fish; complete -C '$1'" | cut -f1 | tr '\n' ' '; }
# What zsh offers for a line: everything that would be listed after the tabulator, at a terminal of its own.
mkdir "$work/functions"
cp "$work/zsh" "$work/functions/_deuced"
cat >"$work/offers.zsh" <<'ZSH'
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; PS2=; unsetopt zle_bracketed_paste 2>/dev/null; fpath=($1 \$fpath); autoload -U compinit; compinit -u -D; zstyle ':completion:*' list-grouped false; LISTMAX=9999; bindkey '^I' list-choices; stty -echo; echo rea''dy"
typeset said=
until [[ $said == *ready* ]]; do zpty -r shell line || exit 1; said+=$line; done
zpty -w -n shell "$2"$'\t'
said=
repeat 100; do
    while zpty -r -t shell line; do said+=$line; done
    [[ $said == *"$3"* ]] && { print -r -- "$said"; exit 0 }
    sleep 0.1
done
print -r -- "$said"
exit 1
ZSH
zsh_offers() { zsh -f "$work/offers.zsh" "$work/functions" "$1" "$2" >"$work/said" || fail "zsh does not offer $2 for '$1': $(cat -v "$work/said")"; }

count=0
while IFS='|' read -r line word; do
    case " $(fish_offers "$line")" in *" $word "*) ;; *) fail "fish does not offer $word for '$line': $(fish_offers "$line")" ;; esac
    zsh_offers "$line" "$word"
    count=$((count + 1))
done <<'LINES'
deuced ser|serve
deuced user re|reset
deuced user re|remove
deuced serve --backup-|--backup-warn-hours
deuced user add --pass|--password-stdin
deuced serve --guests |yes
deuced completions |fish
deuced man |deuced.toml.5
LINES
echo "manual: $count lines completed by fish and zsh"
