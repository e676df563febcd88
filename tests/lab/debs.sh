# shellcheck shell=bash
# Real Debian packages, from where this machine's own apt sources say.

# debs_fetch FOLDER PACKAGE...: they and all they need, as if nothing was installed, into FOLDER.
debs_fetch() {
    local folder="$1"
    shift
    mkdir -p "$folder/partial"
    : >"$folder/partial/status"
    apt-get -qq -y -o "Dir::State::status=$folder/partial/status" -o "Dir::Cache::archives=$folder" -o APT::Install-Recommends=false \
        -o APT::Sandbox::User=root --download-only install "$@" >"$folder/partial/log" 2>&1 || { cat "$folder/partial/log" >&2 && return 1; }
}
