# Shared by the scripts beside it; to be sourced. Progress lines, logs, stamps, and where the tools are.
# shellcheck shell=bash

set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$repository/build
logs=$build/logs
mkdir -p "$logs"

# usage: prints the comment at the head of the calling script.
usage() {
    sed -n '2,/^[^#]/{/^# shellcheck /d;s/^# \{0,1\}//p}' "$0"
}

die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

must_be_root() {
    [ "$(id -u)" = 0 ] || die "needs root: it makes namespaces, mounts and control groups (run it with sudo)"
}

now() { date +%s%N; }

# seconds START-IN-NANOSECONDS
seconds() {
    local tenths=$((($(now) - $1) / 100000000))
    echo "$((tenths / 10)).$((tenths % 10))"
}

# step TITLE COMMAND...: one line with the time it took; output goes to a log whose end is shown if the command fails.
step() {
    local title=$1 log status=0 start
    shift
    log=$logs/$(basename "$0")-$(echo "$title" | tr -cs 'a-zA-Z0-9' '-' | sed 's/-*$//').log
    start=$(now)
    [ -t 2 ] && printf '  %-58s' "$title" >&2
    # A subshell of its own, so that errexit holds within it.
    set +e
    (set -e; "$@") >"$log" 2>&1 </dev/null
    status=$?
    set -e
    [ -t 2 ] || printf '  %-58s' "$title" >&2
    if [ $status = 0 ]; then
        printf ' %6s s%s\n' "$(seconds "$start")" "$(step_note "$log")" >&2
        return 0
    fi
    printf ' failed after %s s\n' "$(seconds "$start")" >&2
    tail -n 40 "$log" | sed 's/^/    /' >&2
    echo "    (all of it: $log)" >&2
    return $status
}

# A last line that begins with "note: " is shown behind the step's time.
step_note() {
    tail -n 1 "$1" | sed -n 's/^note: \(.*\)/  \1/p'
}

# digest PATH...: of the content and names of the files beneath these paths.
digest() {
    find "$@" -type f -not -path '*/target/*' -print0 2>/dev/null | sort -z | xargs -0 -r sha256sum | sha256sum | cut -d' ' -f1
}

# is_current STAMP KEY: whether STAMP was made of KEY.
is_current() {
    [ "$(cat "$1" 2>/dev/null)" = "$2" ]
}

# Tools that scripts/setup found or installed: JAVA_HOME, PATH.
use_tools() {
    [ -r "$build/tools.sh" ] || die "run scripts/setup first"
    # shellcheck source=/dev/null
    . "$build/tools.sh"
}

# The programs of test-images (bench, faults), built beside what Maven keeps for itself. "${harness[@]}" is the command line up to the main class.
build_harness() {
    local key
    key=$(digest "$repository"/pom.xml "$repository"/test-images/{pom.xml,src/main})
    if is_current "$build/harness.key" "$key"; then return; fi
    cd "$repository"
    rm -rf "$build/harness" "$build/harness.key"
    mvn -B -q package dependency:copy-dependencies -pl test-images -DskipTests -Dspotless.check.skip -DincludeScope=runtime \
        -DoutputDirectory="$build/harness"
    cp test-images/target/brig-test-images-*.jar "$build/harness/"
    echo "$key" >"$build/harness.key"
}

# shellcheck disable=SC2034  # used by those who source this
use_harness() {
    harness=("$JAVA_HOME/bin/java" --enable-native-access=ALL-UNNAMED -Xmx512m -cp "$build/harness/*" -Dbrig.home="$repository"
        -Dbrig.prefix="$build/prefix")
}
