#!/usr/bin/env bash
# A virtual cluster without a way out: one network namespace, one bridge, QEMU nodes on taps.
#
# Source it and call the functions below, or run it: `cluster.sh NAME up [SUBNET]`, `cluster.sh NAME down`,
# `cluster.sh NAME run CMD...`, `cluster.sh NAME node_start node07 --mac 52:54:00:00:00:07 --bios`.
# All state is in $LAB_DIR (below /tmp: paths of sockets are limited to 108 bytes); only recorded processes are ended.
set -euo pipefail

# ---- the segment ----------------------------------------------------------------------------------------------------

# lab_use NAME: name the lab that the other functions work on.
lab_use() {
    LAB_NS="kick-$1"
    LAB_DIR="${LAB_ROOT:-/tmp/kickctl-lab}/$1"
}

# lab_up NAME [SUBNET]: a namespace with bridge br0, which holds the subnet's first address. SUBNET is a /24 such as 10.77.0.0/24.
lab_up() {
    local subnet="${2:-10.77.0.0/24}"
    [ "$EUID" -eq 0 ] || { echo "lab_up: needs root (network namespaces); run it through sudo" >&2; return 1; }
    lab_use "$1"
    lab_down
    mkdir -p "$LAB_DIR/nodes" "$LAB_DIR/pids"
    LAB_HEAD="${subnet%.*}.1"
    echo "$LAB_HEAD" >"$LAB_DIR/head"
    ip netns add "$LAB_NS"
    lab_run ip link set lo up
    lab_run ip link add br0 type bridge forward_delay 0
    lab_run ip addr add "$LAB_HEAD/${subnet#*/}" dev br0
    lab_run ip link set br0 up
}

# lab_down: end what this lab started, by recorded process id, and remove namespace and folder. Harmless when there is no lab.
lab_down() {
    local record
    for record in "$LAB_DIR"/pids/* "$LAB_DIR"/nodes/*/pid; do
        [ -f "$record" ] && lab_end "$record"
    done
    ! ip netns list | grep -qw "$LAB_NS" || ip netns del "$LAB_NS"
    rm -rf "${LAB_DIR:?}"
}

# lab_run CMD...: run a command on the head, inside the namespace.
lab_run() { ip netns exec "$LAB_NS" "$@"; }

# lab_start NAME CMD...: run a server on the head in the background; its output goes to $LAB_DIR/NAME.log.
lab_start() {
    local name="$1"
    shift
    ip netns exec "$LAB_NS" "$@" >>"$LAB_DIR/$name.log" 2>&1 </dev/null & # not lab_run: $! must be the server itself
    lab_record $! "$LAB_DIR/pids/$name"
}

# lab_stop NAME: end a server begun with lab_start.
lab_stop() { lab_end "$LAB_DIR/pids/$1"; }

# lab_tap N: a tap device on the bridge for one network card; prints its name.
lab_tap() {
    if ! lab_run ip link show "tap$1" >/dev/null 2>&1; then
        lab_run ip tuntap add "tap$1" mode tap
        lab_run ip link set "tap$1" master br0 up
    fi
    echo "tap$1"
}

# A process id may be reused after its process has ended: the start time is recorded with it. A zombie has none: it has ended,
# even where the machine's first process (in a container) never collects it.
lab_record() { echo "$1 $(lab_start_time "$1")" >"$2"; }
lab_start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'; }

# lab_alive FILE: is the process recorded in FILE still that process?
lab_alive() {
    local pid started
    [ -f "$1" ] && read -r pid started <"$1" && [ -n "$started" ] && [ "$(lab_start_time "$pid")" = "$started" ]
}

lab_end() {
    local pid tries
    read -r pid _ <"$1" || return 0
    for tries in {1..50}; do
        lab_alive "$1" || break
        if [ "$tries" -lt 40 ]; then kill "$pid"; else kill -9 "$pid"; fi 2>/dev/null || true
        sleep 0.1
    done
    rm -f "$1"
}

# lab_until SECONDS WHAT COMMAND...: wait until the command succeeds, whose output is kept. Fails when the time is over.
lab_until() {
    local deadline=$((SECONDS + $1))
    until "${@:3}"; do
        [ "$SECONDS" -lt "$deadline" ] || { echo "$2: not within $1 s" >&2; return 1; }
        sleep 0.5
    done
}

# lab_wait SECONDS FILE REGEX: wait until a line of FILE matches; prints that line. Fails when the time is over.
lab_wait() { lab_until "$1" "\"$3\" in $2" grep -saEm1 -- "$3" "$2"; }

