package brig.sandbox.plan;

/**
 * A contiguous range of host ids that belongs to one pod, for users and groups alike.
 *
 * @param firstHostId host id of container id 0
 * @param size number of ids
 */
public record IdRange(long firstHostId, long size) {}
