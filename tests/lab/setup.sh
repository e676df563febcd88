#!/usr/bin/env bash
# Installs what the demo, the tests and the benchmark need on a fresh Debian machine: `setup.sh [demo|test|bench]...` (default: demo).
# Quick when everything is there; says what it installs. Daemons that come with packages are not started.
set -euo pipefail

sections=("${@:-demo}")
base=(qemu-system-x86 qemu-utils ovmf ipxe ipxe-qemu seabios iproute2 socat curl ca-certificates debian-archive-keyring gpgv gcc libc6-dev jq)
clients=(dnsmasq-base isc-dhcp-server isc-dhcp-client udhcpc atftp tftp-hpa debootstrap debconf-utils apt-utils dpkg-dev gpg gpgv kea-admin xz-utils openssl
    tcpdump shellcheck busybox dash zstd bzip2 cpio systemd bsdutils mount dnf dnf-plugins-core createrepo-c rpm alien python3-venv fdisk e2fsprogs kmod
    libnfs-utils nftables rpcbind util-linux mmdebstrap squashfs-tools openssh-client openipmi ipmitool xorriso genisoimage python3-yaml python3-jsonschema
    python3-configobj python3-jinja2 python3-jsonpatch python3-oauthlib python3-requests python3-netifaces)
peers=(aptly reprepro createrepo-c apt-utils gpg jq nfs-ganesha nfs-ganesha-vfs libnfs-utils libnfs-dev rpcbind procps mmdebstrap squashfs-tools openssh-client)

packages=()
for section in "${sections[@]}"; do
    case "$section" in
    demo) packages+=("${base[@]}") ;;
    test) packages+=("${base[@]}" "${clients[@]}") ;;
    bench) packages+=("${base[@]}" "${peers[@]}") ;;
    *) echo "setup.sh: unknown section $section; known: demo test bench" >&2 && exit 2 ;;
    esac
done

as_root() {
    if [ "$EUID" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "setup.sh: run as root or install sudo: needed for: $*" >&2
        return 1
    fi
}

missing() {
    local installed
    installed="$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p' | sort -u)"
    printf '%s\n' "${packages[@]}" | sort -u | comm -23 - <(echo "$installed")
}

# Forbids services to start while packages are installed. A machine with a policy of its own keeps it.
policy=/usr/sbin/policy-rc.d
forbid_daemons() {
    [ -e "$policy" ] && return
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

# qemu-system-x86 and qemu-utils share files of one version: a newer qemu-utils (backports) would keep the suite's qemu-system-x86 out,
# or be removed by it. Named with one version, both come together, if need be by a downgrade.
one_qemu() {
    local version
    version="$(apt-cache policy qemu-system-x86 | sed -n 's/^  Candidate: //p')"
    sed "s/^qemu-\(system-x86\|utils\)$/&=$version/"
}

mapfile -t wanted < <(missing)
if [ "${#wanted[@]}" -gt 0 ] && [ -n "${wanted[0]}" ]; then
    # One of the two is missing: name both, so that they are resolved together.
    case " ${wanted[*]} " in *" qemu-"*) wanted+=(qemu-system-x86 qemu-utils) ;; esac
    echo "setup: installing ${wanted[*]}"
    forbid_daemons
    as_root apt-get update -qq -o DPkg::Lock::Timeout=300
    mapfile -t named < <(printf '%s\n' "${wanted[@]}" | sort -u | one_qemu)
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --allow-downgrades \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "${named[@]}" >/dev/null
fi

# Programs of Python's package index, by pip's own configuration, each in a folder of its own: `from_pip PACKAGE VERSION`.
target="${CARGO_TARGET_DIR:-$(dirname "$(realpath "$0")")/../../target}"
from_pip() {
    local place="$target/$1"
    [ "$("$place/bin/python" -c "from importlib.metadata import version; print(version('$1'))" 2>/dev/null)" = "$2" ] && return
    echo "setup: installing $1 $2 into $place"
    rm -rf "$place"
    /usr/bin/python3 -m venv "$place"
    "$place/bin/pip" install -q "$1==$2"
}

# cloud-init, for its check of user data: unpacked, never installed. As a package it would set up this machine at its next boot.
cloud_init="$target/cloud-init"
unpack_cloud_init() {
    local folder
    [ ! -e "$cloud_init/usr/lib/python3/dist-packages/cloudinit/config/schema.py" ] || return 0
    echo "setup: unpacking cloud-init into $cloud_init"
    folder="$(mktemp -d)"
    download() { (cd "$folder" && apt-get download -qq -o APT::Sandbox::User=root cloud-init); }
    download 2>/dev/null || { as_root apt-get update -qq -o DPkg::Lock::Timeout=300 && download; }
    rm -rf "$cloud_init"
    dpkg-deb -x "$folder"/cloud-init_*.deb "$cloud_init"
    rm -rf "$folder"
}

# Anaconda's parser of kickstart files, in the version of src/provision/kickstart/syntax.txt, which a test compares with it; OpenStack's Redfish emulator.
case " ${sections[*]} " in *" test "*)
    from_pip pykickstart 3.78
    from_pip sushy-tools 2.2.0
    unpack_cloud_init
    ;;
esac

if ! command -v cargo >/dev/null && ! [ -x "$HOME/.cargo/bin/cargo" ]; then
    cat >&2 <<'TEXT'
setup: no cargo. kickctl needs Rust 1.94 or newer, which Debian 12 does not have.
  Install it with rustup (rustup.rs), or set PATH to an existing toolchain; then run the same command again.
TEXT
    exit 1
fi
echo "setup: all packages for ${sections[*]} are there"