# lab_wire HTTP_PORT: record what the nodes ask for (DHCP, TFTP and HTTP requests, as text) in $LAB_DIR/wire.log: evidence that
# does not depend on the log of the server under test.
lab_wire() {
    lab_start wire tcpdump -i br0 -l -n -vv -A -s 700 "udp dst port 67 or udp dst port 69 or (tcp dst port $1 and tcp[13] & 8 != 0)"
    lab_wait 10 "$LAB_DIR/wire.log" 'listening on' >/dev/null
}

# ---- the nodes ------------------------------------------------------------------------------------------------------

# node_start NAME --mac MAC [--nic2 MAC] [--bios|--bios-disk|--bios-once|--ipxe|--uefi|--uefi-net|--pxe-loader] [--disk FILE] [--disk2 FILE] [--vars FILE] [--serial LOG] [--memory MIB]
#
# --nic2        another card, which comes first on the bus and leads nowhere: whoever takes the first card he sees gets stuck
# --disk2       another disk, raw, with the serial number NAME-2
# --bios        SeaBIOS; QEMU's network ROM, which is iPXE; network first, then the disk
# --bios-disk   the same with the disk first, then the network; --bios-once: over the network this once, from then on as with --bios-disk
# --ipxe        SeaBIOS; iPXE that asks for DHCP alone: QEMU's ROM waits 15 s more for an IPv6 router that is not there. Network at every start
# --pxe-loader  SeaBIOS; a client without iPXE's user class, as a plain network card's ROM is: it loads by TFTP what DHCP names
# --uefi        OVMF's own PXE stack; VARS is the node's NVRAM, made when it does not exist and kept between boots, as a board does
# --uefi-net    the same with the order network, disk in every boot, whatever the NVRAM says
# Emulation only (TCG): /dev/kvm of a test machine need not work.
node_start() {
    local name="$1" mac="" nic2="" firmware=bios disk="" disk2="" vars="" serial="" memory=1536
    shift
    while [ $# -gt 0 ]; do
        case "$1" in
        --mac) mac="$2" && shift ;;
        --nic2) nic2="$2" && shift ;;
        --disk) disk="$2" && shift ;;
        --disk2) disk2="$2" && shift ;;
        --vars) vars="$2" && shift ;;
        --serial) serial="$2" && shift ;;
        --memory) memory="$2" && shift ;;
        --bios | --bios-disk | --bios-once | --ipxe | --uefi | --uefi-net | --pxe-loader) firmware="${1#--}" ;;
        *) echo "node_start: unknown option $1" >&2 && return 2 ;;
        esac
        shift
    done
    [ -n "$mac" ] || { echo "node_start: --mac is missing" >&2; return 2; }
    local dir="$LAB_DIR/nodes/$name"
    mkdir -p "$dir"
    [ -n "$serial" ] || serial="$dir/serial.log"
    ln -sfn "$(realpath -m "$serial")" "$dir/serial"

    # One processor: with two, Linux 6.12 was seen to die of "Oops: int3" in sched_clock_cpu. It patches its own code while the other
    # processor runs it, which emulation does not get right every time. Without cmpxchg16b: with one processor, QEMU 7.2 gets its flags wrong, and
    # Linux 6.12.107 dies in __kmalloc_noprof.
    local args=(-name "$name" -accel "tcg,thread=multi,tb-size=512" -cpu "max,cx16=off,avx=off,avx2=off" -smp 1 -m "$memory")
    args+=(-display none -vga none -nodefaults -daemonize -pidfile "$dir/qemu.pid" -monitor "unix:$dir/monitor,server=on,wait=off")
    args+=(-chardev "file,id=serial,path=$serial,append=on" -serial chardev:serial)
    args+=(-object "rng-random,id=rng,filename=/dev/urandom" -device "virtio-rng-pci,rng=rng")
    args+=(-uuid "00000000-0000-4000-8000-${mac//:/}" -smbios "type=1,serial=$name")
    local rom="romfile=" boot=""
    case "$firmware" in
    bios)
        args+=(-machine "pc,graphics=off" -boot order=nc)
        rom="bootindex=1"
        ;;
    # Device numbers for the boot order would take precedence over `once`.
    bios-disk | bios-once)
        args+=(-machine "pc,graphics=off" -boot "order=cn$([ "$firmware" = bios-disk ] || echo ,once=n)")
        rom="rombar=1"
        ;;
    ipxe | pxe-loader)
        "node_${firmware/-/_}_script" "${nic2:+1}" >"$dir/pxe.ipxe"
        args+=(-machine "pc,graphics=off" -kernel /boot/ipxe.lkrn -initrd "$dir/pxe.ipxe")
        ;;
    uefi | uefi-net)
        [ "$firmware" = uefi ] || rom="romfile=,bootindex=1" boot=",bootindex=2"
        [ -n "$vars" ] || vars="$dir/vars.fd"
        [ -f "$vars" ] || cp /usr/share/OVMF/OVMF_VARS_4M.fd "$vars"
        args+=(-machine q35 -fw_cfg "name=opt/org.tianocore/IPv6PXESupport,string=n")
        args+=(-drive "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd" -drive "if=pflash,format=raw,file=$vars")
        ;;
    esac
    local nics
    read -ra nics <<<"${nic2:+$(node_nic n1 "$nic2" "romfile=" alone)} $(node_nic n0 "$mac" "$rom")"
    args+=("${nics[@]}")
    grep -oE 'id=n0,ifname=[^,]*' <<<"${nics[*]}" | sed 's/.*=//' >"$dir/tap"
    local format=raw
    [[ "$disk" != *.qcow2 ]] || format=qcow2
    [ -z "$disk" ] || args+=(-drive "if=none,id=disk,format=$format,file=$disk,cache=unsafe,discard=unmap,detect-zeroes=unmap"
        -device "virtio-blk-pci,drive=disk,serial=$name$boot")
    [ -z "$disk2" ] || args+=(-drive "if=none,id=disk2,format=raw,file=$disk2" -device "virtio-blk-pci,drive=disk2,serial=$name-2")
    lab_run qemu-system-x86_64 "${args[@]}"
    lab_record "$(cat "$dir/qemu.pid")" "$dir/pid"
}

