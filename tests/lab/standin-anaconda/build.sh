#!/usr/bin/env bash
# Makes a small distribution that looks like Rocky Linux 9 to a mirror and to a node, with the stand-in as its installer:
# `build.sh FOLDER PYKICKSTART` leaves FOLDER/upstream/{BaseOS,AppStream}/x86_64/os. Everything in it comes from this machine's own packages.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
folder="$1"
pykickstart="$2"
tree="$folder/upstream/BaseOS/x86_64/os"
apps="$folder/upstream/AppStream/x86_64/os"
mkdir -p "$folder/kernel" "$tree/images/pxeboot" "$tree/Packages" "$apps/Packages"

# The kernel: Debian's for virtual machines, by apt. It is kept beside the compiled code and fetched once.
kernel_package="$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p' | head -n 1)"
cache="$(dirname "$pykickstart")/standin-kernel"
if ! ls "$cache/$kernel_package"_*.deb >/dev/null 2>&1; then
    mkdir -p "$cache"
    (cd "$cache" && apt-get -qq download "$kernel_package" 2>/dev/null)
fi
dpkg-deb -x "$cache/$kernel_package"_*.deb "$folder/kernel"
release="${kernel_package#linux-image-}"
cp "$folder/kernel/boot/vmlinuz-$release" "$tree/images/pxeboot/vmlinuz"

# The first root file system: busybox, curl and the drivers of a virtual machine and of the installer's image.
stage1="$folder/stage1"
mkdir -p "$stage1/etc"
/usr/bin/python3 "$here/copy-programs.py" "$stage1" /bin/busybox /usr/bin/curl
modules="$folder/kernel/lib/modules/$release"
for module in virtio virtio_ring virtio_pci virtio_pci_legacy_dev virtio_pci_modern_dev failover net_failover virtio_net virtio_blk loop squashfs overlay; do
    find "$modules" -name "$module.ko*" | sed "s|^$folder/kernel/||" | (cd "$folder/kernel" && cpio -pdm --quiet "$stage1/usr/..")
done
cp "$modules"/modules.{order,builtin,builtin.modinfo} "$stage1/lib/modules/$release/"
depmod -b "$stage1" "$release"
install -m 755 "$here/stage1-init" "$stage1/init"
install -m 755 "$here/udhcpc-script" "$stage1/udhcpc-script"
(cd "$stage1" && find . | cpio -o -H newc --quiet | gzip -1) >"$tree/images/pxeboot/initrd.img"

# The installer's root file system: dnf, rpm, pykickstart, and what scripts use.
stage2="$folder/stage2"
mkdir -p "$stage2"
/usr/bin/python3 "$here/copy-programs.py" "$stage2" bash coreutils sed grep mawk util-linux mount fdisk e2fsprogs findutils \
    /bin/busybox /usr/bin/curl /usr/bin/logger libpython3.11-minimal libpython3.11-stdlib python3.11-minimal python3-minimal \
    dnf dnf-data python3-dnf python3-hawkey python3-libdnf python3-libcomps python3-gpg python3-rpm rpm rpm-common
ln -sf bash "$stage2/usr/bin/sh"
ln -sf mawk "$stage2/usr/bin/awk"
cp -a "$pykickstart"/lib/python3*/site-packages/{pykickstart,requests,urllib3,idna,certifi,charset_normalizer} "$stage2/usr/lib/python3/dist-packages/"
rm -rf "$stage2"/usr/lib/python3.11/{pydoc_data,ensurepip,lib2to3}
# An emulated processor would take half a minute to compile what the stand-in and dnf import, at every start.
find "$stage2" -name __pycache__ -prune -exec rm -rf {} +
/usr/bin/python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$stage2" "$stage2"/usr/lib/python3* >/dev/null
cp "$here/standin-anaconda.py" "$stage2/"
printf 'root:x:0:0:root:/root:/bin/bash\n' >"$stage2/etc/passwd"
printf 'root:x:0:\n' >"$stage2/etc/group"
mkdir -p "$stage2"/{root,mnt,run,proc,sys,dev,tmp,var/cache,var/lib,var/log}
mksquashfs "$stage2" "$tree/images/install.img" -comp lz4 -all-root -no-xattrs -quiet -no-progress >/dev/null

"$here/packages.sh" "$folder" "$tree" "$apps"
"$here/treeinfo.sh" "$tree" >"$tree/.treeinfo"
