#!/usr/bin/env bash
# Prints the .treeinfo of a tree whose variant AppStream lies beside it, as Rocky Linux 9 has it.
set -euo pipefail
cd "$1"
cat <<TEXT
[checksums]
$(sha256sum images/install.img images/pxeboot/initrd.img images/pxeboot/vmlinuz | sed 's/^\([0-9a-f]*\) *\(.*\)/\2 = sha256:\1/')

[general]
arch = x86_64
family = Rocky Linux
name = Rocky Linux 9.9
packagedir = Packages
platforms = x86_64,xen
repository = .
timestamp = 1760000000
variant = BaseOS
variants = AppStream,BaseOS
version = 9.9

[header]
type = productmd.treeinfo
version = 1.2

[images-x86_64]
initrd = images/pxeboot/initrd.img
kernel = images/pxeboot/vmlinuz

[release]
name = Rocky Linux
short = Rocky
version = 9.9

[stage2]
mainimage = images/install.img

[tree]
arch = x86_64
build_timestamp = 1760000000
platforms = x86_64,xen
variants = AppStream,BaseOS

[variant-AppStream]
id = AppStream
name = AppStream
packages = ../../../AppStream/x86_64/os/Packages
repository = ../../../AppStream/x86_64/os
type = variant
uid = AppStream

[variant-BaseOS]
id = BaseOS
name = BaseOS
packages = Packages
repository = .
type = variant
uid = BaseOS
TEXT
