#!/usr/bin/env bash
# The Linux kernel of Debian 13 as a client of our NFS server: a guest in QEMU mounts two exports and checks, from inside, reading, permissions,
# devices, setuid, writing, and a restart of the server under it. What it says on its console is the result.
#
# NFS_EXPORT is the server (default: the example of that name is built); NFS_KERNEL is the kernel's .deb (default: fetched);
# NFS_SECONDS=600 is the limit.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
# shellcheck source=tests/lab/cluster.sh
source "$here/cluster.sh"
# shellcheck source=tests/lab/kick.sh
source "$here/kick.sh"
# shellcheck source=tests/lab/trixie.sh
source "$here/trixie.sh"

limit="${NFS_SECONDS:-600}"
lab_use nfs
work="$(mktemp -d "${TMPDIR:-/tmp}/kickctl-nfs.XXXXXX")"
serial="$work/serial.log"
# shellcheck disable=SC2154 # status is set in the trap
trap 'status=$?; [ $status -eq 0 ] || show_ends >&2; lab_down; rm -rf "$work"; exit $status' EXIT

show_ends() {
    if [ -f "$LAB_DIR/nfs.log" ]; then echo "--- the server" && tail -n 15 "$LAB_DIR/nfs.log"; fi
    echo "--- the guest"
    tr -d '\r' <"$serial" | grep -aE '^(OK|FAIL|     )' || true
    lab_screen "$serial" 25
}

server_build() {
    [ -z "${NFS_EXPORT:-}" ] || return 0
    (cd "$(repository_root)" && "$(kick_cargo)" build --locked --example nfs_export)
    NFS_EXPORT="${CARGO_TARGET_DIR:-$(repository_root)/target}/debug/examples/nfs_export"
}

serve() {
    lab_start nfs "$NFS_EXPORT" "$LAB_HEAD" "/ro=$work/ro" "/rw=$work/rw:rw"
    lab_wait 10 "$LAB_DIR/nfs.log" 'serving on' >/dev/null
}

# exports: what guest.sh expects to find.
exports() {
    local ro="$work/ro"
    mkdir -p "$ro"/{many,sub,private} "$work/rw/tmp"
    chmod 755 "$work" "$ro" "$work/rw"
    chmod 1777 "$work/rw/tmp"
    head -c 32000001 /dev/urandom >"$ro/large"
    tail -c 1000 "$ro/large" >"$ro/tail"
    (cd "$ro" && sha256sum large >sums && cd many && seq -f 'entry-%05g' 20000 | xargs touch)
    truncate -s 6G "$ro/sparse"
    printf beyond >>"$ro/sparse"
    printf secret >"$ro/shadow" && chmod 600 "$ro/shadow"
    printf public >"$ro/public"
    printf inside >"$ro/private/inside" && chmod 700 "$ro/private"
    touch "$ro/owned" && chown 1234:5678 "$ro/owned"
    local program
    for program in su plain execute-only; do cp "$work/as" "$ro/$program"; done
    chmod 4755 "$ro/su"
    chmod 711 "$ro/execute-only"
    ln -s ../public "$ro/sub/link"
    mknod -m 666 "$ro/zero" c 1 5
    mknod -m 666 "$ro/null" c 1 3
    mknod -m 660 "$ro/disk" b 253 4464
}

# guest: kernel and initramfs, with no more modules than an NFS root needs.
guest() {
    local deb tree="$work/tree" root="$work/initramfs" release module
    deb="${NFS_KERNEL:-$(trixie_fetch "$work/apt" 'linux-image-[0-9.+deb-]*-cloud-amd64')}"
    mkdir -p "$tree"
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tree" --wildcards './boot/vmlinuz*' '*/kernel/net/*' '*/kernel/fs/*' '*/kernel/drivers/virtio/*' \
        '*/kernel/drivers/net/*' '*/kernel/lib/*' '*/modules.*'
    kernel="$(echo "$tree"/boot/vmlinuz-*)"
    release="${kernel##*/vmlinuz-}"
    [ -d "$tree/lib/modules" ] || ln -s usr/lib "$tree/lib"
    depmod -b "$tree" "$release"
    mkdir -p "$root"/{bin,proc,sys,dev,tmp,mnt}
    for module in virtio_pci virtio_net nfs nfsv3 overlay; do
        modprobe -d "$tree" -S "$release" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
    done | sort -u | while read -r module; do
        install -D "$module" "$root/lib/modules/$release/${module##*/}"
    done
    find "$root/lib" -name '*.xz' -exec xz -d {} +
    depmod -b "$root" "$release" 2>/dev/null
    cp "$(command -v busybox)" "$root/bin/busybox"
    ldd "$root/bin/busybox" 2>/dev/null | grep -o '/[^ ]*' | while read -r module; do install -D "$module" "$root$module"; done
    ln -s busybox "$root/bin/sh"
    cp "$work/as" "$root/bin/as"
    install -m 755 "$here/nfs/guest.sh" "$root/init"
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd"
}

# Without cmpxchg16b, as in cluster.sh: QEMU 7.2 gets its flags wrong, and Linux 6.12 dies of it sooner or later.
begin_guest() {
    local tap
    tap="$(lab_tap 0)"
    lab_start guest qemu-system-x86_64 -accel tcg,thread=multi,tb-size=512 -cpu max,cx16=off,avx=off,avx2=off -smp 1 -m 512 -nodefaults -display none -no-reboot \
        -serial "file:$serial" -kernel "$kernel" -initrd "$work/initrd" -append "console=ttyS0 quiet panic=1 rdinit=/init" \
        -netdev "tap,id=n0,ifname=$tap,script=no,downscript=no" -device virtio-net-pci,netdev=n0,romfile=
}

[ "$EUID" -eq 0 ] || { echo "test-nfs.sh: needs root (network namespaces)" >&2 && exit 1; }
server_build
gcc -static -O1 -o "$work/as" "$here/nfs/as.c"
exports
guest
lab_up nfs 10.77.3.0/24
serve
begin_guest
lab_wait "$limit" "$serial" '^(HOLD|.*Kernel panic)' >/dev/null
# Two seconds without a server, while the guest waits for a file to appear.
lab_stop nfs
sleep 2
serve
touch "$work/rw/restarted"
lab_wait "$limit" "$serial" '^(DONE|.*Kernel panic)' >/dev/null
tr -d '\r' <"$serial" | grep -aE '^(OK|FAIL|     )|nfs ' || true
[ "$(cat "$work/rw/after")" = after ] || { echo "what the guest wrote last is not there" >&2 && exit 1; }
if grep -aq '^FAIL' "$serial" || ! grep -aq '^DONE' "$serial"; then echo "some checks failed" >&2 && exit 1; fi
echo "all $(grep -ac '^OK' "$serial") checks of Debian 13's kernel hold (Linux $(basename "$kernel" | cut -d- -f2-))"
