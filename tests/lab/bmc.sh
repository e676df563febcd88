#!/usr/bin/env bash
# Virtual BMCs that really start and stop the lab's virtual machines, made of other people's programs: OpenIPMI's ipmi_sim, and OpenStack's
# Redfish emulator (sushy-tools). Both keep what they are told; what they call out to is this file: `bmc.sh LAB chassis NODE get|set ...` for
# ipmi_sim's chassis_control, `bmc.sh LAB notified` for the emulator's notifications.
#
# Source it after cluster.sh and kick.sh: bmc_machine says what a machine is, bmc_controlled gives it a controller, bmc_switched tells what that did.
# A machine boots from its disk first, then over the network, unless its controller was told to boot it over the network once.
BMC_USER="head"
BMC_PASSWORD=virtual

# bmc_machine NODE OPTION...: node_start's options, but for the firmware. It is off.
bmc_machine() {
    mkdir -p "$LAB_DIR/bmc/$1"
    printf '%s\n' "${@:2}" >"$LAB_DIR/bmc/$1/options"
    echo none >"$LAB_DIR/bmc/$1/boot"
    echo Off >"$LAB_DIR/bmc/$1/told"
}

# bmc_controlled NODE ipmi|redfish PORT: its controller, of which the head is told; returns when it answers.
bmc_controlled() {
    local secure=() password="$LAB_DIR/bmc/$1/password"
    if [ "$2" = ipmi ]; then
        bmc_ipmi "$1" "$3"
    else
        bmc_redfish "$1" "$(kick_head node show "$1" -o json | jq -r '.macs[0]')" "$3"
        secure=(--bmc-insecure)
    fi
    echo "$BMC_PASSWORD" >"$password"
    kick_head node set "$1" --power "$2" --bmc-address "127.0.0.1:$3" --bmc-user "$BMC_USER" --bmc-password-file "$password" "${secure[@]}" >/dev/null
    lab_until 60 "the controller of $1 answers" bmc_says "$1" off
}

# bmc_says NODE on|off: what the head hears of its controller.
bmc_says() { [ "$(kick_head power "$1" status -o json 2>/dev/null | jq -r '.[].state')" = "$2" ]; }

# ---- the machine, as its controller sees it -------------------------------------------------------------------------

bmc_is_on() { lab_alive "$LAB_DIR/nodes/$1/pid"; }

# bmc_switch NODE on|off: nothing if it is so already. That it is to boot over the network is good for one start.
bmc_switch() {
    local folder="$LAB_DIR/bmc/$1" options firmware=bios-disk
    if [ "$2" = off ]; then
        bmc_is_on "$1" || return 0
        node_stop "$1"
        bmc_note "$1" off
        return
    fi
    ! bmc_is_on "$1" || return 0
    [ "$(cat "$folder/boot")" != pxe ] || firmware=bios-once
    mapfile -t options <"$folder/options"
    node_start "$1" "--$firmware" "${options[@]}"
    bmc_note "$1" "on, $(cat "$folder/boot")"
    echo none >"$folder/boot"
}

bmc_note() { echo "$(date +%s) $2" >>"$LAB_DIR/bmc/$1/log"; }

# bmc_log NODE: what its controller did, a line each: `SECONDS on, pxe`, `SECONDS off`. bmc_switched NODE: that in a line, without times.
bmc_log() { cat "$LAB_DIR/bmc/$1/log"; }
bmc_switched() { bmc_log "$1" | cut -d' ' -f2- | paste -sd' '; }

# ---- IPMI -----------------------------------------------------------------------------------------------------------

# bmc_ipmi NODE PORT: ipmi_sim for one machine, at 127.0.0.1:PORT of the head.
bmc_ipmi() {
    local folder="$LAB_DIR/bmc/$1" level
    mkdir -p "$folder/sim"
    {
        printf 'name "%s"\nset_working_mc 0x20\nstartlan 1\naddr 127.0.0.1 %s\npriv_limit admin\n' "$1" "$2"
        for level in callback user operator admin; do echo "allowed_auths_$level none md2 md5 straight"; done
        printf 'guid a123456789abcdefa123456789abcdef\nendlan\n'
        printf 'chassis_control "%s %s chassis %s"\n' "$(realpath "${BASH_SOURCE[0]}")" "${LAB_DIR##*/}" "$1"
        printf 'user 2 true "%s" "%s" admin 10 none md2 md5 straight\n' "$BMC_USER" "$BMC_PASSWORD"
    } >"$folder/lan.conf"
    printf 'mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n' >"$folder/sim.cmd"
    lab_start "ipmi-$1" ipmi_sim -c "$folder/lan.conf" -f "$folder/sim.cmd" -s "$folder/sim" -n
}

