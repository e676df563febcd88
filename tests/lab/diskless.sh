# shellcheck shell=bash
# Diskless nodes of the lab: an image, nodes of each kind, and ssh into them from the head. Sourced after cluster.sh, kick.sh.
# KICK_DATA is the head's data folder, LAB_WORK a folder for disks and keys. DISKLESS_SEED=DIR keeps mirror and image between runs.

DISKLESS_LIMIT="${DISKLESS_SECONDS:-900}"
# An emulated machine on a busy one takes longer for some units than systemd waits by itself.
DISKLESS_ARGS="quiet systemd.default_timeout_start_sec=15min systemd.default_device_timeout_sec=15min"

# diskless_head SUBNET: a head whose image `worker` is built, published and served.
diskless_head() {
    local seed="${DISKLESS_SEED:-}"
    ssh-keygen -q -t ed25519 -N '' -C lab -f "$LAB_WORK/key"
    if [ -d "$seed" ]; then
        cp -a "$seed" "$KICK_DATA"
        rm "$KICK_DATA/kickctl.toml"
        kick_init "$1" >/dev/null
    else
        kick_init "$1" >/dev/null
        "$(dirname "${BASH_SOURCE[0]}")/worker.sh" "$KICKCTL" "$KICK_DATA"
        [ -z "$seed" ] || cp -a "$KICK_DATA" "$seed"
    fi
    kick_serve
}

# diskless_node NAME PROFILE LAST [--set ...]: a node with the address SUBNET.LAST, and the lab's ssh key for root. One that may write to
# its root gets a copy of the image.
diskless_node() {
    kick_head node add "$1" --mac "52:54:00:00:02:$3" --address "${LAB_HEAD%.*}.$3" --set "root_ssh_keys=[\"$(cat "$LAB_WORK/key.pub")\"]" \
        --set heartbeat=10 --set "kernel_args=$DISKLESS_ARGS" "${@:4}" >/dev/null
    [ "$2" != debian-13-nfs-rw ] || kick_head image checkout worker "$1" >/dev/null
    kick_head profile assign "$1" "$2" >/dev/null
}

# diskless_start NAME LAST [OPTION...]: switch it on. The firmware is a BIOS with iPXE.
diskless_start() {
    date +%s >"$LAB_WORK/$1.began"
    node_start "$1" --mac "52:54:00:00:02:$2" --bios --memory "${DISKLESS_MEMORY:-1024}" "${@:3}"
}

# diskless_verified NAME NUMBER: wait until the attempt of that number has called home; tells what it took.
diskless_verified() {
    local limit=$((SECONDS + DISKLESS_LIMIT)) state
    while true; do
        # There is none before its first boot.
        state="$(kick_attempt "$1" '"\(.number) \(.over) \(.state)"' 2>/dev/null || true)"
        case "$state" in
        "$2 true verified") break ;;
        "$2 true"*) echo "$1: the boot is $state: $(kick_attempt "$1" .why)" >&2 && return 1 ;;
        esac
        [ "$SECONDS" -lt "$limit" ] || { echo "$1: attempt $2 is not verified after $DISKLESS_LIMIT s, but $state" >&2 && return 1; }
        lab_alive "$LAB_DIR/nodes/$1/pid" || { echo "$1: the virtual machine is off" >&2 && return 1; }
        sleep 1
    done
    # One prompt a boot; and sshd may start after the call home.
    until [ "$(grep -ac "$1 login:" "$(node_serial "$1")")" -ge "$2" ] && on "$1" true; do
        [ "$SECONDS" -lt "$limit" ] || { echo "$1: no login prompt, or no answer by ssh, within $DISKLESS_LIMIT s" >&2 && return 1; }
        sleep 1
    done
    printf '  %-7s %-8s at its login prompt, and has called home, %d s after it was switched on; %d MiB came over the network\n' "$1" \
        "$(kick_attempt "$1" .home.kind)" $(($(date +%s) - $(cat "$LAB_WORK/$1.began"))) $(($(node_bytes "$1") >> 20))
}

# on NAME COMMAND: run it as root on the node. A host key that is once known must stay.
on() {
    lab_run ssh -q -i "$LAB_WORK/key" -o UserKnownHostsFile="$LAB_WORK/known_hosts" -o StrictHostKeyChecking=accept-new -o ConnectTimeout=60 \
        -o ServerAliveInterval=15 -o ServerAliveCountMax=20 "root@$(kick_head node show "$1" -o json | jq -r .address)" "$2" </dev/null
}

# says NAME COMMAND TEXT: the command prints exactly this. refuses NAME COMMAND TEXT: it fails, and says this among other things.
says() {
    local got
    got="$(on "$1" "$2" 2>&1)" || true
    [ "$got" = "$3" ] || { echo "$1: \`$2\` printed '$got' and not '$3'" >&2 && return 1; }
}
refuses() {
    local got
    ! got="$(on "$1" "$2" 2>&1)" || { echo "$1: \`$2\` went through" >&2 && return 1; }
    grep -qF -- "$3" <<<"$got" || { echo "$1: \`$2\` printed '$got', and no '$3'" >&2 && return 1; }
}
held() { echo "    ok  $*"; }

# diskless_image: the folder of the version that is published.
diskless_image() { kick_head image show worker -o json | jq -r .published.path; }

diskless_show_ends() {
    local serial
    tail -n 25 "$LAB_DIR/kickctl.log"
    for serial in "$LAB_DIR"/nodes/*/serial.log; do echo "--- the end of $serial" && lab_screen "$serial" 30; done
}
