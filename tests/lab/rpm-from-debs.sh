#!/usr/bin/env bash
# Makes a small RPM distribution of real programs: this machine's own Debian packages, and what they need, converted and laid out as RPM
# distributions are. `rpm-from-debs.sh FOLDER PACKAGE...` leaves .rpm files in FOLDER/rpms. No RPM distribution is a download away from
# everywhere; what dnf does with packages, scriptlets and dependencies is the same.
#
# Different from what Debian's packages would do by themselves: no maintainer scripts run. What they would have made, and is needed, is made here.
set -euo pipefail

folder=$1
shift
debs="$folder/debs" root="$folder/buildroot" rpms="$folder/rpms"
rm -rf "$root" "$rpms" "$folder/build"
mkdir -p "$root" "$rpms" "$folder/build"
# shellcheck source=tests/lab/debs.sh
source "$(dirname "$(realpath "$0")")/debs.sh"
release="$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: linux-image-//p' | head -n 1)"

# extract DEB: below the build root, without links for folders: /lib is a link in `filesystem`. Prints the list of its files.
extract() {
    local one="$folder/build/one" top
    rm -rf "$one" && mkdir "$one" && dpkg-deb -x "$1" "$one"
    for top in bin sbin lib lib64; do
        if [ -L "$one/$top" ]; then rm "$one/$top"; fi
        if [ -d "$one/$top" ]; then mkdir -p "$one/usr/$top" && cp -a "$one/$top/." "$one/usr/$top/" && rm -r "${one:?}/$top"; fi
    done
    rm -rf "${one:?}"/{dev,proc,run,sys,tmp,var/lock,var/run}
    rm -rf "$one/usr/share/doc" "$one/usr/share/man" "$one/usr/share/locale" "$one/usr/share/info" "$one/usr/share/lintian" "$one/usr/share/bug"
    # Where RPM packages have the kernel.
    if [ -e "$one/boot/vmlinuz-$release" ]; then mv "$one/boot/vmlinuz-$release" "$one/usr/lib/modules/$release/vmlinuz"; fi
    # Debian's rpm keeps the list of packages in each user's home.
    if [ -e "$one/usr/lib/rpm/macros" ]; then sed -i 's|^%_dbpath\b.*|%_dbpath /usr/lib/sysimage/rpm|' "$one/usr/lib/rpm/macros"; fi
    if [ -e "$one/usr/bin/mawk" ]; then ln -s mawk "$one/usr/bin/awk"; fi
    if [ -e "$one/usr/bin/bash" ]; then ln -s bash "$one/usr/bin/sh"; fi
    cp -a "$one/." "$root/"
    files "$one"
}

# files FOLDER: a list for %files. Names are taken as patterns there.
files() { (cd "$1" && find . -mindepth 1 \( -type d -printf '%%dir "/%P"\n' -o -printf '"/%P"\n' \)) | sed 's/[][*?{}]/[&]/g'; }

# needed_by DEB: names of packages, the first of each choice that is among the converted ones.
needed_by() {
    dpkg-deb -f "$1" Pre-Depends Depends | sed 's/^[A-Za-z-]*: //' | tr , '\n' | sed 's/([^)]*)//g; s/:[a-z0-9]*//g; s/ //g' |
        while IFS='|' read -ra choices; do
            for choice in "${choices[@]}"; do
                if grep -qx -- "$choice" "$folder/names"; then echo "Requires: $choice" && break; fi
            done
        done | sort -u
}

# section NAME VERSION MORE: a package of the one spec file, whose list of files is build/NAME.
section() {
    printf '%%package -n %s\nVersion: %s\nRelease: 1\nSummary: %s of Debian, converted\nAutoReqProv: no\n%s\n%%description -n %s\nConverted.\n%%files -n %s -f %s\n' \
        "$1" "$2" "$1" "$3" "$1" "$1" "$folder/build/$1.list"
}

# named_as NAME: by what other names RPM distributions know it.
named_as() {
    case $1 in
    bash) printf 'Provides: /bin/sh\nRequires: ncurses-base\n' ;;
    libc6) echo 'Requires: libc-bin' ;;
    dracut-core) printf 'Requires: grep\nRequires: gzip\nRequires: mawk\n' ;;
    iproute2) echo 'Provides: iproute' ;;
    passwd) echo 'Provides: shadow-utils' ;;
    udev) echo 'Provides: systemd-udev' ;;
    util-linux) echo 'Requires: mount' ;;
    systemd) echo 'Requires: systemd-sysv' ;;
    "linux-image-$release") printf 'Provides: kernel = 1\nRequires(post): kmod\n' ;;
    esac
}

