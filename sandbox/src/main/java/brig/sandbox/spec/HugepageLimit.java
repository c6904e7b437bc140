package brig.sandbox.spec;

/** {@code linux.resources.hugepageLimits[]}; page size as in the cgroup file names ("2MB"). */
public record HugepageLimit(String pageSize, long limit) {}
