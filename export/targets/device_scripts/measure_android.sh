#!/bin/sh
# How long an Android device takes for each TFLite file beside this script, by LiteRT's benchmark_model.
#
#     sh measure_android.sh BENCHMARK_MODEL [OUT]
#
# BENCHMARK_MODEL: the program, built for the device; also from the environment. Google's builds:
#     https://storage.googleapis.com/tensorflow-nightly-public/prod/tensorflow/release/lite/tools/nightly/latest/android_aarch64_benchmark_model
#     https://storage.googleapis.com/litert/binaries/latest/android_arm64/benchmark_model
# (https://ai.google.dev/edge/litert/models/measurement). OUT: latencies.json beside this script if it is not given.
# From the environment: THREADS (1), DEVICE (the device's name, for people), ANDROID_SERIAL (which of several devices,
# as adb takes it). It needs adb and a device with USB debugging.
#
# Exit code 0: measured; 1: no file ran; 2: something is missing.

set -eu
LC_ALL=C
export LC_ALL

here=$(cd "$(dirname "$0")" && pwd)
program=${1:-${BENCHMARK_MODEL:-}}
out=${2:-$here/latencies.json}
threads=${THREADS:-1}
there=/data/local/tmp/unfreeze_probe

stop() {
    echo "error: $1" >&2
    exit 2
}

safe() { # a text that may stand in a JSON string
    tr -cd 'A-Za-z0-9 ._()+:,/=_-' | cut -c 1-100
}

[ -f "$program" ] || stop "give the path of benchmark_model for the device; the head of this script says where it is"
case $threads in *[!0-9]* | '' | 0*) stop "THREADS is $threads; give a number, 1 or more" ;; esac
command -v adb > /dev/null || stop "adb is not installed; it is part of Android's platform-tools"
[ "$(adb get-state 2> /dev/null | tr -d '\r')" = device ] || stop "adb sees no device, or several: connect one, allow USB debugging"
set -- "$here"/*.tflite
[ -f "$1" ] || stop "no .tflite file in $here"

device=$(printf '%s' "${DEVICE:-$(adb shell getprop ro.product.model)}" | safe)
adb shell "mkdir -p $there"
adb push "$program" "$there/benchmark_model" > /dev/null
adb shell "chmod 755 $there/benchmark_model"

said=$(mktemp)
made=$(mktemp)
trap 'rm -f "$said" "$made"' EXIT
ran=0
comma=
printf '{\n  "device": "%s",\n  "runtime": "benchmark_model",\n  "threads": %s,\n  "latencies": {' "$device" "$threads" > "$made"
for file in "$@"; do
    name=$(basename "$file")
    adb push "$file" "$there/model.tflite" > /dev/null
    # the last line of adb, not its exit code, says how it went: old versions always give 0
    adb shell "$there/benchmark_model --graph=$there/model.tflite --num_threads=$threads" < /dev/null > "$said" 2>&1 || true
    if entry=$(awk '
        { sub(/\r$/, "") }
        /count=[0-9]/ { counted = $0 } # of the warm-up, then of the timed runs
        /Inference \(avg\):/ {
            average = $0
            sub(/.*Inference \(avg\): */, "", average)
            latency = average ~ /ms/ ? average + 0 : average / 1000
        }
        /Memory footprint delta/ { memory = $0; sub(/.*overall=/, "", memory) }
        /Overall footprint:/ { memory = $0; sub(/.*Overall footprint: */, "", memory) }
        END {
            if (latency <= 0) exit 1
            if (match(counted, /median=[0-9.e+]+/)) latency = substr(counted, RSTART + 7, RLENGTH - 7) / 1000
            printf "\"latency_ms\": %.4f", latency
            if (memory + 0 > 0) printf ", \"memory_mb\": %.2f", memory * 1.048576 # it tells mebibytes
        }' "$said"); then
        ran=$((ran + 1))
    else
        echo "$name: benchmark_model says:" >&2
        tail -n 5 "$said" >&2
        entry="\"trouble\": \"benchmark_model: $(grep -v '^[[:space:]]*$' "$said" | tail -n 1 | safe)\""
    fi
    echo "$name  $entry" >&2
    printf '%s\n    "%s": {%s}' "$comma" "$name" "$entry" >> "$made"
    comma=,
done
printf '\n  }\n}\n' >> "$made"
adb shell "rm -r $there"
cp "$made" "$out.part"
mv "$out.part" "$out"
echo "wrote $out" >&2
[ "$ran" -gt 0 ] || {
    echo "error: no file ran" >&2
    exit 1
}
