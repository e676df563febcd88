# shellcheck shell=bash
# Rows deb_index, deb_index_changed: indices of a directory of .deb files, made in the directory, against apt-ftparchive. deb_index_real: the
# same of real packages of all sizes, which take longer to hash, and whose control archives hold more.
# Row deb_add_one: one package more in a published, signed repository of 2,000, against aptly and reprepro. deb_add_one_mirror: the same by
# `mirror sync`.

# Of apt-ftparchive's four digests only the one that kickctl makes too.
deb_digests=(-o APT::FTPArchive::MD5=false -o APT::FTPArchive::SHA1=false -o APT::FTPArchive::SHA512=false)

# deb_ftparchive NAME DIR [OPTION...]: Packages, Packages.gz and Release, as kickctl writes them.
deb_ftparchive() {
    # shellcheck disable=SC2016 # for the inner shell
    local script='cd "$1" && shift && apt-ftparchive "$@" packages . >Packages && gzip -kf Packages && apt-ftparchive release . >Release'
    measure "$1" bash -c "set -e; $script" bash "$2" "${deb_digests[@]}" "${@:3}"
}
deb_index() { measure "$1" "$KICKCTL" --data "$BENCH_WORK/none" mirror index "$2"; }

deb_cold_kickctl() { rm -rf "$BENCH_WORK/debs/dists" "$BENCH_WORK/debs"/.kickctl-* && deb_index kickctl_deb_index "$BENCH_WORK/debs"; }
deb_cold_ftparchive() { rm -f "$BENCH_WORK/debs"/{Packages*,Release} && deb_ftparchive ftparchive_deb_index "$BENCH_WORK/debs"; }

deb_changed_kickctl() {
    make_packages deb "$BENCH_WORK/debs-a" 20 20000 "$1" $(($1 + 1))
    deb_index kickctl_deb_index_changed "$BENCH_WORK/debs-a"
}
deb_changed_ftparchive() {
    make_packages deb "$BENCH_WORK/debs-b" 20 20000 "$1" $(($1 + 1))
    deb_ftparchive ftparchive_deb_index_changed "$BENCH_WORK/debs-b" --db "$BENCH_WORK/ftparchive.db"
}

deb_indices() {
    make_packages deb "$BENCH_WORK/debs" 2000 20000
    find "$BENCH_WORK/debs" -type f -exec cat {} + >/dev/null
    in_turns deb_cold_kickctl deb_cold_ftparchive
    row deb_index s "$(median kickctl_deb_index 1)" "$deb_peer" "$(median ftparchive_deb_index 1)" 5
    rm -rf "$BENCH_WORK/debs/dists" "$BENCH_WORK/debs"/.kickctl-* "$BENCH_WORK/debs"/{Packages*,Release}
    cp -a "$BENCH_WORK/debs" "$BENCH_WORK/debs-a"
    cp -a "$BENCH_WORK/debs" "$BENCH_WORK/debs-b"
    sleep 1.1
    "$KICKCTL" --data "$BENCH_WORK/none" mirror index "$BENCH_WORK/debs-a" >/dev/null 2>&1
    deb_ftparchive ftparchive_first "$BENCH_WORK/debs-b" --db "$BENCH_WORK/ftparchive.db"
    in_turns deb_changed_kickctl deb_changed_ftparchive
    row deb_index_changed s "$(median kickctl_deb_index_changed 1)" "$deb_peer --db" "$(median ftparchive_deb_index_changed 1)" 5
    rm -rf "$BENCH_WORK"/debs*
}

deb_real_kickctl() { rm -rf "$BENCH_WORK/real/dists" "$BENCH_WORK/real"/.kickctl-* && deb_index kickctl_deb_index_real "$BENCH_WORK/real"; }
deb_real_ftparchive() { rm -f "$BENCH_WORK/real"/{Packages*,Release} && deb_ftparchive ftparchive_deb_index_real "$BENCH_WORK/real"; }

deb_real() {
    debs_fetch "$BENCH_WORK/real" openssh-server python3 gcc git grub-pc keyboard-configuration locales
    rm -r "$BENCH_WORK/real/partial"
    find "$BENCH_WORK/real" -type f -exec cat {} + >/dev/null
    in_turns deb_real_kickctl deb_real_ftparchive
    row deb_index_real s "$(median kickctl_deb_index_real 1)" "$deb_peer" "$(median ftparchive_deb_index_real 1)" 1
    rm -r "$BENCH_WORK/real"
}

# deb_new ROUND: the package that this round adds.
deb_new() { find "$BENCH_WORK/new" -name "*-$(printf '%05d' $((5000 + $1)))_*.deb"; }

