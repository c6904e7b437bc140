package brig.sandbox.plan;

import brig.proto.keeper.Source;
import brig.proto.keeper.SourceReport;
import brig.proto.plan.Hook;
import brig.proto.plan.Root;
import brig.sandbox.BrigException;
import brig.sandbox.spec.HookSpec;
import brig.sandbox.spec.Hooks;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Hooks, with the executables of those that run on the host during creation opened beforehand, and
 * what these see of the container: its root, at the caller's own path of it, and the bundle's
 * configuration.
 */
final class HookPlan {
  private static final String PLACE = "hooks.root";
  private static final String CONFIGURATION = "hooks.config";

  private HookPlan() {}

  private record Point(Hook.Point point, String name, List<HookSpec> hooks) {
    boolean opened() {
      return switch (point) {
        case PRESTART, CREATE_RUNTIME, CREATE_CONTAINER -> true;
        case START_CONTAINER, POSTSTART, POSTSTOP, POINT_UNSPECIFIED, UNRECOGNIZED -> false;
      };
    }

    String field(int index) {
      return "hooks." + name + "[" + index + "]";
    }
  }

  private static List<Point> points(Hooks hooks) {
    return List.of(
        new Point(Hook.Point.PRESTART, "prestart", hooks.prestart()),
        new Point(Hook.Point.CREATE_RUNTIME, "createRuntime", hooks.createRuntime()),
        new Point(Hook.Point.CREATE_CONTAINER, "createContainer", hooks.createContainer()),
        new Point(Hook.Point.START_CONTAINER, "startContainer", hooks.startContainer()),
        new Point(Hook.Point.POSTSTART, "poststart", hooks.poststart()),
        new Point(Hook.Point.POSTSTOP, "poststop", hooks.poststop()));
  }

  static void sources(CreateInput in, SourceList sources) throws BrigException {
    visibleSources(in, sources);
    for (Point point : points(in.spec().hooks())) {
      for (int i = 0; point.opened() && i < point.hooks().size(); i++) {
        sources.add(point.field(i), Source.Kind.EXECUTABLE, point.hooks().get(i).path());
      }
    }
  }

  /** What the hooks of a creation look for, if there are any. */
  private static void visibleSources(CreateInput in, SourceList sources) throws BrigException {
    if (points(in.spec().hooks()).stream()
        .anyMatch(point -> point.opened() && !point.hooks().isEmpty())) {
      sources.add(PLACE, Source.Kind.BIND, RootPlan.path(in));
      sources.add(CONFIGURATION, Source.Kind.BIND, in.bundle() + "/config.json");
    }
  }

  /** Says where the root is seen, and what else is. */
  static void show(PlanContext context, Root.Builder root) throws BrigException {
    context
        .reports()
        .find(PLACE, "root.path")
        .ifPresent(report -> root.setVisibleHandle(report.getHandle()));
    context
        .reports()
        .find(CONFIGURATION, "config.json")
        .ifPresent(report -> root.addShownHandles(report.getHandle()));
  }

  static List<Hook> plan(PlanContext context) throws BrigException {
    List<Hook> planned = new ArrayList<>();
    for (Point point : points(context.in().spec().hooks())) {
      for (int i = 0; i < point.hooks().size(); i++) {
        HookSpec spec = point.hooks().get(i);
        Optional<SourceReport> opened =
            context.reports().find(point.field(i), point.field(i) + ".path");
        planned.add(
            Hook.newBuilder()
                .setPoint(point.point())
                .setHandle(opened.map(SourceReport::getHandle).orElse(0))
                .setPath(spec.path())
                .addAllArgs(spec.args())
                .addAllEnv(spec.env())
                .setTimeoutSeconds(spec.timeout().orElse(0))
                .build());
      }
    }
    return planned;
  }
}
