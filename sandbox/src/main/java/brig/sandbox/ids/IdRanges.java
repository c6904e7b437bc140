package brig.sandbox.ids;

import brig.proto.plan.IdMap;
import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.sandbox.SandboxConfig;
import brig.sandbox.plan.IdRange;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * The table of host ids in use, kept in a file beneath the run directory by atomic rename: what the
 * file says is acted on, never before it is written. Safe for use by many threads.
 *
 * <p>A table that can't be read is put aside and said so; what living processes map is never given
 * out then, since the maps in /proc are looked at as well: before the first range is given out, not
 * earlier, for a daemon that only takes over need not wait for it.
 */
public final class IdRanges {
  private static final String STEP = "id ranges";
  private static final long MAX_ID = 0xffff_ffffL;

  private final Path file;
  private final SandboxConfig.Ids config;
  private final List<HostIds> foreign;
  private final Supplier<List<HostIds>> live;
  private final Consumer<String> warn;
  private Table table;
  private boolean lookedAtLive;

  private IdRanges(
      Path file,
      SandboxConfig.Ids config,
      List<HostIds> foreign,
      Supplier<List<HostIds>> live,
      Consumer<String> warn,
      Table table) {
    this.file = file;
    this.config = config;
    this.foreign = new ArrayList<>(foreign);
    this.live = live;
    this.warn = warn;
    this.table = table;
  }

  /**
   * @param stateFile the table; need not exist
   * @param foreign lines of /etc/subuid and /etc/subgid
   * @param warn told what is wrong with the file, and what of the pool can't be used
   */
  public static IdRanges load(
      Path stateFile, SandboxConfig.Ids ids, List<SubIds> foreign, Consumer<String> warn)
      throws BrigException {
    return load(stateFile, ids, foreign, () -> LiveMaps.scan(Path.of("/proc")), warn);
  }

  /**
   * @param live what living processes map; asked once, before the first range is given out
   */
  static IdRanges load(
      Path stateFile,
      SandboxConfig.Ids ids,
      List<SubIds> foreign,
      Supplier<List<HostIds>> live,
      Consumer<String> warn)
      throws BrigException {
    HostIds pool = new HostIds(ids.poolStart(), ids.poolSize());
    if (pool.first() < SandboxConfig.Ids.HOST_IDS
        || pool.end() > MAX_ID
        || ids.perPod() > pool.size()
        || ids.idsPerPod() < 1) {
      throw new BrigException(
          Kind.INVALID_ARGUMENT,
          STEP,
          "pool " + pool,
          "doesn't hold " + ids.perPod() + " ids above " + SandboxConfig.Ids.HOST_IDS,
          "correct [ids] in brig.toml");
    }
    Table table = read(stateFile, pool, warn);
    List<HostIds> taken = new ArrayList<>();
    for (SubIds sub : foreign) {
      HostIds range = new HostIds(sub.first(), sub.size());
      if (range.overlaps(pool)) {
        taken.add(range);
        warn.accept(
            "id ranges: "
                + range
                + " of the pool belongs to "
                + sub.owner()
                + " by /etc/subuid or /etc/subgid and stays unused");
      }
    }
    return new IdRanges(stateFile, ids, taken, live, warn, table);
  }

  /** Takes out of the pool what processes map that no pod accounts for. */
  private void lookAtLive() {
    if (lookedAtLive) {
      return;
    }
    lookedAtLive = true;
    HostIds pool = new HostIds(config.poolStart(), config.poolSize());
    for (HostIds range : live.get()) {
      if (range.overlaps(pool) && !known(table, range)) {
        foreign.add(range);
        warn.accept(
            "id ranges: a living process that no pod in the table accounts for maps "
                + range
                + "; these ids stay unused until brigd starts again");
      }
    }
  }

  /** A range of the pod's own; the same one each time until {@link #release}. */
  public synchronized IdRange allocate(String podKey) throws BrigException {
    HostIds own = table.ranges().get(podKey);
    if (own == null) {
      lookAtLive();
      own =
          find()
              .orElseThrow(() ->
                  new BrigException(
                      Kind.RESOURCE_EXHAUSTED,
                      STEP,
                      podKey,
                      "no " + config.perPod() + " ids are free in the pool",
                      "raise pool_size or lower ids_per_pod in [ids] of brig.toml"));
      Table changed = table.copy(own.end());
      changed.ranges().put(podKey, own);
      keep(changed);
    }
    return new IdRange(own.first(), own.size());
  }

  /**
   * Nothing of the pod lives any more. Unknown keys are ignored.
   *
   * @throws BrigException where that can't be written: the ids are free all the same, and the file
   *     says so with the next change. Until then it says that more is taken than is.
   */
  public synchronized void release(String podKey) throws BrigException {
    if (!table.ranges().containsKey(podKey) && !table.booked().containsKey(podKey)) {
      return;
    }
    Table changed = table.copy(table.next());
    changed.ranges().remove(podKey);
    changed.booked().remove(podKey);
    table = changed;
    keep(changed);
  }

  /** Pods that have ids. */
  public synchronized Set<String> pods() {
    Set<String> pods = new TreeSet<>(table.ranges().keySet());
    pods.addAll(table.booked().keySet());
    return pods;
  }

