package brig.sandbox.plan;

import brig.proto.keeper.SourceReport;
import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What native said of the sources, by the purpose they were asked for. */
final class Reports {
  private final SourcePlan plan;
  private final Map<Integer, SourceReport> byHandle;

  Reports(SourcePlan plan, List<SourceReport> reports) {
    this.plan = plan;
    this.byHandle = new HashMap<>();
    reports.forEach(report -> byHandle.put(report.getHandle(), report));
  }

  /** The opened source; empty where none was asked for by this purpose. */
  Optional<SourceReport> find(String purpose, String field) throws BrigException {
    Integer handle = plan.handles().get(purpose);
    if (handle == null) {
      return Optional.empty();
    }
    SourceReport report = byHandle.get(handle);
    if (report == null) {
      throw new BrigException(
          Kind.INTERNAL, "plan", field, "native sent no report of source " + handle, "");
    }
    if (report.getErrno() != 0) {
      String path = plan.sources().get(handle - 1).getPath();
      throw new BrigException(
          Errno.isAbsence(report.getErrno()) ? Kind.NOT_FOUND : Kind.FAILED_PRECONDITION,
          "open source",
          field + " " + path,
          Errno.text(report.getErrno()),
          "");
    }
    return Optional.of(report);
  }

  SourceReport require(String purpose, String field) throws BrigException {
    return find(purpose, field)
        .orElseThrow(() ->
            new BrigException(
                Kind.INTERNAL, "plan", field, "was not among the sources: " + purpose, ""));
  }
}
