package brig.testing.bench;

import java.util.List;

/**
 * How much is measured.
 *
 * @param runs {@code ctr run} of each subject
 * @param execs {@code ctr task exec} of each subject
 * @param lives containers taken through their life by gRPC, phase by phase
 * @param bursts how often 50 containers are run with 10 in flight
 * @param pods numbers of pods at which memory and latency are looked at, ascending
 * @param runsAmong {@code ctr run} of each subject with each such number of its pods there
 * @param states State calls of each subject and way
 * @param cpuRounds rounds of the CPU row, of {@code cpuLives} containers each
 * @param cpuLives containers in a round of the CPU row
 * @param megabytes written to a FIFO for the throughput row
 * @param streams how often they are
 * @param daemonStarts starts of the daemon
 */
record Plan(
    int runs,
    int execs,
    int lives,
    int bursts,
    List<Integer> pods,
    int runsAmong,
    int states,
    int cpuRounds,
    int cpuLives,
    int megabytes,
    int streams,
    int daemonStarts) {

  static Plan full() {
    return new Plan(200, 200, 100, 5, List.of(1, 10, 100, 500), 30, 3000, 3, 30, 1024, 3, 10);
  }

  /** Under a minute: enough to see a slip, too little for a p99 that means something. */
  static Plan quick() {
    return new Plan(30, 30, 20, 1, List.of(1, 10), 5, 500, 1, 15, 256, 1, 3);
  }
}
