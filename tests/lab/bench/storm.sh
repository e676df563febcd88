# shellcheck shell=bash
# Rows storm_p99 (the slowest p99 of all kinds of requests), storm_memory, storm_starved (nodes that were not installed as they should be), storm_time and
# storm_nodes_cpu (the processor time of the simulated nodes, for every second of the head's: what they take the head cannot have) at 2,000 nodes that boot at
# once, and storm_p99_growth: how many times that of 250. No peer: no other tool has such a benchmark.

storm_rows() {
    wanted storm_p99 storm_memory storm_starved storm_time storm_nodes_cpu storm_p99_growth || return 0
    # A node that is not as it should be makes it fail; the row says so.
    "$KICKCTL" bench storm --nodes 250,500,1000,2000 --seed 1 -o json >"$BENCH_WORK/storm.json" || true
    jq -r '.[] | .nodes as $nodes | .requests[] | "  \($nodes) nodes, \(.request): p50 \(.p50_ms) ms, p99 \(.p99_ms) ms, max \(.max_ms) ms, \(.count) times"' "$BENCH_WORK/storm.json"
    storm() { jq "(map(. + {worst: (.requests | map(.p99_ms) | max)}) | $1) * 100 | round / 100" "$BENCH_WORK/storm.json"; }
    limit_row storm_p99 ms "$(storm '.[-1].worst')" 250
    limit_row storm_p99_growth times "$(storm '.[-1].worst / .[0].worst')" null
    limit_row storm_memory MiB "$(storm '.[-1].memory_bytes / 1048576')" 300
    limit_row storm_starved nodes "$(storm '.[-1] | .nodes - .verified + (.wrong | add // 0)')" 0
    limit_row storm_time s "$(storm '.[-1].total_s')" null
    limit_row storm_nodes_cpu times "$(storm '.[-1] | .nodes_cpu_s / .head_cpu_s')" null
}
