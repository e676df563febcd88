# shellcheck shell=bash
# Rows nfs_sequential (600 MB to nfs-cat), nfs_small_files (2,000 files opened and read by one client), nfs_boot_storm (200 clients read a
# boot's worth of files at once; the time) and nfs_boot_storm_memory, against nfs-ganesha with its VFS back end. Both servers run side by
# side in one namespace, on one directory in the page cache; the clients are libnfs's.

# The ports of ours; nfs-ganesha has the usual ones, and the portmapper that it insists on.
nfs_port=3049

nfs_servers() {
    if [ -z "${NFS_EXPORT:-}" ]; then
        (cd "$(repository_root)" && "$(kick_cargo)" build --release --locked --example nfs_export)
        NFS_EXPORT="${CARGO_TARGET_DIR:-$(repository_root)/target}/release/examples/nfs_export"
    fi
    # shellcheck disable=SC2154 # bench.sh sets it: the folder of the scripts
    gcc -O2 -o "$BENCH_WORK/nfs-client" "$here/bench/nfs-client.c" -lnfs
    cat >"$BENCH_WORK/ganesha.conf" <<CONF
NFS_CORE_PARAM { Protocols = 3; NFS_Port = 2049; MNT_Port = 20048; Enable_NLM = false; Enable_RQUOTA = false; }
NFS_KRB5 { Active_krb5 = false; }
EXPORT { Export_Id = 1; Path = "$BENCH_WORK/nfs"; Pseudo = "/export"; Protocols = 3; Transports = TCP; Access_Type = RO; Squash = No_Root_Squash;
    SecType = sys; FSAL { Name = VFS; } }
CONF
    lab_up bench-nfs 10.77.10.0/24
    # The clients leave ports in TIME_WAIT, and there are not many reserved ones.
    lab_run sysctl -qw net.ipv4.tcp_max_tw_buckets=0
    lab_start rpcbind rpcbind -f -w
    sleep 0.5
    lab_start ganesha ganesha.nfsd -F -f "$BENCH_WORK/ganesha.conf" -L "$LAB_DIR/ganesha.out" -p "$BENCH_WORK/ganesha.pid" -N NIV_WARN
    lab_start nfs "$NFS_EXPORT" "$LAB_HEAD:$nfs_port" "/export=$BENCH_WORK/nfs"
    local tries
    for tries in {1..100}; do
        ! nfs_ready || return 0
        sleep 0.3
    done
    echo "bench: the NFS servers do not answer (try $tries)" >&2
    tail -n 20 "$LAB_DIR"/{nfs.log,ganesha.log,ganesha.out} >&2
    return 1
}
nfs_url() {
    case "$1" in
    kickctl) echo "nfs://$LAB_HEAD/export$2?nfsport=$nfs_port&mountport=$nfs_port" ;;
    ganesha) echo "nfs://$LAB_HEAD$BENCH_WORK/nfs$2?nfsport=2049&mountport=20048" ;;
    esac
}
nfs_ready() {
    lab_run timeout 5 nfs-cat "$(nfs_url kickctl /file-0001)" >/dev/null 2>&1 && lab_run timeout 5 nfs-cat "$(nfs_url ganesha /file-0001)" >/dev/null 2>&1
}

# nfs_files: what is served. A boot's worth: 300 files of 1 to 200 KiB, and three of 4 MiB.
nfs_files() {
    mkdir -p "$BENCH_WORK/nfs"
    chmod 755 "$BENCH_WORK" "$BENCH_WORK/nfs"
    head -c 600000000 /dev/urandom >"$BENCH_WORK/nfs/large"
    local number
    for ((number = 1; number <= 2000; number++)); do
        head -c $((number * 7919 % 16000 + 200)) /dev/urandom >"$BENCH_WORK/nfs/$(printf 'file-%04d' "$number")"
    done
    for ((number = 1; number <= 300; number++)); do
        head -c $((number * 104729 % 200000 + 1024)) /dev/urandom >"$BENCH_WORK/nfs/$(printf 'boot-%04d' "$number")"
    done
    for number in 1 2 3; do head -c 4194304 /dev/urandom >"$BENCH_WORK/nfs/boot-large-$number"; done
    (cd "$BENCH_WORK/nfs" && printf '/%s\n' file-* >"$BENCH_WORK/small.list" && printf '/%s\n' boot-* >"$BENCH_WORK/boot.list")
    cat "$BENCH_WORK"/nfs/* >/dev/null
}

# shellcheck disable=SC2016 # for the inner shell
nfs_cat() { measure "nfs_sequential_$1" ip netns exec "$LAB_NS" sh -c 'nfs-cat "$1" >/dev/null' sh "$(nfs_url "$1" /large)"; }
nfs_small() { measure "nfs_small_$1" ip netns exec "$LAB_NS" "$BENCH_WORK/nfs-client" 1 "$(nfs_url "$1" "")" "$BENCH_WORK/small.list"; }
nfs_storm() { measure "nfs_storm_$1" ip netns exec "$LAB_NS" "$BENCH_WORK/nfs-client" 200 "$(nfs_url "$1" "")" "$BENCH_WORK/boot.list" && sed 's/^/    /' "$BENCH_WORK/out"; }

nfs_sequential_kickctl() { nfs_cat kickctl; }
nfs_sequential_ganesha() { nfs_cat ganesha; }
nfs_small_kickctl() { nfs_small kickctl; }
nfs_small_ganesha() { nfs_small ganesha; }
nfs_storm_kickctl() { nfs_storm kickctl; }
nfs_storm_ganesha() { nfs_storm ganesha; }

# nfs_memory SERVER: the largest resident set of a server so far, in MiB.
nfs_memory() {
    local pid
    read -r pid _ <"$LAB_DIR/pids/$1"
    awk '/^VmHWM/ { printf "%.1f", $2 / 1024 }' "/proc/$pid/status"
}

nfs_rows() {
    wanted nfs_sequential nfs_small_files nfs_boot_storm nfs_boot_storm_memory || return 0
    local peer
    peer="nfs-ganesha $(dpkg-query -W -f '${Version}' nfs-ganesha)"
    nfs_files
    nfs_servers
    if wanted nfs_sequential; then
        in_turns nfs_sequential_kickctl nfs_sequential_ganesha
        row nfs_sequential s "$(median nfs_sequential_kickctl 1)" "$peer" "$(median nfs_sequential_ganesha 1)" 1
    fi
    if wanted nfs_small_files; then
        in_turns nfs_small_kickctl nfs_small_ganesha
        row nfs_small_files s "$(median nfs_small_kickctl 1)" "$peer" "$(median nfs_small_ganesha 1)" 1.5
    fi
    if wanted nfs_boot_storm nfs_boot_storm_memory; then
        in_turns nfs_storm_kickctl nfs_storm_ganesha
        row nfs_boot_storm s "$(median nfs_storm_kickctl 1)" "$peer" "$(median nfs_storm_ganesha 1)" 1
        row nfs_boot_storm_memory MiB "$(nfs_memory nfs)" "$peer" "$(nfs_memory ganesha)" 1
    fi
    lab_down
    rm -rf "$BENCH_WORK"/nfs*
}
