package brig.sandbox.plan;

import brig.proto.plan.IdMap;
import brig.sandbox.SandboxConfig;
import brig.sandbox.spec.IdMapSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.TreeSet;

/** The id maps of a user namespace: which host ids stand behind the container's. */
record IdMaps(List<IdMap> uids, List<IdMap> gids) {
  IdMaps {
    uids = List.copyOf(uids);
    gids = List.copyOf(gids);
  }

  /**
   * A pod's own range: ids from 0 on, and behind them the single ids that the operator wants to
   * have as well.
   */
  static IdMaps ofRange(IdRange range, SandboxConfig.Ids config) {
    long contiguous = range.size() - config.extraIds().size();
    List<IdMap> maps = new ArrayList<>();
    maps.add(map(0, range.firstHostId(), contiguous));
    long next = range.firstHostId() + contiguous;
    for (long id : new TreeSet<>(config.extraIds())) {
      maps.add(map(id, next++, 1));
    }
    return new IdMaps(maps, maps);
  }

  static IdMaps ofSpec(List<IdMapSpec> uids, List<IdMapSpec> gids) {
    return new IdMaps(maps(uids), maps(gids));
  }

  static List<IdMap> maps(List<IdMapSpec> specs) {
    return specs.stream().map(m -> map(m.containerId(), m.hostId(), m.size())).toList();
  }

  /**
   * The kernel's own form, lines of three numbers.
   *
   * @throws IllegalArgumentException where it isn't that
   */
  static List<IdMap> parse(String text) {
    List<IdMap> maps = new ArrayList<>();
    for (String line : text.split("\n", -1)) {
      if (line.isBlank()) {
        continue;
      }
      String[] numbers = line.strip().split(" +", -1);
      if (numbers.length != 3) {
        throw new IllegalArgumentException("\"" + line + "\" is no line of an id map");
      }
      maps.add(
          map(Long.parseLong(numbers[0]), Long.parseLong(numbers[1]), Long.parseLong(numbers[2])));
    }
    return maps;
  }

  OptionalLong hostUid(long uid) {
    return host(uids, uid);
  }

  OptionalLong hostGid(long gid) {
    return host(gids, gid);
  }

  private static OptionalLong host(List<IdMap> maps, long id) {
    for (IdMap map : maps) {
      long first = Integer.toUnsignedLong(map.getContainerId());
      if (id >= first && id - first < Integer.toUnsignedLong(map.getSize())) {
        return OptionalLong.of(Integer.toUnsignedLong(map.getHostId()) + id - first);
      }
    }
    return OptionalLong.empty();
  }

  private static IdMap map(long containerId, long hostId, long size) {
    return IdMap.newBuilder()
        .setContainerId((int) containerId)
        .setHostId((int) hostId)
        .setSize((int) size)
        .build();
  }
}