# As reprepro: the package is put into what is served, and the signed indices are renewed there.
deb_add_kickctl() { measure kickctl_deb_add_one "$KICKCTL" --data "$BENCH_WORK/data" mirror index "$BENCH_WORK/debs" --sign --add "$(deb_new "$1")"; }
# A mirror's way: a copy in the object store, a snapshot of its own that can be gone back to, everything on the disk before it is published.
deb_add_mirror() {
    cp "$(deb_new "$1")" "$BENCH_WORK/debs-m/"
    measure mirror_deb_add_one "$KICKCTL" --data "$BENCH_WORK/data" mirror sync local
}
deb_add_aptly() {
    # Without Contents, which the others do without.
    # shellcheck disable=SC2016 # for the inner shell
    measure aptly_deb_add_one sh -c 'aptly -config="$1" repo add bench "$2" && exec aptly -config="$1" publish update -batch -skip-contents stable' \
        sh "$BENCH_WORK/aptly.conf" "$(deb_new "$1")"
}
deb_add_reprepro() { measure reprepro_deb_add_one reprepro --silent -b "$BENCH_WORK/reprepro" includedeb stable "$(deb_new "$1")"; }

deb_add_one() {
    # All sign: apt takes nothing else.
    export GNUPGHOME="$BENCH_WORK/gnupg"
    mkdir -m 700 "$GNUPGHOME"
    gpg --batch --quiet --passphrase '' --quick-generate-key bench ed25519 sign never 2>/dev/null
    make_packages deb "$BENCH_WORK/debs" 2000 20000
    make_packages deb "$BENCH_WORK/new" "$BENCH_ROUNDS" 20000 5001
    cp -a "$BENCH_WORK/debs" "$BENCH_WORK/debs-m"
    sleep 1.1
    "$KICKCTL" --data "$BENCH_WORK/data" mirror index "$BENCH_WORK/debs" --sign >/dev/null 2>&1
    "$KICKCTL" --data "$BENCH_WORK/data" mirror add local --path "$BENCH_WORK/debs-m" >/dev/null 2>&1
    "$KICKCTL" --data "$BENCH_WORK/data" mirror sync local >/dev/null 2>&1
    echo "{\"rootDir\": \"$BENCH_WORK/aptly\", \"architectures\": [\"amd64\"], \"gpgProvider\": \"gpg\"}" >"$BENCH_WORK/aptly.conf"
    aptly -config="$BENCH_WORK/aptly.conf" repo create -distribution=stable bench >/dev/null
    aptly -config="$BENCH_WORK/aptly.conf" repo add bench "$BENCH_WORK/debs" >/dev/null
    aptly -config="$BENCH_WORK/aptly.conf" publish repo -batch -skip-contents bench >/dev/null 2>&1
    mkdir -p "$BENCH_WORK/reprepro/conf"
    printf '%s\n' 'Codename: stable' 'Components: main' 'Architectures: amd64' 'SignWith: yes' >"$BENCH_WORK/reprepro/conf/distributions"
    find "$BENCH_WORK/debs" -name '*.deb' -print0 | xargs -0 reprepro --silent -b "$BENCH_WORK/reprepro" includedeb stable
    in_turns deb_add_kickctl deb_add_mirror deb_add_aptly deb_add_reprepro
    gpgconf --kill all
    limit_row deb_add_one_mirror s "$(median mirror_deb_add_one 1)" null
    local aptly reprepro
    aptly="$(median aptly_deb_add_one 1)" reprepro="$(median reprepro_deb_add_one 1)"
    if awk -v a="$aptly" -v b="$reprepro" 'BEGIN { exit !(a < b) }'; then
        row deb_add_one s "$(median kickctl_deb_add_one 1)" "aptly $(aptly version | sed 's/.*: *//')" "$aptly" 5
    else
        row deb_add_one s "$(median kickctl_deb_add_one 1)" "$(reprepro --version 2>&1 | sed 's/.*version /reprepro /')" "$reprepro" 5
    fi
    rm -rf "$BENCH_WORK"/{debs,debs-m,new,data,aptly,reprepro,gnupg}
}

deb_rows() {
    deb_peer="$(apt-ftparchive --version | sed -n '1s/^apt \([^ ]*\).*/apt-ftparchive \1/p')"
    if wanted deb_index deb_index_changed; then deb_indices; fi
    if wanted deb_index_real; then deb_real; fi
    if wanted deb_add_one deb_add_one_mirror; then deb_add_one; fi
}
