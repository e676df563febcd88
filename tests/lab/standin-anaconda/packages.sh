#!/usr/bin/env bash
# Builds the small distribution's packages with rpmbuild: one with the programs of this machine that a system needs to set up accounts,
# and empty ones with the names that Anaconda and the profile ask for. `packages.sh FOLDER BASEOS APPSTREAM`.
set -euo pipefail
here="$(dirname "$(realpath "$0")")"
folder="$1"
spec="$folder/standin.spec"
userland="$folder/userland"
base=(kernel dracut grub2-pc grub2-efi-x64 shim-x64 efibootmgr e2fsprogs xfsprogs openssh-server sudo)
apps=(chrony nfs-utils htop)

mkdir -p "$userland/etc/skel" "$userland/root" "$userland/tmp" "$userland/var/lib" "$userland/home"
/usr/bin/python3 "$here/copy-programs.py" "$userland" bash coreutils sed grep passwd login /usr/bin/getent /usr/bin/rpm /usr/bin/rpmkeys /usr/lib/rpm/rpmrc \
    /usr/lib/rpm/macros /usr/lib/rpm/rpmpopt-* /usr/bin/findmnt /usr/lib/x86_64-linux-gnu/libnss_files.so.2 rpm-common
ln -sf bash "$userland/usr/bin/sh"
rm -rf "${userland:?}"/etc/pam.d "${userland:?}"/usr/share
printf 'root:x:0:0:root:/root:/bin/bash\n' >"$userland/etc/passwd"
printf 'root:!!:19000:0:99999:7:::\n' >"$userland/etc/shadow"
printf 'root:x:0:\nvideo:x:39:\n' >"$userland/etc/group"
printf 'root:::\nvideo:!::\n' >"$userland/etc/gshadow"
cp /etc/login.defs "$userland/etc/"
printf 'NAME="Rocky Linux"\nPRETTY_NAME="Rocky Linux 9.9 (stand-in)"\nVERSION_ID="9.9"\nID=rocky\n' >"$userland/etc/os-release"
mkdir -p "$userland/etc/yum.repos.d"
printf '[baseos]\nname=x\nmirrorlist=https://mirrors.example.invalid/\nenabled=1\n' >"$userland/etc/yum.repos.d/rocky.repo"

{
    cat <<TEXT
%global __os_install_post %{nil}
%global debug_package %{nil}
%define _binary_payload w1.gzdio
Name: userland
Version: 9.9
Release: 1
Summary: Programs of a Debian machine, as the base of a stand-in distribution
License: various
AutoReqProv: no
Provides: /bin/sh
%description
For tests alone.
%files -f $folder/userland.files
%package -n brittle
Summary: A package that cannot be installed
%description -n brittle
For tests alone.
%pre -n brittle
exit 1
%files -n brittle
%defattr(-,root,root)
TEXT
    for name in "${base[@]}" "${apps[@]}"; do
        printf '%%package -n %s\nSummary: The name %s\n%%description -n %s\nEmpty.\n%%files -n %s\n' "$name" "$name" "$name" "$name"
    done
    printf '%%install\ncp -a %s/. %%{buildroot}/\n' "$userland"
} >"$spec"
(cd "$userland" && find . -mindepth 1 \( -type d -printf '%%dir "/%P"\n' -o -printf '"/%P"\n' \)) >"$folder/userland.files"
rpmbuild -bb --quiet --define "_topdir $folder/rpmbuild" --define "_rpmdir $folder/rpms" --define "_build_id_links none" "$spec" >"$folder/rpmbuild.log" 2>&1 ||
    { tail -n 20 "$folder/rpmbuild.log" >&2 && exit 1; }

for name in "${apps[@]}"; do mv "$folder/rpms/x86_64/$name-"*.rpm "$3/Packages/"; done
mv "$folder"/rpms/x86_64/*.rpm "$2/Packages/"
{
    printf '<?xml version="1.0" encoding="UTF-8"?>\n<comps>\n<group><id>core</id><name>Core</name><description>x</description><default>true</default>'
    printf '<uservisible>false</uservisible><packagelist><packagereq type="mandatory">userland</packagereq></packagelist></group>\n</comps>\n'
} >"$folder/comps.xml"
createrepo_c -q -g "$folder/comps.xml" "$2"
createrepo_c -q "$3"