# chassis NODE get NAME... | set NAME VALUE...: what ipmi_sim asks for. `power` is 0 or 1, `boot` is none, pxe or default (the disk).
bmc_chassis() {
    local node="$1" verb="$2" name
    shift 2
    while [ $# -gt 0 ]; do
        name="$1" && shift
        case "$verb $name" in
        "get power") echo "power:$(if bmc_is_on "$node"; then echo 1; else echo 0; fi)" ;;
        "get boot") echo "boot:$(cat "$LAB_DIR/bmc/$node/boot")" ;;
        "set power") bmc_switch "$node" "$([ "$1" = 0 ] && echo off || echo on)" ;;
        "set boot") echo "$1" >"$LAB_DIR/bmc/$node/boot" ;;
        *) echo "bmc.sh: $verb $name: not known" >&2 && return 1 ;;
        esac
        [ "$verb" = get ] || shift
    done
}

# ---- Redfish --------------------------------------------------------------------------------------------------------

# bmc_redfish NODE MAC PORT: OpenStack's emulator at https://127.0.0.1:PORT of the head. Its simulated machine takes seconds to switch, and tells this
# file of every change. Of a machine whose plug was pulled it still believes that it is on.
bmc_redfish() {
    local folder="$LAB_DIR/bmc/$1" bin="${CARGO_TARGET_DIR:-$(repository_root)/target}/sushy-tools/bin"
    [ -x "$bin/sushy-emulator" ] || { echo "bmc_redfish: no $bin/sushy-emulator: run tests/lab/setup.sh test" >&2 && return 1; }
    BMC_PASSWORD="$BMC_PASSWORD" "$bin/python" -c 'import bcrypt, os; print("'"$BMC_USER"':" + bcrypt.hashpw(os.environ["BMC_PASSWORD"].encode(), bcrypt.gensalt(4)).decode())' \
        >"$folder/accounts"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=bmc -keyout "$folder/key.pem" -out "$folder/cert.pem" 2>/dev/null
    cat >"$folder/settings.py" <<TEXT
SUSHY_EMULATOR_AUTH_FILE = '$folder/accounts'
SUSHY_EMULATOR_STATE_DIR = '$folder'
EXTERNAL_NOTIFICATION_URL = 'http://127.0.0.1:$(($3 + 1))/'
SUSHY_EMULATOR_FAKE_SYSTEMS = [{'uuid': '00000000-0000-4000-8000-${2//:/}', 'name': '$1', 'power_state': 'Off', 'external_notifier': True,
                                'nics': [{'mac': '$2', 'ip': '127.0.0.1'}]}]
TEXT
    lab_start "notified-$1" socat "TCP-LISTEN:$(($3 + 1)),bind=127.0.0.1,reuseaddr,fork" \
        "EXEC:$(realpath "${BASH_SOURCE[0]}") ${LAB_DIR##*/} notified"
    lab_start "redfish-$1" env -u http_proxy -u HTTP_PROXY -u https_proxy -u HTTPS_PROXY "$bin/sushy-emulator" --fake --config "$folder/settings.py" \
        -i 127.0.0.1 -p "$3" --ssl-certificate "$folder/cert.pem" --ssl-key "$folder/key.pem"
}

# One HTTP request with the emulator's machine as JSON. Only a change of its power says something about ours.
bmc_notified() {
    local line length=0 system node state
    while IFS= read -r line && [ "$line" != $'\r' ]; do
        case "${line,,}" in content-length:*) length="${line//[^0-9]/}" ;; esac
    done
    system="$(head -c "$length")"
    node="$(jq -r .name <<<"$system")"
    state="$(jq -r .power_state <<<"$system")"
    {
        flock 9
        if [ "$(cat "$LAB_DIR/bmc/$node/told")" != "$state" ]; then
            echo "$state" >"$LAB_DIR/bmc/$node/told"
            jq -r 'if .boot_device == "Pxe" then "pxe" else "none" end' <<<"$system" >"$LAB_DIR/bmc/$node/boot"
            bmc_switch "$node" "${state,,}" >&2 9>&-
        fi
    } 9>"$LAB_DIR/bmc/$node/lock"
    printf 'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n'
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    # shellcheck source=tests/lab/cluster.sh
    source "$(dirname "$(realpath "$0")")/cluster.sh"
    lab_use "$1"
    case "$2" in
    chassis) bmc_chassis "${@:3}" ;;
    notified) bmc_notified ;;
    *) echo "bmc.sh: unknown command $2" >&2 && exit 2 ;;
    esac
fi
