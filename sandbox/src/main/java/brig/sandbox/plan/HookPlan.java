package brig.sandbox.plan;

import brig.proto.keeper.Source;
import brig.proto.keeper.SourceReport;
import brig.proto.plan.Hook;
import brig.sandbox.BrigException;
import brig.sandbox.spec.HookSpec;
import brig.sandbox.spec.Hooks;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Hooks, with the executables of those that run on the host during creation opened beforehand. */
final class HookPlan {
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

  static void sources(CreateInput in, SourceList sources) {
    for (Point point : points(in.spec().hooks())) {
      for (int i = 0; point.opened() && i < point.hooks().size(); i++) {
        sources.add(point.field(i), Source.Kind.EXECUTABLE, point.hooks().get(i).path());
      }
    }
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
