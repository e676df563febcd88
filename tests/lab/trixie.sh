# shellcheck shell=bash
# Packages of Debian 13 on a machine that runs something else, from the archive that its own apt sources name. Sourced.

# trixie_fetch FOLDER PATTERN: download the newest package whose name matches the extended regular expression; prints the .deb's path.
trixie_fetch() {
    local folder="$1" pattern="$2" archive package
    # shellcheck disable=SC2016 # apt's variable, not the shell's
    archive="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)"
    [ -n "$archive" ] || { echo "trixie_fetch: no Debian archive in the apt sources of this machine" >&2 && return 1; }
    mkdir -p "$folder"/{lists/partial,cache/archives/partial,parts}
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive trixie main" >"$folder/sources.list"
    : >"$folder/status"
    local apt=(-qq -o "Dir::State=$folder" -o "Dir::State::lists=$folder/lists" -o "Dir::State::status=$folder/status" -o "Dir::Cache=$folder/cache"
        -o "Dir::Etc::sourcelist=$folder/sources.list" -o "Dir::Etc::sourceparts=$folder/parts" -o "Dir::Etc::preferencesparts=$folder/parts"
        -o APT::Sandbox::User=root -o APT::Architecture=amd64 -o APT::Architectures=amd64)
    apt-get "${apt[@]}" update >&2
    package="$(apt-cache "${apt[@]}" pkgnames | grep -E "^($pattern)\$" | sort -V | tail -n 1)"
    [ -n "$package" ] || { echo "trixie_fetch: no package matches $pattern" >&2 && return 1; }
    (cd "$folder" && rm -f ./*.deb && apt-get "${apt[@]}" download "$package" >&2)
    echo "$folder"/*.deb
}
