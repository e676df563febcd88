# shellcheck shell=bash
# Every call of kickctl that the demo, the boot test and the benchmark make, in one place. Sourced after cluster.sh.
# KICKCTL is the binary, KICK_DATA the data folder of the run.

KICK_PORT=8080

repository_root() { git -C "$(dirname "${BASH_SOURCE[0]}")" rev-parse --show-toplevel; }

# kick ARGS...: on the host, which can reach the upstream. kick_head ARGS...: on the lab's head, inside the namespace.
kick() { "$KICKCTL" --data "$KICK_DATA" "$@"; }
kick_head() { lab_run "$KICKCTL" --data "$KICK_DATA" "$@"; }

# kick_build: the release binary, unless KICKCTL names one already.
kick_build() {
    [ -z "${KICKCTL:-}" ] || return 0
    (cd "$(repository_root)" && "$(kick_cargo)" build --release --locked)
    KICKCTL="${CARGO_TARGET_DIR:-$(repository_root)/target}/release/kickctl"
}
kick_cargo() { command -v cargo || echo "$HOME/.cargo/bin/cargo"; }

# kick_init SUBNET. Emulated machines are ten times slower than real ones, and a loaded machine makes them slower still: the limits are longer by
# that much. KICK_STALL=4min for whoever waits for a stall.
kick_init() {
    kick_head init --interface br0 --subnet "$1"
    printf '\n[limits]\ninstaller = "15min"\nstall = "%s"\ninstall = "4h"\nfirst_boot = "30min"\n' "${KICK_STALL:-30min}" >>"$KICK_DATA/kickctl.toml"
}

# kick_mirror NAME [DIR...]: define and fetch it. What upstream lacks comes from LOCAL_PACKAGES, or from beside the checkout when it is there;
# more packages of the site's own from each DIR.
kick_mirror() {
    local beside local_packages more=("${@:2}")
    beside="$(repository_root)/../shared/debian-installer-13"
    local_packages="${LOCAL_PACKAGES:-$([ ! -d "$beside" ] || realpath "$beside")}"
    kick mirror add "$1" --from-host ${local_packages:+--local "$local_packages"} "${more[@]/#/--local=}"
    kick mirror sync "$1"
}

# kick_mirror_standin FOLDER: the small distribution that is made in FOLDER, with the stand-in for Anaconda, fetched by kickctl as `rocky-9`, as it
# fetches any other. The filter makes the head rebuild and sign the metadata.
kick_mirror_standin() {
    "$(dirname "${BASH_SOURCE[0]}")/standin-anaconda/build.sh" "$1" "${CARGO_TARGET_DIR:-$(repository_root)/target}/pykickstart"
    cat >"$1/rocky-9.toml" <<TEXT
[[repository]]
name = "BaseOS"
path = "BaseOS/x86_64/os"
baseurl = ["file://$1/upstream/BaseOS/x86_64/os"]
repo_gpgcheck = false

[[repository]]
name = "AppStream"
path = "AppStream/x86_64/os"
baseurl = ["file://$1/upstream/AppStream/x86_64/os"]
repo_gpgcheck = false

[tree]
repository = "BaseOS"

[filter]
newest = 1
TEXT
    kick mirror add rocky-9 --file "$1/rocky-9.toml" >/dev/null
    kick mirror sync rocky-9 >/dev/null
}

# kick_serve: start the servers on the head; returns when they answer.
kick_serve() {
    lab_start kickctl "$KICKCTL" --data "$KICK_DATA" serve
    local tries
    for tries in {1..600}; do
        ! lab_run curl -fs -o /dev/null "http://$(cat "$LAB_DIR/head"):$KICK_PORT/healthz" || return 0
        lab_alive "$LAB_DIR/pids/kickctl" || break
        sleep "${KICK_POLL:-0.05}"
    done
    echo "kickctl serve does not answer (try $tries); its log:" >&2
    tail -20 "$LAB_DIR/kickctl.log" >&2
    return 1
}

# kick_node NODE MAC ADDRESS PROFILE [OPTION...]: a node that the head knows. kick_arm ...: one that installs itself at its next network boot.
kick_node() {
    kick_head node add "$1" --mac "$2" --address "$3" "${@:5}"
    kick_head profile assign "$1" "$4"
}
kick_arm() {
    kick_node "$@"
    kick_head reinstall "$1" --yes=1
}

# kick_attempt NODE FILTER: what jq makes of the node's last attempt. kick_stages NODE: lines "SECONDS STAGE", since it was armed.
kick_attempt() { kick_head attempt show "$1" -o json | jq -r "$2"; }
kick_stages() { kick_attempt "$1" '.stages[] | "\(.seconds | floor) \(.stage)"'; }

# kick_expect WHAT WANTED GOT: says what was got if it is what is wanted (a pattern).
kick_expect() {
    # shellcheck disable=SC2053 # a pattern
    [[ "$3" == $2 ]] || { echo "$1: expected \"$2\", got \"$3\"" >&2 && return 1; }
    echo "    ok  $1: ${3:-nothing}"
}
