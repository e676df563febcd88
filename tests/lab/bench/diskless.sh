# shellcheck shell=bash
# Rows diskless_KIND (seconds from power to the login prompt), diskless_KIND_network (what came to the node until then) and
# diskless_KIND_memory (what the running node has in use), one node at a time in QEMU. No peer: they are told, and stand in docs/diskless.md.

# diskless_boot KIND PROFILE LAST
diskless_boot() {
    local name="node-$1" began seconds
    diskless_node "$name" "$2" "$3"
    began="$EPOCHREALTIME"
    diskless_start "$name" "$3"
    lab_wait "$DISKLESS_LIMIT" "$(node_serial "$name")" "$name login:" >/dev/null
    seconds="$(awk -v began="$began" -v ended="$EPOCHREALTIME" 'BEGIN { printf "%.1f", ended - began }')"
    diskless_verified "$name" 1
    # Until everything that starts with it has started.
    on "$name" 'systemctl is-system-running --wait' >/dev/null || true
    limit_row "diskless_$1" s "$seconds" null
    limit_row "diskless_$1_network" MiB $(($(node_bytes "$name") >> 20)) null
    # shellcheck disable=SC2016 # for the node
    limit_row "diskless_$1_memory" MiB "$(on "$name" 'free -m' | awk '/^Mem:/ { print $2 - $7 }')" null
    node_stop "$name"
}

diskless_rows() {
    local kinds=(nfs-ro nfs-rw ram ram-usr) profiles=(debian-13-nfs debian-13-nfs-rw debian-13-ram debian-13-ram-usr) number
    wanted diskless_{nfs-ro,nfs-rw,ram,ram-usr}{,_network,_memory} diskless_image{,_compressed} || return 0
    # shellcheck disable=SC2034 # read by kick.sh
    LAB_WORK="$BENCH_WORK/diskless" KICK_DATA="$BENCH_WORK/diskless/data"
    mkdir -p "$LAB_WORK"
    lab_up bench 10.77.11.0/24
    diskless_head 10.77.11.0/24 >/dev/null
    limit_row diskless_image MiB "$(kick_head image show worker -o json | jq '.published.details.bytes / 1048576 | floor')" null
    limit_row diskless_image_compressed MiB "$(kick_head image show worker -o json | jq '.published.details.root_squashfs.bytes / 1048576 | floor')" null
    for number in "${!kinds[@]}"; do diskless_boot "${kinds[number]}" "${profiles[number]}" "3$number"; done
    lab_down
}
