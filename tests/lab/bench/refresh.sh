# shellcheck shell=bash
# Rows refresh_*: a refresh where nothing changed, and one where a hundredth of the packages did; with the peak memory, for repositories of two
# sizes, so that growth shows. No peer does the same: aptly and createrepo_c have no narrower look than a sync, whose rows they are in.

# refresh_define BASE UPDATES: a mirror of two RPM repositories as one, the newest of each package.
refresh_define() {
    KICK_DATA="$BENCH_WORK/refresh"
    rm -rf "$KICK_DATA"
    {
        echo 'merge = true'
        for folder in "$@"; do
            printf '[[repository]]\nname = "%s"\nbaseurl = ["file://%s"]\nrepo_gpgcheck = false\n' "$(basename "$folder")" "$folder"
        done
        printf '[filter]\nnewest = 1\n'
    } >"$BENCH_WORK/refresh.toml"
    kick mirror add bench --file "$BENCH_WORK/refresh.toml" >/dev/null
    kick mirror sync bench >/dev/null 2>&1
}

# refresh_of COUNT NAME: figures NAME_noop and NAME_percent of a repository of COUNT packages.
refresh_of() {
    local count="$1" name="$2" base="$BENCH_WORK/rpm-$1/base" updates="$BENCH_WORK/rpm-$1/updates" round
    mkdir -p "$base" "$updates"
    make_packages rpm "$base" "$count" 200
    make_packages rpm "$updates" 1 200 "$((count + 1))"
    for folder in "$base" "$updates"; do "$KICKCTL" --data "$BENCH_WORK/index" mirror index "$folder" >/dev/null 2>&1; done
    refresh_define "$base" "$updates"
    for ((round = 1; round <= BENCH_ROUNDS; round++)); do
        measure "${name}_noop" "$KICKCTL" --data "$KICK_DATA" mirror refresh bench
        make_packages rpm "$updates" "$((count / 100))" 200 1 "$((round + 1))"
        "$KICKCTL" --data "$BENCH_WORK/index" mirror index "$updates" >/dev/null 2>&1
        measure "${name}_percent" "$KICKCTL" --data "$KICK_DATA" mirror refresh bench
    done
    rm -rf "$BENCH_WORK/rpm-$count" "$KICK_DATA"
}

# refresh_debian: a filtered mirror of Debian 13 with its security suite, whose indices have all of main.
refresh_debian() {
    upstream="$(sync_upstream)"
    KICK_DATA="$BENCH_WORK/refresh"
    rm -rf "$KICK_DATA"
    # shellcheck disable=SC2154 # sync.sh sets it
    cat >"$BENCH_WORK/refresh.toml" <<TOML
[[source]]
url = "$upstream"
suites = ["trixie", "trixie-updates"]
components = ["main"]
architectures = ["amd64"]
keyring = ["$sync_keyring"]

[filter]
priorities = ["required"]
TOML
    kick mirror add bench --file "$BENCH_WORK/refresh.toml" >/dev/null
    kick mirror sync bench >/dev/null 2>&1
    local round
    for ((round = 1; round <= BENCH_ROUNDS; round++)); do
        measure debian_noop "$KICKCTL" --data "$KICK_DATA" mirror refresh bench
    done
}

refresh_rows() {
    if wanted refresh_noop_debian; then
        refresh_debian
        limit_row refresh_noop_debian s "$(median debian_noop 1)" null
    fi
    wanted refresh_noop refresh_one_percent refresh_memory refresh_growth || return 0
    refresh_of 6000 small
    refresh_of 60000 large
    limit_row refresh_noop s "$(median large_noop 1)" null
    limit_row refresh_one_percent s "$(median large_percent 1)" null
    limit_row refresh_memory KiB "$(median large_percent 2)" null
    # Ten times the packages: how many times the memory.
    limit_row refresh_growth times "$(awk -v a="$(median small_percent 2)" -v b="$(median large_percent 2)" 'BEGIN { printf "%.2f", b / a }')" null
}