# The device arguments of one network card on the next free tap. ROM: "romfile=" for none of QEMU's own, or other device properties.
# `alone`: a card with a link that leads nowhere.
node_nic() {
    local tap
    tap="$(lab_tap "$(lab_run ip -o link show type tun | wc -l)")"
    [ "${4:-}" != alone ] || lab_run ip link set "$tap" nomaster
    echo "-netdev tap,id=$1,ifname=$tap,script=no,downscript=no -device virtio-net-pci,netdev=$1,mac=$2,$3"
}

# What iPXE does by itself, less IPv6.
node_ipxe_script() {
    # shellcheck disable=SC2016 # iPXE's variables, not the shell's
    printf '%s\n' '#!ipxe' "dhcp net${1:-0} || exit" 'chain ${filename} || exit'
}

# What a network card's own PXE ROM does: DHCP with the vendor class PXEClient and no iPXE user class, then TFTP.
# The class is cleared again before the loader starts: iPXE hands its settings on, and the loader would repeat a foreign class.
node_pxe_loader_script() {
    local card="net${1:-0}"
    # shellcheck disable=SC2016 # iPXE's variables, not the shell's
    printf '%s\n' '#!ipxe' 'set user-class PXEClient' "dhcp $card || exit" 'clear user-class' 'chain tftp://${next-server}/${filename} || exit'
}

# node_monitor NAME COMMAND: say something to QEMU's monitor, such as "system_reset".
node_monitor() { echo "$2" | socat -t1 - "UNIX-CONNECT:$LAB_DIR/nodes/$1/monitor" >/dev/null; }

# node_reset NAME: the reset button. node_stop NAME: pull the plug.
node_reset() { node_monitor "$1" system_reset; }
node_stop() { lab_end "$LAB_DIR/nodes/$1/pid"; }

# node_bytes NAME: what has gone to the node over the network since it was started, in bytes.
node_bytes() { lab_run cat "/sys/class/net/$(cat "$LAB_DIR/nodes/$1/tap")/statistics/tx_bytes"; }

# node_is_off NAME. node_wait_off NAME SECONDS: wait until it has powered itself off.
node_is_off() { ! lab_alive "$LAB_DIR/nodes/$1/pid"; }
node_wait_off() { lab_until "$2" "$1 is off" node_is_off "$1"; }

# node_serial NAME: the path of the node's serial log.
node_serial() { readlink "$LAB_DIR/nodes/$1/serial"; }

# lab_screen SERIAL_LOG LINES: the end of a node's screen as plain lines.
lab_screen() {
    [ -f "$1" ] || return 0
    tail -c 8000 "$1" | tr '\r' '\n' | sed 's/\x1b\[[0-9;=?]*[A-Za-z]//g' | grep -av '^ *$' | tail -n "$2" | cut -c1-160 || true
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    [ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
    lab_use "$1"
    case "$2" in
    up) lab_up "$1" "${@:3}" ;;
    down) lab_down ;;
    run | start | stop | tap | wait) "lab_$2" "${@:3}" ;;
    node_*) "$2" "${@:3}" ;;
    *) echo "cluster.sh: unknown command $2" >&2; exit 2 ;;
    esac
fi
