package brig.shim.task;

import brig.proto.plan.IdMap;
import brig.sandbox.BrigException;
import brig.sandbox.ids.IdRanges;
import brig.sandbox.plan.IdRange;
import java.util.List;

/** One pod's part of the table of id ranges. */
public record PodIds(IdRanges table, String key) {
  IdRange allocate() throws BrigException {
    return table.allocate(key);
  }

  void release() throws BrigException {
    table.release(key);
  }

  void book(List<IdMap> uidMaps, List<IdMap> gidMaps) throws BrigException {
    if (!uidMaps.isEmpty() || !gidMaps.isEmpty()) {
      table.book(key, uidMaps, gidMaps);
    }
  }
}
