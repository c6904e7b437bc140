package brig.sandbox.plan;

import brig.proto.plan.IdMap;
import brig.sandbox.BrigException;
import brig.sandbox.spec.IdMapSpec;
import java.util.ArrayList;
import java.util.List;

/**
 * containerd's pseudo options {@code uidmap=CONTAINER:HOST:SIZE[,...]} and {@code gidmap=}: the
 * shim has to idmap the mount.
 *
 * @param rest the options without them
 */
record PseudoIdmap(List<IdMap> uids, List<IdMap> gids, List<String> rest) {
  static PseudoIdmap of(String field, List<String> options) throws BrigException {
    List<IdMap> uids = new ArrayList<>();
    List<IdMap> gids = new ArrayList<>();
    List<String> rest = new ArrayList<>();
    for (String option : options) {
      if (option.startsWith("uidmap=")) {
        uids.addAll(parse(field, option.substring("uidmap=".length())));
      } else if (option.startsWith("gidmap=")) {
        gids.addAll(parse(field, option.substring("gidmap=".length())));
      } else {
        rest.add(option);
      }
    }
    if (uids.isEmpty() != gids.isEmpty()) {
      throw Refusal.invalid(field, "has one of uidmap= and gidmap= only", "");
    }
    return new PseudoIdmap(uids, gids, rest);
  }

  boolean given() {
    return !uids.isEmpty();
  }

  /** They say the same as the user namespace, or the mount would show foreign ids. */
  void check(String field, IdMaps maps) throws BrigException {
    if (!uids.equals(maps.uids()) || !gids.equals(maps.gids())) {
      throw Refusal.invalid(
          field, "uidmap= and gidmap= are not the maps of the container's user namespace", "");
    }
  }

  private static List<IdMap> parse(String field, String text) throws BrigException {
    List<IdMapSpec> specs = new ArrayList<>();
    for (String one : text.split(",", -1)) {
      String[] numbers = one.split(":", -1);
      try {
        if (numbers.length != 3) {
          throw new NumberFormatException(one);
        }
        specs.add(
            new IdMapSpec(
                Integer.parseUnsignedInt(numbers[0]) & 0xffff_ffffL,
                Integer.parseUnsignedInt(numbers[1]) & 0xffff_ffffL,
                Integer.parseUnsignedInt(numbers[2]) & 0xffff_ffffL));
      } catch (NumberFormatException e) {
        throw Refusal.invalid(field, "\"" + one + "\" is not CONTAINER:HOST:SIZE", "");
      }
    }
    return IdMaps.maps(specs);
  }
}
