package brig.shim.metrics;

import java.util.Map;

/**
 * What there is on the node at this moment.
 *
 * @param pods whose keeper is connected
 * @param podsAway known by their keeper's record alone
 * @param containers by state's name
 * @param execs processes in running containers beside the first
 * @param ranges id ranges given out
 * @param rangesMax as many as the pool has room for
 */
public record Node(
    int pods,
    int podsAway,
    Map<String, Integer> containers,
    int execs,
    int ranges,
    long rangesMax) {
  public Node {
    containers = Map.copyOf(containers);
  }
}
