package brig.sandbox.plan;

import brig.profiles.seccomp.CompiledFilter;
import brig.profiles.seccomp.Machine;
import brig.profiles.seccomp.SeccompException;
import brig.profiles.seccomp.SeccompFilters;
import brig.profiles.seccomp.SeccompProfile;
import brig.proto.keeper.Source;
import brig.proto.keeper.SourceReport;
import brig.proto.plan.Process;
import brig.proto.plan.SeccompFilter;
import brig.sandbox.BrigException;
import com.google.protobuf.ByteString;
import java.util.Optional;

/** The container's system call filter: its spec's, or the built-in one. */
final class SeccompPlan {
  private static final String FIELD = "linux.seccomp";
  private static final String LISTENER = "seccomp.listener";

  private SeccompPlan() {}

  static void sources(CreateInput in, SourceList sources) {
    in.spec()
        .linux()
        .seccomp()
        .map(SeccompProfile::listenerPath)
        .filter(path -> !path.isEmpty())
        .ifPresent(path -> sources.add(LISTENER, Source.Kind.SOCKET, path));
  }

  static SeccompFilter plan(PlanContext context, SeccompFilters filters, Process.Builder process)
      throws BrigException {
    Optional<SeccompProfile> profile = context.linux().seccomp();
    Machine machine =
        Machine.of(context.host().getMachine())
            .orElseThrow(() ->
                Refusal.notEnforced(
                    FIELD, "there is no system call table for " + context.host().getMachine(), ""));
    try {
      if (profile.isEmpty()) {
        context.note("seccomp: the spec has none; the built-in policy applies");
        return filter(filters.builtin(ProcessPlan.reachable(process.getCapabilities()), machine))
            .build();
      }
      CompiledFilter compiled = filters.compile(profile.get(), machine);
      compiled.notes().forEach(context::note);
      SeccompFilter.Builder filter = filter(compiled);
      Optional<SourceReport> listener = context.reports().find(LISTENER, FIELD + ".listenerPath");
      listener.ifPresent(report ->
          filter
              .setListenerHandle(report.getHandle())
              .setListenerPath(profile.get().listenerPath())
              .setListenerMetadata(profile.get().listenerMetadata()));
      return filter.build();
    } catch (SeccompException e) {
      throw Refusal.invalid(FIELD + "." + e.object(), e.reason(), "");
    }
  }

  private static SeccompFilter.Builder filter(CompiledFilter compiled) {
    return SeccompFilter.newBuilder()
        .setProgram(ByteString.copyFrom(compiled.program()))
        .setFlags(compiled.flags());
  }
}
