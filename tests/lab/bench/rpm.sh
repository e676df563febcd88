# shellcheck shell=bash
# Rows rpm_meta_*: metadata of a directory of RPMs, made in the directory, against createrepo_c with the same cores.
# createrepo_c without its SQLite databases, which newer versions leave out by themselves: both then write the same files.

rpm_createrepo=(createrepo_c --quiet --no-database)

# rpm_forget DIR: all that either tool remembers.
rpm_forget() { rm -rf "$1/repodata" "$1"/.kickctl-*; }

# rpm_index NAME DIR
rpm_index() { measure "$1" "$KICKCTL" --data "$BENCH_WORK/none" mirror index "$2"; }

rpm_cold_kickctl() { rpm_forget "$rpm_dir" && rpm_index "kickctl_$rpm_row" "$rpm_dir"; }
rpm_cold_createrepo() { rpm_forget "$rpm_dir" && measure "createrepo_$rpm_row" "${rpm_createrepo[@]}" "$rpm_dir"; }

# rpm_cold ROW DIR GOAL: from nothing.
rpm_cold() {
    rpm_row="$1" rpm_dir="$2"
    # Both find the packages in the page cache.
    find "$rpm_dir" -type f -exec cat {} + >/dev/null
    in_turns rpm_cold_kickctl rpm_cold_createrepo
    row "$1" s "$(median "kickctl_$1" 1)" "$rpm_peer" "$(median "createrepo_$1" 1)" "$3"
}

# One in a hundred packages gets a new release; each tool has a directory of its own with what it remembers.
rpm_changed_kickctl() {
    make_packages rpm "$BENCH_WORK/changed-a" 50 2000 "$1" $(($1 + 1))
    rpm_index kickctl_rpm_meta_changed "$BENCH_WORK/changed-a"
}
rpm_changed_createrepo() {
    make_packages rpm "$BENCH_WORK/changed-b" 50 2000 "$1" $(($1 + 1))
    measure createrepo_rpm_meta_changed "${rpm_createrepo[@]}" --update "$BENCH_WORK/changed-b"
}
rpm_changed() {
    make_packages rpm "$BENCH_WORK/changed-a" 5000 2000
    cp -a "$BENCH_WORK/changed-a" "$BENCH_WORK/changed-b"
    sleep 1.1
    "$KICKCTL" --data "$BENCH_WORK/none" mirror index "$BENCH_WORK/changed-a" >/dev/null 2>&1
    "${rpm_createrepo[@]}" "$BENCH_WORK/changed-b" >/dev/null
    in_turns rpm_changed_kickctl rpm_changed_createrepo
    row rpm_meta_changed s "$(median kickctl_rpm_meta_changed 1)" "$rpm_peer --update" "$(median createrepo_rpm_meta_changed 1)" 10
    rm -rf "$BENCH_WORK/changed-a" "$BENCH_WORK/changed-b"
}

# Time and memory of 60,000 packages, and how both grow from 6,000.
rpm_60k() {
    make_packages rpm "$BENCH_WORK/many" 6000 0
    for _ in $(seq "$BENCH_ROUNDS"); do rpm_forget "$BENCH_WORK/many" && rpm_index kickctl_rpm_6k "$BENCH_WORK/many"; done
    make_packages rpm "$BENCH_WORK/many" 54000 0 6000
    for _ in $(seq "$BENCH_ROUNDS"); do rpm_forget "$BENCH_WORK/many" && rpm_index kickctl_rpm_60k "$BENCH_WORK/many"; done
    growth() { awk -v a="$(median kickctl_rpm_60k "$1")" -v b="$(median kickctl_rpm_6k "$1")" 'BEGIN { printf "%.2f", a / b }'; }
    limit_row rpm_meta_60k MiB "$(awk -v kib="$(median kickctl_rpm_60k 2)" 'BEGIN { printf "%.1f", kib / 1024 }')" 300
    limit_row rpm_meta_60k_time s "$(median kickctl_rpm_60k 1)" null
    # Ten times the packages: linear is ten times the time; flat leaves room for the list of names.
    limit_row rpm_meta_60k_time_growth times "$(growth 1)" 11
    limit_row rpm_meta_60k_memory_growth times "$(growth 2)" 2
    rm -rf "$BENCH_WORK/many"
}

rpm_rows() {
    wanted rpm_meta_small rpm_meta_memory rpm_meta_large rpm_meta_changed rpm_sync_small rpm_meta_60k{,_time,_time_growth,_memory_growth} || return 0
    rpm_peer="createrepo_c $(createrepo_c --version | sed -n 's/^Version: \([^ ]*\).*/\1/p')"
    if wanted rpm_meta_small rpm_meta_memory rpm_sync_small; then
        make_packages rpm "$BENCH_WORK/small" 5000 2000
        rpm_cold rpm_meta_small "$BENCH_WORK/small" 1.5
        # What a mirror of it takes from nothing: the same, and a copy of every package, a snapshot, signatures.
        kickctl_mirror() { rm -rf "$BENCH_WORK/mirror" && "$KICKCTL" --data "$BENCH_WORK/mirror" mirror add small --path "$BENCH_WORK/small" >/dev/null 2>&1; }
        kickctl_mirror && measure kickctl_rpm_sync_small "$KICKCTL" --data "$BENCH_WORK/mirror" mirror sync small
        limit_row rpm_sync_small s "$(median kickctl_rpm_sync_small 1)" null
        rm -rf "$BENCH_WORK/small" "$BENCH_WORK/mirror"
    fi
    if wanted rpm_meta_large; then
        make_packages rpm "$BENCH_WORK/large" 600 3000000
        rpm_cold rpm_meta_large "$BENCH_WORK/large" 1.5
        rm -rf "$BENCH_WORK/large"
    fi
    if wanted rpm_meta_changed rpm_meta_memory; then rpm_changed; fi
    if wanted rpm_meta_memory; then
        # The most that either tool takes: from nothing, and with what it remembers.
        rpm_most() { printf '%s\n' "$(median "$1_rpm_meta_small" 2)" "$(median "$1_rpm_meta_changed" 2)" | sort -g | tail -n 1; }
        row rpm_meta_memory KiB "$(rpm_most kickctl)" "$rpm_peer" "$(rpm_most createrepo)" 2
    fi
    if wanted rpm_meta_60k{,_time,_time_growth,_memory_growth}; then rpm_60k; fi
}
