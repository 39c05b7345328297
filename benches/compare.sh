#!/usr/bin/env bash
# Times postmesh against other tools that do a similar job, on logs that are generated the same way everywhere.
#
#   benches/compare.sh                     1 GiB of text, 1 GiB of JSON, 256 MiB each of gzip and zstd, 5 runs
#   BENCH_BYTES=64MiB BENCH_RUNS=3 benches/compare.sh
#
#   BENCH_BYTES      size of the text and JSON logs; a quarter of it is compressed (suffix KiB, MiB or GiB)
#   BENCH_RUNS       runs of each command, in alternation
#   BENCH_GROUPS     only these groups of inputs (text json gzip zstd mixed keys pods capture tshark flood), all by
#                    default
#   BENCH_KEYS       distinct destinations of the log that tests memory
#   BENCH_CACHE      folder for the logs (default: target/bench); they are made once
#   BENCH_PEERS_ONLY leave postmesh out
#   POSTMESH_BIN     a built program to be timed instead of target/release/postmesh
#   POSTMESH_PEERS   folder with the peers: venv/bin/python (with duckdb), cargo/bin/rg; else they are looked for in PATH
set -euo pipefail
cd "$(dirname "$0")/.."

size=${BENCH_BYTES:-1GiB}
bytes=$(numfmt --from=auto <<<"${size%B}")
runs=${BENCH_RUNS:-5}
keys=${BENCH_KEYS:-1000000}
peers=${POSTMESH_PEERS:-/opt/peers}
groups=" ${BENCH_GROUPS:-text json gzip zstd mixed keys pods capture tshark flood} "
generator=target/release/examples/generate_logs
packet_generator=target/release/examples/generate_capture
sources=$(cat examples/generate_*/*.rs | sha256sum | cut -c1-12)
cache=${BENCH_CACHE:-target/bench}/$sources
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '%s\n' "$*" >&2; }

build() {
    say "building"
    cargo build --release --quiet --example generate_logs --example generate_capture
    if [[ -z ${BENCH_PEERS_ONLY:-} ]]; then
        [[ -n ${POSTMESH_BIN:-} ]] || cargo build --release --quiet
        postmesh=${POSTMESH_BIN:-target/release/postmesh}
    fi
}

# generate NAME OPTION...: makes $cache/NAME.log and what must be counted in it, unless they are there.
generate() {
    local file=$cache/$1
    shift
    [[ -s $file.expect.json ]] && return
    say "generating $file.log"
    "$generator" "$@" --out "$file.log.part" --expect "$file.expect.json.part"
    mv "$file.log.part" "$file.log"
    mv "$file.expect.json.part" "$file.expect.json"
}

wants() { [[ $groups == *" $1 "* ]]; }

# generate_capture NAME KIND BYTES: the same for captures.
generate_capture() {
    local file=$cache/$1
    [[ -s $file.expect.json ]] && return
    say "generating $file.pcap"
    "$packet_generator" "$2" --bytes "$3" --out "$file.pcap.part" --expect "$file.expect.json.part"
    mv "$file.pcap.part" "$file.pcap"
    mv "$file.expect.json.part" "$file.expect.json"
}

make_captures() {
    capture=$cache/traffic-$bytes eighth=$cache/traffic-$((bytes / 8)) flood=$cache/flood-$((bytes / 2))
    if wants capture; then generate_capture "${capture##*/}" traffic "$bytes"; fi
    if wants tshark; then generate_capture "${eighth##*/}" traffic $((bytes / 8)); fi
    if wants flood; then generate_capture "${flood##*/}" flood $((bytes / 2)); fi
}

make_inputs() {
    mkdir -p "$cache"
    text=$cache/text-$bytes json=$cache/json-$bytes quarter=$cache/text-$((bytes / 4))
    mixed=$cache/mixed-$((bytes / 4)) many=$cache/manykeys-$keys pods=$cache/pods-$((bytes / 4))
    wants text || wants json || wants gzip || wants zstd || wants mixed || wants keys || wants pods || return 0
    generate "${text##*/}" text --bytes "$bytes"
    generate "${json##*/}" json --bytes "$bytes"
    generate "${quarter##*/}" text --bytes $((bytes / 4))
    generate "${mixed##*/}" mixed --bytes $((bytes / 4))
    generate "${many##*/}" manykeys --keys "$keys" --rows "$keys"
    if wants pods && [[ ! -d $pods ]]; then
        # As if each hundredth were the log of another pod.
        mkdir -p "$pods.part"
        split --number=l/100 --suffix-length=3 --numeric-suffixes --additional-suffix=.log "$quarter.log" "$pods.part/pod-"
        mv "$pods.part" "$pods"
    fi
    [[ -s $quarter.log.gz ]] || gzip -6 --no-name --stdout "$quarter.log" >"$quarter.log.gz"
    if command -v zstd >/dev/null && [[ ! -s $quarter.log.zst ]]; then
        zstd --quiet -3 "$quarter.log" -o "$quarter.log.zst"
    fi
}

find_peers() {
    python=$(command -v "$peers/venv/bin/python" || command -v python3)
    rg=$(command -v "$peers/cargo/bin/rg" || command -v rg || true)
    pigz=$(command -v pigz || true)
    zstd=$(command -v zstd || true)
    if ! "$python" -c 'import duckdb' 2>/dev/null; then
        say "no DuckDB: python3 -m venv $peers/venv && $peers/venv/bin/pip install duckdb"
        python=
    fi
    if [[ -z $rg || $("$rg" --version) != "ripgrep 15."* ]]; then
        say "no ripgrep 15 (older releases are several times slower at this): cargo install ripgrep --root $peers/cargo"
        rg=
    fi
    [[ -n $pigz ]] || say "no pigz: apt-get install pigz"
    [[ -n $zstd ]] || say "no zstd: apt-get install zstd"
}

