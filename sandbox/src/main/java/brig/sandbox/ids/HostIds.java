package brig.sandbox.ids;

/** A range of host ids, users and groups alike. */
record HostIds(long first, long size) {
  long end() {
    return first + size;
  }

  boolean overlaps(HostIds other) {
    return first < other.end() && other.first < end();
  }

  boolean contains(HostIds other) {
    return first <= other.first && other.end() <= end();
  }

  @Override
  public String toString() {
    return first + "-" + (end() - 1);
  }
}
