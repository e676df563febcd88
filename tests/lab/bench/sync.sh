# shellcheck shell=bash
# Rows sync_first, sync_noop, sync_memory: a filtered mirror of Debian 13, against aptly on the same filter.

sync_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# sync_upstream: the Debian archive of the machine's own apt sources.
sync_upstream() {
    # shellcheck disable=SC2016 # apt's variable, not the shell's
    list() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1; }
    [ -n "$(list)" ] || apt-get update -qq >&2
    list | sed 's,/$,,' | grep . || { echo "bench: no Debian archive in the apt sources of this machine" >&2 && return 1; }
}

sync_aptly() {
    rm -rf "$BENCH_WORK/aptly"
    echo "{\"rootDir\": \"$BENCH_WORK/aptly\", \"architectures\": [\"amd64\"], \"gpgProvider\": \"gpg\"}" >"$BENCH_WORK/aptly.conf"
    aptly -config="$BENCH_WORK/aptly.conf" mirror create -keyring="$sync_keyring" -architectures=amd64 -filter-with-deps \
        -filter='Priority (required) | linux-image-amd64 | grub-pc | grub-efi-amd64' bench "$upstream" trixie main >/dev/null 2>&1
    measure aptly_first aptly -config="$BENCH_WORK/aptly.conf" mirror update -keyring="$sync_keyring" bench
    measure aptly_noop aptly -config="$BENCH_WORK/aptly.conf" mirror update -keyring="$sync_keyring" bench
}

sync_kickctl() {
    KICK_DATA="$BENCH_WORK/kickctl"
    rm -rf "$KICK_DATA"
    cat >"$BENCH_WORK/bench.toml" <<TOML
[[source]]
url = "$upstream"
suites = ["trixie"]
components = ["main"]
architectures = ["amd64"]
keyring = ["$sync_keyring"]

[filter]
priorities = ["required"]
names = ["linux-image-amd64", "grub-pc", "grub-efi-amd64"]
dependencies = true
TOML
    kick mirror add bench --file "$BENCH_WORK/bench.toml" >/dev/null
    measure kickctl_first "$KICKCTL" --data "$KICK_DATA" mirror sync bench
    measure kickctl_noop "$KICKCTL" --data "$KICK_DATA" mirror sync bench
}

sync_peer_alone() {
    upstream="$(sync_upstream)"
    in_turns sync_aptly
    echo "aptly: first $(median aptly_first 1) s, no-op $(median aptly_noop 1) s, memory $(median aptly_first 2) KiB"
}

sync_rows() {
    wanted sync_first sync_noop sync_memory || return 0
    upstream="$(sync_upstream)"
    in_turns sync_kickctl sync_aptly
    local peer
    peer="aptly $(aptly version | sed 's/.*: *//')"
    row sync_first s "$(median kickctl_first 1)" "$peer" "$(median aptly_first 1)" 2
    row sync_noop s "$(median kickctl_noop 1)" "$peer" "$(median aptly_noop 1)" 10
    row sync_memory KiB "$(median kickctl_first 2)" "$peer" "$(median aptly_first 2)" 4
    rm -rf "$BENCH_WORK/aptly" "$BENCH_WORK/kickctl"
}