describe_machine() {
    grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //' || uname -m
    echo "$(nproc) CPUs, load $(cut -d' ' -f1 /proc/loadavg), $(rustc --version)"
    [[ -z $python ]] || "$python" -c 'import duckdb; print("DuckDB", duckdb.__version__)'
    [[ -z $rg ]] || "$rg" --version | head -1
    echo
}

# check_postmesh INPUT EXPECT: counts must be right before they are timed.
check_postmesh() {
    "$postmesh" analyze --exit-zero --no-run-info --threads 2 --format json "$1" >"$work/report.json"
    python3 benches/check_counts.py "$2" <"$work/report.json" || { say "postmesh miscounts $1"; exit 1; }
}

check_duckdb() {
    local rows
    rows=$("$python" benches/peers/duckdb_job.py "$1" "$2.log")
    grep -q "\"rows\": ${rows//[!0-9]/}," "$2.expect.json" || { say "DuckDB counts $rows rows in $2.log"; exit 1; }
}

# check_capture INPUT EXPECT: the same for captures.
check_capture() {
    "$postmesh" analyze --exit-zero --no-run-info --threads 2 --format json "$1" >"$work/report.json"
    python3 benches/check_packets.py "$2" <"$work/report.json" || { say "postmesh miscounts $1"; exit 1; }
}

# capture_job GROUP NAME THREADS FILE: checks, then adds.
capture_job() {
    [[ -z ${BENCH_PEERS_ONLY:-} ]] || return 0
    check_capture "$4.pcap" "$4.expect.json"
    job "$1" "$2" "$postmesh analyze --exit-zero --threads $3 --format json $4.pcap"
}

# peer_job GROUP NAME PROGRAM COMMAND: adds a peer if it is installed.
peer_job() {
    if command -v "$3" >/dev/null; then job "$1" "$2" "$4"; else say "no $3: apt-get install tcpdump tcptrace tshark"; fi
}

plan_captures() {
    if wants capture; then
        capture_job capture "postmesh capture" 1 "$capture"
        capture_job capture "postmesh capture 2 workers" 2 "$capture"
        peer_job capture "tcpdump capture" tcpdump "tcpdump -r $capture.pcap -w /dev/null"
        peer_job capture "capinfos capture" capinfos "capinfos -M $capture.pcap"
        peer_job capture "tcptrace capture" tcptrace "tcptrace -n $capture.pcap"
    fi
    if wants tshark; then
        capture_job tshark "postmesh eighth" 1 "$eighth"
        peer_job tshark "tshark eighth" tshark "tshark -n -q -z conv,tcp -z expert -r $eighth.pcap"
    fi
    if wants flood; then capture_job flood "postmesh flood" 2 "$flood"; fi
}

# job GROUP NAME COMMAND: adds a job.
job() { printf '%s\t%s\t%s\n' "$@" >>"$work/jobs.tsv"; }

# postmesh_job GROUP NAME THREADS INPUT EXPECT: checks, then adds.
postmesh_job() {
    [[ -z ${BENCH_PEERS_ONLY:-} ]] || return 0
    check_postmesh "$4" "$5"
    job "$1" "$2" "$postmesh analyze --exit-zero --threads $3 --format json $4"
}

plan() {
    say "checking"
    : >"$work/jobs.tsv"
    if wants text; then
        postmesh_job text "postmesh text" 1 "$text.log" "$text.expect.json"
        postmesh_job text "postmesh text 2 workers" 2 "$text.log" "$text.expect.json"
        [[ -z $python ]] || { check_duckdb text "$text"; job text "duckdb text" "$python benches/peers/duckdb_job.py text $text.log"; }
        [[ -z $rg ]] || job text "ripgrep text" "$rg -c -F -f benches/peers/literals.txt $text.log"
        job text "wc text" "wc -l $text.log"
    fi
    if wants json; then
        postmesh_job json "postmesh json" 1 "$json.log" "$json.expect.json"
        [[ -z $python ]] || { check_duckdb json "$json"; job json "duckdb json" "$python benches/peers/duckdb_job.py json $json.log"; }
    fi
    if wants gzip; then
        postmesh_job gzip "postmesh gzip" 1 "$quarter.log.gz" "$quarter.expect.json"
        [[ -z $pigz ]] || job gzip "pigz gzip" "$pigz -dc $quarter.log.gz >/dev/null"
    fi
    if wants zstd && [[ -n $zstd ]]; then
        postmesh_job zstd "postmesh zstd" 1 "$quarter.log.zst" "$quarter.expect.json"
        job zstd "zstd zstd" "$zstd -dcq $quarter.log.zst >/dev/null"
    fi
    if wants mixed; then postmesh_job mixed "postmesh mixed" 1 "$mixed.log" "$mixed.expect.json"; fi
    if wants pods; then
        postmesh_job pods "postmesh one log" 1 "$quarter.log" "$quarter.expect.json"
        postmesh_job pods "postmesh 100 logs" 1 "$pods" "$quarter.expect.json"
        postmesh_job pods "postmesh 100 logs 2 workers" 2 "$pods" "$quarter.expect.json"
    fi
    if wants keys; then postmesh_job keys "postmesh manykeys" 2 "$many.log" "$many.expect.json"; fi
}

build
make_inputs
find_peers
make_captures
plan
plan_captures
find "$cache" -type f ! -name '*.json' -exec cat {} + >/dev/null # into the page cache
describe_machine
python3 benches/alternate.py "$runs" "$work/jobs.tsv" benches/goals.tsv
