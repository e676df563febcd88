# shellcheck shell=bash
# Rows refresh_*: a refresh where nothing changed, and one where a hundredth of the packages did; with the peak memory, for archives of two
# sizes, so that growth shows. No peer does the same: aptly and createrepo_c have no narrower look than a sync, whose rows they are in.
#
# refresh_noop_debian asks the real Debian 13 (main of trixie and trixie-updates, over the network) and keeps the required packages. A hundredth of
# it changes on no day that one can wait for: the other rows use packages that are made here, in the number that Debian 13 has in main for amd64,
# or 60,000 RPMs; small ones, because what is measured is not the copying. All are in the mirror, and addresses are file://.

# As many packages as main of Debian 13 has for amd64, to the next thousand.
refresh_debian_packages=69000

# refresh_define rpm|deb BASE UPDATES: a mirror of two archives as one, the newest of each package.
refresh_define() {
    local kind="$1" folder
    shift
    KICK_DATA="$BENCH_WORK/refresh"
    rm -rf "$KICK_DATA"
    {
        [ "$kind" = deb ] || echo 'merge = true'
        for folder in "$@"; do
            case "$kind" in
            rpm) printf '[[repository]]\nname = "%s"\nbaseurl = ["file://%s"]\nrepo_gpgcheck = false\n' "$(basename "$folder")" "$folder" ;;
            deb)
                printf '[[source]]\nurl = "file://%s"\nsuites = ["%s"]\ncomponents = ["main"]\narchitectures = ["amd64"]\nkeyring = ["%s"]\n' \
                    "$folder" "$(refresh_suite "$folder")" "$BENCH_WORK/index/keys/signing.gpg"
                ;;
            esac
        done
        case "$kind" in
        rpm) printf '[filter]\nnewest = 1\n' ;;
        deb) printf '[filter]\nnames = ["*"]\ndependencies = false\n' ;;
        esac
    } >"$BENCH_WORK/refresh.toml"
    kick mirror add bench --file "$BENCH_WORK/refresh.toml" >/dev/null
    kick mirror sync bench >/dev/null 2>&1
}

# refresh_suite FOLDER: updates are told by their suite's name.
refresh_suite() { case "$1" in */updates) echo trixie-security ;; *) echo trixie ;; esac; }

# refresh_index rpm|deb FOLDER
refresh_index() {
    local more=()
    [ "$1" = rpm ] || more=(--suite "$(refresh_suite "$2")" --sign)
    "$KICKCTL" --data "$BENCH_WORK/index" mirror index "$2" "${more[@]}" >/dev/null 2>&1
}

# refresh_of rpm|deb COUNT NAME: figures NAME_noop and NAME_percent of an archive of COUNT packages.
refresh_of() {
    local kind="$1" count="$2" name="$3" base="$BENCH_WORK/$1-$2/base" updates="$BENCH_WORK/$1-$2/updates" round folder
    mkdir -p "$base" "$updates"
    make_packages "$kind" "$base" "$count" 200
    make_packages "$kind" "$updates" 1 200 "$((count + 1))"
    for folder in "$base" "$updates"; do refresh_index "$kind" "$folder"; done
    refresh_define "$kind" "$base" "$updates"
    for ((round = 1; round <= BENCH_ROUNDS; round++)); do
        measure "${name}_noop" "$KICKCTL" --data "$KICK_DATA" mirror refresh bench
        make_packages "$kind" "$updates" "$((count / 100))" 200 1 "$((round + 1))"
        refresh_index "$kind" "$updates"
        measure "${name}_percent" "$KICKCTL" --data "$KICK_DATA" mirror refresh bench
        # It must have brought them, or the figure is of nothing.
        kick mirror show bench -o json | jq -e --argjson count "$((count / 100))" '.refresh | .result == "published" and .added == $count' >/dev/null
    done
    rm -rf "$BENCH_WORK/$kind-$count" "$KICK_DATA"
}

# refresh_debian: a filtered mirror of the real Debian 13, whose indices have all of main.
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
    rm -rf "$KICK_DATA"
}

# refresh_limits SMALL LARGE SUFFIX: the rows of two sizes, one ten times the other.
refresh_limits() {
    limit_row "refresh_one_percent$3" s "$(median "$2_percent" 1)" null
    limit_row "refresh_memory$3" KiB "$(median "$2_percent" 2)" null
    # Ten times the packages: how many times the memory.
    limit_row "refresh_growth$3" times "$(awk -v a="$(median "$1_percent" 2)" -v b="$(median "$2_percent" 2)" 'BEGIN { printf "%.2f", b / a }')" null
}

# refresh_pair rpm|deb COUNT SUFFIX
refresh_pair() {
    refresh_of "$1" "$(($2 / 10))" "$1_small"
    refresh_of "$1" "$2" "$1_large"
    refresh_limits "$1_small" "$1_large" "$3"
}

refresh_rows() {
    if wanted refresh_noop_debian; then
        refresh_debian
        limit_row refresh_noop_debian s "$(median debian_noop 1)" null
    fi
    if wanted refresh_one_percent_debian refresh_memory_debian refresh_growth_debian; then
        refresh_pair deb "${REFRESH_DEBS:-$refresh_debian_packages}" _debian
    fi
    wanted refresh_noop refresh_one_percent refresh_memory refresh_growth || return 0
    refresh_pair rpm "${REFRESH_RPMS:-60000}" ""
    limit_row refresh_noop s "$(median rpm_large_noop 1)" null
}
