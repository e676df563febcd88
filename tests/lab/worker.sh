#!/usr/bin/env bash
# Makes what diskless nodes of the lab boot: the mirror `debian-13` from this machine's apt sources, and the image `worker` of it with the
# small kernel for virtual machines. `worker.sh KICKCTL DATA`; needs root. The second time it takes a moment.
set -euo pipefail

kickctl=$1 data=$2
run() { "$kickctl" --data "$data" "$@"; }

definition="$data/mirrors/debian-13/definition.toml"
if ! [ -e "$definition" ]; then
    run mirror add debian-13 --from-host
    # Diskless nodes need no installer.
    sed -i -e '/^\[installer\]/,$d' -e '/"main\/debian-installer"/d' "$definition"
fi
run mirror sync debian-13
run image build worker --kernel linux-image-cloud-amd64
