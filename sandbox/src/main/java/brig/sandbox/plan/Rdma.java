package brig.sandbox.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Statistics of the rdma controller: lines {@code device hca_handle=1 hca_object=max}. */
final class Rdma {
  private static final long UNLIMITED = 0xffff_ffffL;

  private Rdma() {}

  static RdmaUse parse(String directory, CgroupFiles files) {
    return new RdmaUse(
        entries(files.lines(directory + "/rdma.current")),
        entries(files.lines(directory + "/rdma.max")));
  }

  private static List<RdmaUse.Entry> entries(List<String> lines) {
    List<RdmaUse.Entry> entries = new ArrayList<>();
    for (String line : lines) {
      Map<String, String> fields = CgroupFiles.fields(line);
      int space = line.indexOf(' ');
      if (space > 0) {
        entries.add(
            new RdmaUse.Entry(
                line.substring(0, space),
                count(fields.get("hca_handle")),
                count(fields.get("hca_object"))));
      }
    }
    return entries;
  }

  private static long count(@Nullable String text) {
    long number = CgroupFiles.number(Optional.ofNullable(text));
    return number == CgroupFiles.UNLIMITED ? UNLIMITED : number;
  }
}
