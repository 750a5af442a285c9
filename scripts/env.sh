# Sourced by the other scripts: the checkout as working directory, a PATH with what need.sh installed, `step`.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=$PWD/target/tools
export PATH=$tools/node/bin:$tools/bin:$HOME/.cargo/bin:$PATH
export NO_UPDATE_NOTIFIER=1 PIP_DISABLE_PIP_VERSION_CHECK=1 CARGO_TERM_PROGRESS_WHEN=never

# step NAME SECONDS_MAX COMMAND...: runs it within a time limit and says how long it took. SECONDS_MAX `-`: the command
# limits itself, and may ask for a password.
step() {
    local name=$1 limit=$2 begin=$SECONDS status=0
    shift 2
    echo "==> $name"
    if [[ $limit == - ]]; then "$@" || status=$?; else timeout --kill-after=15 "$limit" "$@" || status=$?; fi
    if ((status != 0)); then
        if ((status == 124 || status == 137)); then echo "==> $name: not done after $limit s" >&2; fi
        echo "==> $name: failed after $((SECONDS - begin)) s" >&2
        return "$status"
    fi
    echo "==> $name: $((SECONDS - begin)) s"
}

as_root() {
    if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi
}