# filesystem: the folders, links, accounts and log-in rules that everything else stands on.
filesystem() {
    local one="$folder/build/filesystem"
    mkdir -p "$one"/{boot,dev,home,mnt,opt,proc,run,srv,sys,usr/{bin,sbin,lib,lib64},etc/{pam.d,yum.repos.d},var/{cache,lib,log,mail,spool,tmp}}
    install -d -m 1777 "$one/tmp" "$one/var/tmp" && install -d -m 700 "$one/root"
    for top in bin sbin lib lib64; do ln -s "usr/$top" "$one/$top"; done
    ln -s /run "$one/var/run" && ln -s /run/lock "$one/var/lock"
    dpkg-deb --fsys-tarfile "$debs"/base-passwd_*.deb | tar -x -C "$folder/build" ./usr/share/base-passwd
    cp "$folder/build/usr/share/base-passwd/group.master" "$one/etc/group"
    printf 'messagebus:x:990:\nsystemd-network:x:991:\nsystemd-resolve:x:992:\nsystemd-timesync:x:993:\nsystemd-journal:x:994:\n' >>"$one/etc/group"
    cp "$folder/build/usr/share/base-passwd/passwd.master" "$one/etc/passwd"
    sed -i 's/^\([^:]*\):\*:/\1:x:/' "$one/etc/passwd" && sed -i 's/^\([^:]*\):\*:/\1:x:/' "$one/etc/group"
    local account
    for account in messagebus:990 systemd-network:991 systemd-resolve:992 systemd-timesync:993; do
        echo "${account%:*}:x:${account#*:}:${account#*:}::/:/usr/sbin/nologin" >>"$one/etc/passwd"
    done
    echo 'sshd:x:989:65534::/run/sshd:/usr/sbin/nologin' >>"$one/etc/passwd"
    sed 's/^\([^:]*\):.*/\1:*:19000:0:99999:7:::/' "$one/etc/passwd" >"$one/etc/shadow" && chmod 640 "$one/etc/shadow"
    printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n' >"$one/etc/nsswitch.conf"
    : >"$one/etc/resolv.conf"
    : >"$one/etc/machine-id"
    echo 'auth required pam_unix.so nullok' >"$one/etc/pam.d/common-auth"
    echo 'account required pam_unix.so' >"$one/etc/pam.d/common-account"
    echo 'password required pam_unix.so yescrypt' >"$one/etc/pam.d/common-password"
    printf 'session required pam_unix.so\nsession optional pam_systemd.so\n' | tee "$one/etc/pam.d/common-session" >"$one/etc/pam.d/common-session-noninteractive"
    printf '[away]\nname=a repository that packages bring\nbaseurl=http://192.0.2.1/\nenabled=1\n' >"$one/etc/yum.repos.d/away.repo"
    cp -a "$one/." "$root/"
    # Ghosts, as the package of this name has them: they are mounted while it is installed.
    files "$one" | sed 's/^%dir "\/\(proc\|sys\)"$/%ghost &/' >"$folder/build/filesystem.list"
    section filesystem 1 ''
}

debs_fetch "$debs" "$@" "linux-image-$release" base-passwd bash libc-bin mawk ncurses-base
# Not wanted: what only maintainer scripts use.
for deb in "$debs"/*.deb; do dpkg-deb -f "$deb" Package; done | grep -vxE 'base-passwd|debconf|usrmerge' >"$folder/names"
{
    printf '%%global debug_package %%{nil}\n%%global __os_install_post %%{nil}\n%%global _build_id_links none\n%%global _binary_payload w1.gzdio\n'
    printf 'Name: converted\nVersion: 1\nRelease: 1\nSummary: Converted\nLicense: Various\nBuildArch: x86_64\n%%description\nConverted.\n'
    filesystem
    for deb in "$debs"/*.deb; do
        name="$(dpkg-deb -f "$deb" Package)" version="$(dpkg-deb -f "$deb" Version)"
        grep -qx -- "$name" "$folder/names" || continue
        extract "$deb" >"$folder/build/$name.list"
        version="${version#*:}"
        section "$name" "$(tr '-' '.' <<<"$version")" "$(printf 'Requires: filesystem\n' && needed_by "$deb" && named_as "$name")"
    done
    printf '%%post -n linux-image-%s\ndepmod %s\n' "$release" "$release"
} >"$folder/converted.spec"
rpmbuild -bb --quiet --noclean --buildroot "$root" --define "_topdir $folder/build" --define "_rpmdir $rpms" --define '_rpmfilename %%{NAME}.rpm' \
    --define '__spec_clean_cmd true' --define '__spec_install_pre true' "$folder/converted.spec" >"$folder/rpmbuild.log" 2>&1 ||
    { tail -n 30 "$folder/rpmbuild.log" >&2 && exit 1; }
rm -rf "$root" "$folder/build"