  /** Those of the pods of which some process's user namespace maps ids, as /proc shows it now. */
  public Set<String> mapped(Set<String> pods) {
    Table now;
    synchronized (this) {
      now = table;
    }
    List<HostIds> live = LiveMaps.scan(Path.of("/proc"));
    Set<String> mapped = new TreeSet<>();
    for (String pod : pods) {
      List<HostIds> own = new ArrayList<>(now.booked().getOrDefault(pod, List.of()));
      Optional.ofNullable(now.ranges().get(pod)).ifPresent(own::add);
      if (own.stream().anyMatch(ids -> live.stream().anyMatch(ids::overlaps))) {
        mapped.add(pod);
      }
    }
    return mapped;
  }

  /**
   * Notes host ids that a spec or a living pod brings, so that Brig gives them to nobody. Pods
   * whose specs bring the same ids may share them: that is what their creator asked for.
   *
   * @throws BrigException where Brig has given some of them to another pod
   */
  public synchronized void book(String podKey, List<IdMap> uidMaps, List<IdMap> gidMaps)
      throws BrigException {
    List<HostIds> ids = new ArrayList<>();
    collect(uidMaps, ids);
    collect(gidMaps, ids);
    for (HostIds range : ids) {
      for (Map.Entry<String, HostIds> given : table.ranges().entrySet()) {
        if (!given.getKey().equals(podKey) && given.getValue().overlaps(range)) {
          throw new BrigException(
              Kind.FAILED_PRECONDITION,
              STEP,
              podKey,
              "maps host ids " + range + ", of which pod " + given.getKey() + " has some",
              "map ids outside the pool " + new HostIds(config.poolStart(), config.poolSize()));
        }
      }
    }
    HostIds own = table.ranges().get(podKey);
    List<HostIds> before = table.booked().getOrDefault(podKey, List.of());
    List<HostIds> all = new ArrayList<>(before);
    for (HostIds range : ids) {
      boolean covered = own != null && own.contains(range);
      if (!covered && !all.contains(range)) {
        all.add(range);
      }
    }
    if (all.size() == before.size()) {
      return;
    }
    Table changed = table.copy(table.next());
    changed.booked().put(podKey, List.copyOf(all));
    keep(changed);
  }

  private static void collect(List<IdMap> maps, List<HostIds> ids) {
    for (IdMap map : maps) {
      HostIds range =
          new HostIds(
              Integer.toUnsignedLong(map.getHostId()), Integer.toUnsignedLong(map.getSize()));
      if (!ids.contains(range)) {
        ids.add(range);
      }
    }
  }

  /** The first gap from {@code next} on, round the pool once. */
  private Optional<HostIds> find() {
    long size = config.perPod();
    long start = config.poolStart();
    long end = start + config.poolSize();
    long begin = Math.clamp(table.next(), start, end);
    List<HostIds> used = used();
    Optional<HostIds> found = gap(used, begin, end, size);
    return found.isPresent() ? found : gap(used, start, end, size);
  }

  private static Optional<HostIds> gap(List<HostIds> used, long from, long end, long size) {
    long at = from;
    while (at + size <= end) {
      HostIds candidate = new HostIds(at, size);
      long beyond = at;
      for (HostIds other : used) {
        if (other.overlaps(candidate)) {
          beyond = Math.max(beyond, other.end());
        }
      }
      if (beyond == at) {
        return Optional.of(candidate);
      }
      at = beyond;
    }
    return Optional.empty();
  }

  private List<HostIds> used() {
    List<HostIds> used = new ArrayList<>(foreign);
    used.addAll(table.ranges().values());
    table.booked().values().forEach(used::addAll);
    return used;
  }

  private static boolean known(Table table, HostIds range) {
    return table.ranges().values().stream().anyMatch(own -> own.contains(range))
        || table.booked().values().stream().anyMatch(all -> all.contains(range));
  }

  /** Disk before memory: ids that could not be written as taken are nobody's. */
  private void keep(Table changed) throws BrigException {
    Path next = file.resolveSibling(file.getFileName() + ".new");
    try {
      Files.writeString(next, changed.format(), StandardCharsets.UTF_8);
      Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      discard(next);
      String cause = String.valueOf(e.getMessage());
      throw new BrigException(
          Kind.UNAVAILABLE,
          "write id ranges",
          file.toString(),
          cause,
          cause.contains("Too many open files")
              ? "raise brigd's limit of open files"
              : "make room in the run directory");
    }
    table = changed;
  }

  /** A part of a table would take room that others need. */
  private static void discard(Path part) {
    try {
      Files.deleteIfExists(part);
    } catch (IOException e) {
      // The failure to write is told; the next attempt begins this file anew.
    }
  }

  private static Table read(Path file, HostIds pool, Consumer<String> warn) throws BrigException {
    try {
      return Table.parse(Files.readString(file, StandardCharsets.UTF_8));
    } catch (NoSuchFileException e) {
      return Table.empty(pool.first());
    } catch (IllegalArgumentException | IndexOutOfBoundsException | IOException e) {
      Path aside = file.resolveSibling(file.getFileName() + ".unreadable");
      warn.accept(
          "id ranges: "
              + file
              + " can't be read ("
              + e.getMessage()
              + ") and was put aside as "
              + aside
              + "; ids of living processes are taken from /proc");
      putAside(file, aside);
      // Far from where the ranges of the pods that are not known any more were taken from.
      return Table.empty(pool.first() + pool.size() / 2);
    }
  }

  private static void putAside(Path file, Path aside) throws BrigException {
    try {
      Files.move(file, aside, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new BrigException(
          Kind.FAILED_PRECONDITION,
          "read id ranges",
          file.toString(),
          "is unreadable and can't be put aside: " + e.getMessage(),
          "remove it");
    }
  }
}
